#include "text/pretokenizer.h"

#include "base/check.h"
#include "text/field.h"
#include "text/unicode.h"
#include "text/utf8.h"

enum part { PART_OF_WORD, PART_SPACE, PART_ALONE };

static enum part part_of(uint32_t c)
{
    /* Letters and digits of ASCII are most of most texts. */
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return PART_OF_WORD;
    if (c == ' ' || unicode_is_whitespace(c))
        return PART_SPACE;
    return unicode_is_punctuation(c) ? PART_ALONE : PART_OF_WORD;
}

static bool bert_next(const struct pretokenizer *p, struct str *rest, struct str *out_word)
{
    (void)p;
    size_t start = 0, at = 0;
    enum part part = PART_SPACE;
    while (at < rest->len && part == PART_SPACE) {
        start = at;
        part = part_of(utf8_next(*rest, &at));
    }
    if (part == PART_SPACE)
        return false;
    size_t end = at;
    while (part == PART_OF_WORD && at < rest->len) {
        part = part_of(utf8_next(*rest, &at));
        if (part == PART_OF_WORD)
            end = at;
    }
    *out_word = (struct str){ rest->data + start, end - start };
    *rest = (struct str){ rest->data + end, rest->len - end };
    return true;
}

static enum weir_code bert_load(struct pretokenizer *p, const struct field *f,
                                struct weir_error *err)
{
    (void)p;
    static const char *const names[] = { "type", NULL };
    return field_only(f, names, err);
}

static const struct pretokenizer_kind kinds[] = {
    {"BertPreTokenizer", bert_load, bert_next},
};

enum weir_code pretokenizer_load(struct pretokenizer *p, const struct field *f,
                                 struct weir_error *err)
{
    struct component part;
    if (field_component(f, "pretokenizers", &part, err))
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (str_eq(part.type, str_of(kinds[i].name))) {
            p->kind = &kinds[i];
            return kinds[i].load(p, &part.item, err);
        }
    }
    return field_unknown_type(&part, err);
}

bool pretokenizer_next(const struct pretokenizer *p, struct str *rest, struct str *out_word)
{
    return p->kind->next(p, rest, out_word);
}
