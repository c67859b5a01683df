#include "text/subword.h"

#include "base/check.h"
#include "text/field.h"

static const struct subword_kind *const kinds[] = { &subword_wordpiece };

/* Files from before 2021 do not name the type; only WordPiece has these two fields. */
static bool is_untyped_wordpiece(const struct field *f)
{
    return field_of(f, "type").value == NULL &&
           field_of(f, "continuing_subword_prefix").value != NULL &&
           field_of(f, "max_input_chars_per_word").value != NULL;
}

enum weir_code subword_load(struct subword *s, const struct field *f, struct weir_error *err)
{
    struct component part = { .item = *f, .type = str_of(subword_wordpiece.name) };
    if (field_need_object(f, err))
        return WEIR_LOAD_FAILED;
    if (!is_untyped_wordpiece(f) && field_text(f, "type", &part.type, err))
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (str_eq(part.type, str_of(kinds[i]->name))) {
            s->kind = kinds[i];
            return s->kind->load(s, f, err);
        }
    }
    return field_unknown_type(&part, err);
}

void subword_finish(struct subword *s)
{
    vocabulary_finish(&s->vocabulary);
    *s = (struct subword){ 0 };
}

bool subword_encode(const struct subword *s, struct str word, struct tokens *out)
{
    return s->kind->encode(s, word, out);
}
