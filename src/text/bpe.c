#include "text/field.h"
#include "text/lists.h"
#include "text/subword.h"
#include "text/utf8.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

/* A word of so many symbols at most is merged by looking at all its pairs each time: moving a few
 * numbers is cheaper than keeping a heap. */
#define SHORT_SYMBOLS   24
#define AFFIX_BYTES_MAX 128
#define NAME_BYTES_MAX  (2 * AFFIX_BYTES_MAX + UTF8_BYTES_MAX)
#define NO_INDEX        UINT32_MAX

/* The word cut into the symbols that merging starts from, which stand in out->ids behind those that
 * were there before. */
struct start {
    const struct subword *s;
    struct tokens *out;
    bool has_unknown; /* one is due before the next known symbol */
};

static void put_due(struct start *b)
{
    if (b->has_unknown)
        b->out->ids[b->out->count++] = b->s->unknown;
    b->has_unknown = false;
}

/* A character that has no piece. Its bytes go before an unknown token that is due, as they do in
 * the reference. */
static void put_odd(struct start *b, struct str name)
{
    if (b->s->has_bytes && subword_put_bytes(b->s, name, b->out))
        return;
    if (b->s->unknown == VOCABULARY_NO_ID)
        return;
    if (!b->s->fuses_unknown)
        put_due(b);
    b->has_unknown = true;
}

static void put_symbol(struct start *b, int32_t id, struct str name)
{
    if (id == VOCABULARY_NO_ID) {
        put_odd(b, name);
        return;
    }
    put_due(b);
    b->out->ids[b->out->count++] = id;
}

/* The name that the vocabulary has for a character at its place in the word. */
static struct str name_of(const struct subword *s, struct str c, bool is_first, bool is_last,
                          char *room)
{
    size_t len = 0;
    if (s->prefix != NULL && !is_first) {
        len = strlen(s->prefix);
        memcpy(room, s->prefix, len);
    }
    memcpy(room + len, c.data, c.len);
    len += c.len;
    if (s->suffix != NULL && is_last) {
        memcpy(room + len, s->suffix, strlen(s->suffix));
        len += strlen(s->suffix);
    }
    return (struct str){ room, len };
}

/* No character makes more symbols than its name has bytes. */
static bool put_symbols(const struct subword *s, struct str word, struct tokens *out)
{
    bool is_plain = s->prefix == NULL && s->suffix == NULL;
    struct start b = { .s = s, .out = out };
    if (!tokens_reserve(out, word.len))
        return false;
    for (size_t at = 0; at < word.len;) {
        size_t start = at;
        uint32_t c = utf8_next(word, &at);
        struct str name = { word.data + start, at - start };
        char room[NAME_BYTES_MAX];
        if (!is_plain) {
            name = name_of(s, name, start == 0, at == word.len, room);
            if (!tokens_reserve(out, name.len + word.len - at + 1))
                return false;
        }
        int32_t id = is_plain && c < ARRAY_COUNT(s->latin) ? s->latin[c]
                                                           : vocabulary_find(&s->vocabulary, name);
        put_symbol(&b, id, name);
    }
    put_due(&b);
    return true;
}

static uint32_t rank_of(const struct subword *s, const int32_t *ids, size_t at, int32_t *out_made)
{
    const struct merge *m = merges_find(&s->merges, ids[at], ids[at + 1]);
    if (m == NULL)
        return MERGES_NONE;
    *out_made = m->made;
    return m->rank;
}

/* Returns how many symbols are left. */
static size_t merge_short(const struct subword *s, int32_t *ids, size_t count)
{
    uint32_t ranks[SHORT_SYMBOLS]; /* of the pair that starts at each symbol */
    int32_t made[SHORT_SYMBOLS];
    for (size_t i = 0; i + 1 < count; i++)
        ranks[i] = rank_of(s, ids, i, &made[i]);
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++)
            best = ranks[i] < ranks[best] ? i : best;
        if (ranks[best] == MERGES_NONE)
            break;
        ids[best] = made[best];
        count--;
        for (size_t i = best + 1; i < count; i++)
            ids[i] = ids[i + 1];
        for (size_t i = best + 1; i + 1 < count; i++) {
            ranks[i] = ranks[i + 1];
            made[i] = made[i + 1];
        }
        if (best + 1 < count)
            ranks[best] = rank_of(s, ids, best, &made[best]);
        if (best > 0)
            ranks[best - 1] = rank_of(s, ids, best - 1, &made[best - 1]);
    }
    return count;
}

/* A long word is a list of symbols, and a heap of its pairs with the next to merge on top. A pair
 * that is no longer there stays in the heap until it comes up. */
struct symbol {
    int32_t id; /* -1: merged into one before */
    uint32_t before, behind;
};
struct candidate {
    uint32_t rank, at;
    int32_t made;
};
struct chain {
    const struct subword *s;
    struct symbol *symbols;
    struct candidate *heap;
    size_t heap_count;
};

static bool goes_first(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void push(struct chain *c, uint32_t at)
{
    uint32_t behind = at == NO_INDEX ? NO_INDEX : c->symbols[at].behind;
    if (behind == NO_INDEX)
        return;
    const struct merge *m = merges_find(&c->s->merges, c->symbols[at].id, c->symbols[behind].id);
    if (m == NULL)
        return;
    struct candidate fresh = { .rank = m->rank, .at = at, .made = m->made };
    size_t place = c->heap_count++;
    while (place > 0 && goes_first(&fresh, &c->heap[(place - 1) / 2])) {
        c->heap[place] = c->heap[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    c->heap[place] = fresh;
}

static struct candidate pop(struct chain *c)
{
    struct candidate top = c->heap[0], last = c->heap[--c->heap_count];
    size_t place = 0;
    for (;;) {
        size_t child = place * 2 + 1;
        if (child + 1 < c->heap_count && goes_first(&c->heap[child + 1], &c->heap[child]))
            child++;
        if (child >= c->heap_count || !goes_first(&c->heap[child], &last))
            break;
        c->heap[place] = c->heap[child];
        place = child;
    }
    c->heap[place] = last;
    return top;
}

/* What the pair at a symbol makes now, or -1. */
static int32_t made_at(const struct chain *c, uint32_t at)
{
    const struct symbol *left = &c->symbols[at];
    if (left->id < 0 || left->behind == NO_INDEX)
        return -1;
    const struct merge *m = merges_find(&c->s->merges, left->id, c->symbols[left->behind].id);
    return m == NULL ? -1 : m->made;
}

static void merge_chain(struct chain *c)
{
    while (c->heap_count > 0) {
        struct candidate top = pop(c);
        struct symbol *left = &c->symbols[top.at];
        if (made_at(c, top.at) != top.made)
            continue;
        struct symbol *right = &c->symbols[left->behind];
        left->id = top.made;
        left->behind = right->behind;
        right->id = -1;
        if (left->behind != NO_INDEX)
            c->symbols[left->behind].before = top.at;
        push(c, left->before);
        push(c, top.at);
    }
}

/* False when there is no memory. Each merge takes one pair out of the heap and brings two at most,
 * so there are never more than two for each symbol. */
static bool merge_long(const struct subword *s, int32_t *ids, size_t *count)
{
    struct chain c = { .s = s,
                       .symbols = mem_try(*count, sizeof(*c.symbols)),
                       .heap = mem_try(*count * 2, sizeof(*c.heap)) };
    bool ok = c.symbols != NULL && c.heap != NULL && *count < NO_INDEX;
    if (ok) {
        uint32_t last = (uint32_t)*count - 1;
        for (uint32_t i = 0; i <= last; i++)
            c.symbols[i] = (struct symbol){ .id = ids[i],
                                            .before = i == 0 ? NO_INDEX : i - 1,
                                            .behind = i == last ? NO_INDEX : i + 1 };
        for (uint32_t i = 0; i < last; i++)
            push(&c, i);
        merge_chain(&c);
        *count = 0;
        for (uint32_t i = 0; i != NO_INDEX; i = c.symbols[i].behind)
            ids[(*count)++] = c.symbols[i].id;
    }
    mem_free(c.symbols);
    mem_free(c.heap);
    return ok;
}

static bool bpe_encode(const struct subword *s, struct str word, struct tokens *out)
{
    size_t before = out->count;
    if (s->prefers_whole) {
        int32_t id = vocabulary_find(&s->vocabulary, word);
        if (id != VOCABULARY_NO_ID) {
            if (!tokens_reserve(out, 1))
                return false;
            out->ids[out->count++] = id;
            return true;
        }
    }
    if (!put_symbols(s, word, out))
        return false;
    size_t count = out->count - before;
    if (count <= SHORT_SYMBOLS)
        count = merge_short(s, out->ids + before, count);
    else if (!merge_long(s, out->ids + before, &count))
        return false;
    out->count = before + count;
    return true;
}

/* Optional: missing and null are false. */
static enum weir_code read_flag(const struct field *f, const char *name, bool *out,
                                struct weir_error *err)
{
    struct field flag = field_of(f, name);
    if (flag.value == NULL || json_is_null(flag.value))
        return WEIR_OK;
    return field_bool(f, name, out, err);
}

/* Optional: missing, null and empty are NULL. */
static enum weir_code read_affix(const struct field *f, const char *name, char **out,
                                 struct weir_error *err)
{
    struct field affix = field_of(f, name);
    struct field_path path;
    struct str text;
    if (affix.value == NULL || json_is_null(affix.value))
        return WEIR_OK;
    if (field_text_here(&affix, &text, err))
        return WEIR_LOAD_FAILED;
    if (text.len > AFFIX_BYTES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu bytes, the limit is %d",
                         field_path(&affix, &path), text.len, AFFIX_BYTES_MAX);
    if (text.len > 0)
        *out = mem_copy_text(text.data, text.len);
    return WEIR_OK;
}

static enum weir_code refuse_dropout(const struct field *f, struct weir_error *err)
{
    struct field dropout = field_of(f, "dropout");
    if (dropout.value == NULL || json_is_null(dropout.value) ||
        (json_is_number(dropout.value) && json_number_value(dropout.value) == 0))
        return WEIR_OK;
    return weir_fail(err, WEIR_LOAD_FAILED,
                     "model.dropout is not null: ids would be chosen at random");
}

static enum weir_code read_fields(struct subword *s, const struct field *f, struct weir_error *err)
{
    static const char *const names[] = { "type",      "dropout",
                                         "unk_token", "continuing_subword_prefix",
                                         "fuse_unk",  "end_of_word_suffix",
                                         "vocab",     "byte_fallback",
                                         "merges",    "ignore_merges",
                                         NULL };
    bool failed = field_only(f, names, err) || refuse_dropout(f, err) ||
                  read_flag(f, "fuse_unk", &s->fuses_unknown, err) ||
                  read_flag(f, "byte_fallback", &s->has_bytes, err) ||
                  read_flag(f, "ignore_merges", &s->prefers_whole, err) ||
                  read_affix(f, "continuing_subword_prefix", &s->prefix, err) ||
                  read_affix(f, "end_of_word_suffix", &s->suffix, err);
    return failed ? WEIR_LOAD_FAILED : WEIR_OK;
}

static void find_latin(struct subword *s)
{
    for (uint32_t c = 0; c < ARRAY_COUNT(s->latin); c++) {
        uint8_t bytes[UTF8_BYTES_MAX];
        size_t len = utf8_put(c, bytes);
        s->latin[c] = vocabulary_find(&s->vocabulary, (struct str){ (const char *)bytes, len });
    }
}

static enum weir_code bpe_load(struct subword *s, const struct field *f, const struct lists *lists,
                               struct weir_error *err)
{
    struct field vocab = field_of(f, "vocab"), merges = field_of(f, "merges"),
                 unknown = field_of(f, "unk_token");
    struct str text;
    if (read_fields(s, f, err))
        return WEIR_LOAD_FAILED;
    enum weir_code code = vocabulary_load(&s->vocabulary, &vocab, lists->vocab, err);
    if (code != WEIR_OK)
        return code;
    s->unknown = VOCABULARY_NO_ID;
    if (unknown.value != NULL && !json_is_null(unknown.value) &&
        (field_text_here(&unknown, &text, err) || subword_find_unknown(s, &unknown, text, err)))
        return WEIR_LOAD_FAILED;
    subword_find_bytes(s);
    find_latin(s);
    return merges_load(&s->merges, &merges, lists->merges, &s->vocabulary,
                       s->prefix == NULL ? 0 : strlen(s->prefix), err);
}

const struct subword_kind subword_bpe = {
    .name = "BPE",
    .load = bpe_load,
    .encode = bpe_encode,
};
