#include "text/field.h"
#include "text/lists.h"
#include "text/subword.h"
#include "text/utf8.h"

#include "base/mem.h"

#include <string.h>

/* How much worse a character without a piece is than the worst piece. */
#define UNKNOWN_PENALTY 10.0
#define STEPS_AT_HAND   256

/* The best way to cut the word's bytes before a place. */
struct step {
    double score;
    int32_t id;
    uint32_t len; /* of the last piece; 0: no way leads here */
};

static void offer(struct step *to, double score, int32_t id, size_t len)
{
    if (to->len == 0 || score > to->score)
        *to = (struct step){ .score = score, .id = id, .len = (uint32_t)len };
}

/* steps[n] is about the first n bytes. A later way counts only when it is better: which of equals
 * wins decides ids. The scores are added in the order of the text, from its start. */
static void find_ways(const struct subword *s, struct str word, struct step *steps)
{
    const struct trie *t = &s->vocabulary.trie;
    for (size_t at = 0; at < word.len;) {
        double here = steps[at].score;
        size_t behind = at;
        utf8_next(word, &behind);
        size_t char_len = behind - at;
        bool has_char = false;
        uint32_t node = TRIE_ROOT;
        for (size_t end = at; end < word.len && node != TRIE_NONE;) {
            node = trie_step(t, node, (uint8_t)word.data[end++]);
            if (node == TRIE_NONE || t->nodes[node].value < 0)
                continue;
            int32_t id = t->nodes[node].value;
            offer(&steps[end], here + s->scores[id], id, end - at);
            has_char |= end - at == char_len;
        }
        if (!has_char)
            offer(&steps[behind], here + s->unknown_score, s->unknown, char_len);
        at = behind;
    }
}

/* The tokens of a run that nothing but unknown ones cover. A name of the unknown token itself in
 * the text is such a run, too, and may be a piece again; so may what several of them make up. */
static void put_unknown(const struct subword *s, struct str run, struct tokens *out)
{
    int32_t id = vocabulary_find(&s->vocabulary, run);
    if (id == VOCABULARY_NO_ID && s->has_bytes && subword_put_bytes(s, run, out))
        return;
    out->ids[out->count++] = id == VOCABULARY_NO_ID ? s->unknown : id;
}

/* Walks back from the end, leaving in each step the length of the piece that starts there. */
static void turn(struct step *steps, size_t len)
{
    uint32_t piece = steps[len].len;
    int32_t id = steps[len].id;
    for (size_t at = len; at > 0;) {
        at -= piece;
        uint32_t before = steps[at].len;
        int32_t id_before = steps[at].id;
        steps[at].len = piece;
        steps[at].id = id;
        piece = before;
        id = id_before;
    }
}

static void put_pieces(const struct subword *s, struct str word, struct step *steps,
                       struct tokens *out)
{
    turn(steps, word.len);
    for (size_t at = 0; at < word.len;) {
        size_t start = at;
        int32_t id = steps[at].id;
        at += steps[at].len;
        if (id != s->unknown) {
            out->ids[out->count++] = id;
            continue;
        }
        while (at < word.len && steps[at].id == s->unknown)
            at += steps[at].len;
        put_unknown(s, (struct str){ word.data + start, at - start }, out);
    }
}

static bool unigram_encode(const struct subword *s, struct str word, struct tokens *out)
{
    struct step at_hand[STEPS_AT_HAND], *steps = at_hand;
    if (word.len == 0)
        return true;
    if (!tokens_reserve(out, word.len))
        return false;
    if (word.len >= STEPS_AT_HAND) {
        steps = mem_try(word.len + 1, sizeof(*steps));
        if (steps == NULL)
            return false;
    } else {
        memset(steps, 0, (word.len + 1) * sizeof(*steps));
    }
    find_ways(s, word, steps);
    put_pieces(s, word, steps, out);
    if (steps != at_hand)
        mem_free(steps);
    return true;
}

static enum weir_code unigram_load(struct subword *s, const struct field *f,
                                   const struct lists *lists, struct weir_error *err)
{
    static const char *const names[] = { "type", "unk_id", "vocab", "byte_fallback", NULL };
    struct field vocab = field_of(f, "vocab"), unknown = field_of(f, "unk_id");
    int64_t id;
    if (field_only(f, names, err) || field_integer(&unknown, 0, VOCABULARY_ID_MAX, &id, err))
        return WEIR_LOAD_FAILED;
    if (field_of(f, "byte_fallback").value != NULL &&
        field_bool(f, "byte_fallback", &s->has_bytes, err))
        return WEIR_LOAD_FAILED;
    enum weir_code code =
        vocabulary_load_scores(&s->vocabulary, &vocab, lists->vocab, &s->scores, err);
    if (code != WEIR_OK)
        return code;
    if ((size_t)id >= s->vocabulary.size)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "model.unk_id is %lld, model.vocab has only %zu pieces", (long long)id,
                         s->vocabulary.size);
    s->unknown = (int32_t)id;
    double least = s->scores[0];
    for (size_t i = 1; i < s->vocabulary.size; i++)
        least = s->scores[i] < least ? s->scores[i] : least;
    s->unknown_score = least - UNKNOWN_PENALTY;
    subword_find_bytes(s);
    return WEIR_OK;
}

const struct subword_kind subword_unigram = {
    .name = "Unigram",
    .load = unigram_load,
    .encode = unigram_encode,
};
