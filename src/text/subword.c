#include "text/subword.h"

#include "base/check.h"
#include "base/mem.h"
#include "text/field.h"

static const struct subword_kind *const kinds[] = { &subword_wordpiece, &subword_unigram,
                                                    &subword_bpe };

/* Files from before 2021 do not name the type; each has fields that the others don't. */
static const struct subword_kind *kind_of_untyped(const struct field *f)
{
    if (field_of(f, "type").value != NULL)
        return NULL;
    if (field_of(f, "merges").value != NULL)
        return &subword_bpe;
    if (field_of(f, "unk_id").value != NULL)
        return &subword_unigram;
    if (field_of(f, "max_input_chars_per_word").value != NULL &&
        field_of(f, "continuing_subword_prefix").value != NULL)
        return &subword_wordpiece;
    return NULL;
}

enum weir_code subword_load(struct subword *s, const struct field *f, const struct lists *lists,
                            struct weir_error *err)
{
    struct component part = { .item = *f };
    if (field_need_object(f, err))
        return WEIR_LOAD_FAILED;
    s->kind = kind_of_untyped(f);
    if (s->kind == NULL && field_text(f, "type", &part.type, err))
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; s->kind == NULL && i < ARRAY_COUNT(kinds); i++) {
        if (str_eq(part.type, str_of(kinds[i]->name)))
            s->kind = kinds[i];
    }
    return s->kind != NULL ? s->kind->load(s, f, lists, err) : field_unknown_type(&part, err);
}

void subword_finish(struct subword *s)
{
    vocabulary_finish(&s->vocabulary);
    merges_finish(&s->merges);
    mem_free(s->scores);
    mem_free(s->prefix);
    mem_free(s->suffix);
    *s = (struct subword){ 0 };
}

bool subword_encode(const struct subword *s, struct str word, struct tokens *out)
{
    return s->kind->encode(s, word, out);
}

void subword_find_bytes(struct subword *s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t byte = 0; byte < ARRAY_COUNT(s->bytes); byte++) {
        const char name[] = { '<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>' };
        s->bytes[byte] = vocabulary_find(&s->vocabulary, (struct str){ name, sizeof(name) });
    }
}

bool subword_put_bytes(const struct subword *s, struct str text, struct tokens *out)
{
    size_t count = out->count;
    for (size_t i = 0; i < text.len; i++) {
        int32_t id = s->bytes[(uint8_t)text.data[i]];
        if (id == VOCABULARY_NO_ID)
            return false;
        out->ids[count++] = id;
    }
    out->count = count;
    return true;
}

enum weir_code subword_find_unknown(struct subword *s, const struct field *f, struct str text,
                                    struct weir_error *err)
{
    s->unknown = vocabulary_find(&s->vocabulary, text);
    if (s->unknown != VOCABULARY_NO_ID)
        return WEIR_OK;
    struct field_path path;
    struct str quote = field_quote(text);
    return weir_fail(err, WEIR_LOAD_FAILED, "%s '%.*s' is not in model.vocab", field_path(f, &path),
                     STR_ARG(quote));
}
