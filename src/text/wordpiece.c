#include "text/field.h"
#include "text/lists.h"
#include "text/subword.h"
#include "text/utf8.h"

#define WORD_CHARS_MAX 10000 /* far above the 100 that published files say */

static bool wordpiece_encode(const struct subword *s, struct str word, struct tokens *out)
{
    bool known = utf8_count(word) <= s->word_chars_max;
    if (!tokens_reserve(out, known ? word.len : 1))
        return false;
    size_t count = out->count;
    uint32_t node = TRIE_ROOT;
    while (known && word.len > 0) {
        size_t len = 0;
        int32_t id = trie_longest(&s->vocabulary.trie, node, word, &len);
        known = id >= 0;
        if (known)
            out->ids[count++] = id;
        word = (struct str){ word.data + len, word.len - len };
        node = s->inner;
    }
    if (!known) {
        count = out->count;
        out->ids[count++] = s->unknown;
    }
    out->count = count;
    return true;
}

static enum weir_code wordpiece_load(struct subword *s, const struct field *f,
                                     const struct lists *lists, struct weir_error *err)
{
    static const char *const names[] = {
        "type", "unk_token", "continuing_subword_prefix", "vocab", "max_input_chars_per_word", NULL
    };
    struct str text, prefix;
    struct field longest = field_of(f, "max_input_chars_per_word");
    struct field vocab = field_of(f, "vocab"), unknown = field_of(f, "unk_token");
    int64_t chars;
    if (field_only(f, names, err) || field_text_here(&unknown, &text, err) ||
        field_text(f, "continuing_subword_prefix", &prefix, err) ||
        field_integer(&longest, 0, WORD_CHARS_MAX, &chars, err))
        return WEIR_LOAD_FAILED;
    enum weir_code code = lists->vocab_is_lines
                              ? vocabulary_load_lines(&s->vocabulary, lists->vocab, err)
                              : vocabulary_load(&s->vocabulary, &vocab, lists->vocab, err);
    if (code == WEIR_OK)
        code = subword_find_unknown(s, &unknown, text, err);
    if (code != WEIR_OK)
        return code;
    s->inner = trie_walk(&s->vocabulary.trie, TRIE_ROOT, prefix);
    s->word_chars_max = (size_t)chars;
    return WEIR_OK;
}

const struct subword_kind subword_wordpiece = {
    .name = "WordPiece",
    .load = wordpiece_load,
    .encode = wordpiece_encode,
};
