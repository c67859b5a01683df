#include "text/postprocessor.h"

#include "base/check.h"
#include "text/field.h"
#include "text/vocabulary.h"

/* Where the next special token belongs: before the text until the text was seen. */
struct assembly {
    struct postprocessor *p;
    const struct vocabulary *vocabulary;
    bool saw_text;
};

static enum weir_code add_id(struct assembly *t, const struct field *f, struct weir_error *err)
{
    int64_t id;
    if (field_integer(f, 0, VOCABULARY_ID_MAX, &id, err))
        return WEIR_LOAD_FAILED;
    struct field_path path;
    if (!vocabulary_has(t->vocabulary, id))
        return weir_fail(err, WEIR_LOAD_FAILED, "%s is %d, an id that the vocabulary does not have",
                         field_path(f, &path), (int)id);
    size_t *count = t->saw_text ? &t->p->suffix_count : &t->p->prefix_count;
    if (*count == POSTPROCESSOR_IDS_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s is one special token more than the limit of %d",
                         field_path(f, &path), POSTPROCESSOR_IDS_MAX);
    (t->saw_text ? t->p->suffix : t->p->prefix)[(*count)++] = (int32_t)id;
    return WEIR_OK;
}

/* `named` is the SpecialToken of a template, `special_tokens` says which ids it stands for. */
static enum weir_code add_special(struct assembly *t, const struct field *special_tokens,
                                  const struct field *named, struct weir_error *err)
{
    struct str name;
    if (field_text(named, "id", &name, err))
        return WEIR_LOAD_FAILED;
    struct field token = field_of(special_tokens, name.data);
    struct field ids = field_of(&token, "ids");
    if (field_need_array(&ids, err))
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < json_array_size(ids.value); i++) {
        struct field id = field_at(&ids, i);
        if (add_id(t, &id, err))
            return WEIR_LOAD_FAILED;
    }
    return WEIR_OK;
}

static enum weir_code add_text(struct assembly *t, const struct field *sequence,
                               struct weir_error *err)
{
    struct field_path path;
    struct str name;
    if (field_text(sequence, "id", &name, err))
        return WEIR_LOAD_FAILED;
    if (t->saw_text || !str_eq(name, STR("A")))
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "%s: the template of one text must name sequence A once and no other",
                         field_path(sequence, &path));
    t->saw_text = true;
    return WEIR_OK;
}

/* One piece: an object with the one field SpecialToken or Sequence. */
static enum weir_code add_piece(struct assembly *t, const struct field *special_tokens,
                                const struct field *piece, struct weir_error *err)
{
    static const char *const names[] = { "SpecialToken", "Sequence", NULL };
    static const char *const inner_names[] = { "id", "type_id", NULL };
    struct field_path path;
    if (field_need_object(piece, err) || field_only(piece, names, err))
        return WEIR_LOAD_FAILED;
    if (json_object_size(piece->value) != 1)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "%s has %zu fields, it must have one: SpecialToken or Sequence",
                         field_path(piece, &path), json_object_size(piece->value));
    bool is_text = field_of(piece, "Sequence").value != NULL;
    struct field inner = field_of(piece, is_text ? "Sequence" : "SpecialToken");
    struct field type_id = field_of(&inner, "type_id");
    int64_t only_type;
    /* Models see one text as type 0; another would need a list of types beside the ids. */
    if (field_need_object(&inner, err) || field_only(&inner, inner_names, err) ||
        field_integer(&type_id, 0, 0, &only_type, err))
        return WEIR_LOAD_FAILED;
    return is_text ? add_text(t, &inner, err) : add_special(t, special_tokens, &inner, err);
}

static enum weir_code load_template(struct assembly *t, const struct field *f,
                                    struct weir_error *err)
{
    static const char *const names[] = { "type", "single", "pair", "special_tokens", NULL };
    struct field single = field_of(f, "single");
    struct field special_tokens = field_of(f, "special_tokens");
    if (field_only(f, names, err) || field_need_array(&single, err) ||
        field_need_object(&special_tokens, err))
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < json_array_size(single.value); i++) {
        struct field piece = field_at(&single, i);
        if (add_piece(t, &special_tokens, &piece, err))
            return WEIR_LOAD_FAILED;
    }
    if (!t->saw_text) {
        struct field_path path;
        return weir_fail(err, WEIR_LOAD_FAILED, "%s does not name sequence A",
                         field_path(&single, &path));
    }
    return WEIR_OK;
}

/* "cls": [name, id] before the text, "sep": [name, id] behind it. */
static enum weir_code load_pair(struct assembly *t, const struct field *f, struct weir_error *err)
{
    static const char *const order[] = { "cls", "sep" };
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        struct field pair = field_of(f, order[i]);
        struct field id = field_at(&pair, 1);
        if (field_need_array(&pair, err) || add_id(t, &id, err))
            return WEIR_LOAD_FAILED;
        t->saw_text = true;
    }
    return WEIR_OK;
}

static enum weir_code load_bert(struct assembly *t, const struct field *f, struct weir_error *err)
{
    static const char *const names[] = { "type", "cls", "sep", NULL };
    return field_only(f, names, err) ? WEIR_LOAD_FAILED : load_pair(t, f, err);
}

/* The fields besides those of BERT are about offsets, which are not given. */
static enum weir_code load_roberta(struct assembly *t, const struct field *f,
                                   struct weir_error *err)
{
    static const char *const names[] = { "type", "cls", "sep", "trim_offsets", "add_prefix_space",
                                         NULL };
    return field_only(f, names, err) ? WEIR_LOAD_FAILED : load_pair(t, f, err);
}

static enum weir_code load_byte_level(struct assembly *t, const struct field *f,
                                      struct weir_error *err)
{
    (void)t;
    static const char *const names[] = { "type", "add_prefix_space", "trim_offsets", "use_regex",
                                         NULL };
    return field_only(f, names, err);
}

static const struct {
    const char *name;
    enum weir_code (*load)(struct assembly *t, const struct field *f, struct weir_error *err);
} kinds[] = {
    {"TemplateProcessing", load_template  },
    { "BertProcessing",    load_bert      },
    { "RobertaProcessing", load_roberta   },
    { "ByteLevel",         load_byte_level},
};

static enum weir_code load_part(void *context, const struct component *part, struct weir_error *err)
{
    struct assembly *t = context;
    struct field_path path;
    size_t i = 0;
    while (i < ARRAY_COUNT(kinds) && !str_eq(part->type, str_of(kinds[i].name)))
        i++;
    if (i == ARRAY_COUNT(kinds))
        return field_unknown_type(part, err);
    /* What the reference makes of that (special tokens around special tokens) no model was
     * trained on. */
    if (t->saw_text && kinds[i].load != load_byte_level)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "%s: '%s' around what another processor made is not supported",
                         field_path(&part->item, &path), kinds[i].name);
    return kinds[i].load(t, &part->item, err);
}

enum weir_code postprocessor_load(struct postprocessor *p, const struct field *f,
                                  const struct vocabulary *v, struct weir_error *err)
{
    struct assembly t = { .p = p, .vocabulary = v };
    return field_components(f, "processors", load_part, &t, err);
}
