#include "text/merges.h"

#include "base/mem.h"
#include "text/field.h"
#include "text/json_scan.h"
#include "text/vocabulary.h"

#include <string.h>

#define MERGES_MAX (16 * 1024 * 1024)

struct pair {
    struct str left, right;
};

static size_t slot_of(const struct merges *m, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    /* An odd number with its bits in no order spreads the keys; the upper half of the product is
     * the place among cap slots. */
    uint64_t hash = (key * UINT64_C(0x9E3779B97F4A7C15)) ^ (key >> 29);
    hash *= UINT64_C(0xD1B54A32D192ED03);
    return (size_t)(((hash >> 32) * (uint64_t)m->cap) >> 32);
}

/* The pair's slot, or the empty one where it would stand. There is always an empty one. */
static struct merge *find(const struct merges *m, int32_t left, int32_t right)
{
    size_t at = slot_of(m, left, right);
    while (m->slots[at].left >= 0 && (m->slots[at].left != left || m->slots[at].right != right))
        at = at + 1 == m->cap ? 0 : at + 1;
    return &m->slots[at];
}

const struct merge *merges_find(const struct merges *m, int32_t left, int32_t right)
{
    if (m->count == 0)
        return NULL;
    const struct merge *found = find(m, left, right);
    return found->left < 0 ? NULL : found;
}

static bool allocate(struct merges *m, size_t cap)
{
    m->slots = mem_try(cap, sizeof(*m->slots));
    m->cap = m->slots == NULL ? 0 : cap;
    for (size_t i = 0; i < m->cap; i++)
        m->slots[i].left = -1;
    return m->slots != NULL;
}

/* What reading the list needs besides the scan. */
struct reading {
    struct merges *merges;
    const struct field *field;
    const struct vocabulary *vocabulary;
    size_t prefix_len;
    struct buffer left;
};

static enum weir_code missing(const struct reading *r, size_t rank, struct str piece,
                              struct weir_error *err)
{
    struct field_path path;
    struct str quote = field_quote(piece);
    return weir_fail(err, WEIR_LOAD_FAILED, "%s[%zu]: '%.*s' is not in model.vocab",
                     field_path(r->field, &path), rank, STR_ARG(quote));
}

static int32_t value_at(const struct vocabulary *v, uint32_t node)
{
    return node == TRIE_NONE || node == TRIE_ROOT ? VOCABULARY_NO_ID : v->trie.nodes[node].value;
}

static enum weir_code add(struct reading *r, const struct pair *pair, size_t rank,
                          struct weir_error *err)
{
    struct field_path path;
    const struct trie *t = &r->vocabulary->trie;
    uint32_t left_end = trie_walk(t, TRIE_ROOT, pair->left);
    int32_t left = value_at(r->vocabulary, left_end);
    int32_t right = vocabulary_find(r->vocabulary, pair->right);
    if (left < 0 || right < 0)
        return missing(r, rank, left < 0 ? pair->left : pair->right, err);
    if (pair->right.len < r->prefix_len)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "%s[%zu]: the right piece is shorter than model.continuing_subword_prefix",
                         field_path(r->field, &path), rank);
    struct str rest = { pair->right.data + r->prefix_len, pair->right.len - r->prefix_len };
    int32_t made = value_at(r->vocabulary, trie_walk(t, left_end, rest));
    if (made < 0) {
        struct str left_quote = field_quote(pair->left), rest_quote = field_quote(rest);
        return weir_fail(err, WEIR_LOAD_FAILED, "%s[%zu]: '%.*s%.*s' is not in model.vocab",
                         field_path(r->field, &path), rank, STR_ARG(left_quote),
                         STR_ARG(rest_quote));
    }
    struct merge *slot = find(r->merges, left, right);
    r->merges->count += slot->left < 0;
    *slot = (struct merge){ .left = left, .right = right, .rank = (uint32_t)rank, .made = made };
    return WEIR_OK;
}

/* `"left right"`; a line that names the version of a merges.txt is no merge. */
static bool cut_pair(struct str text, struct pair *out)
{
    struct str behind;
    return str_cut(text, ' ', &out->left, &out->right) &&
           !str_cut(out->right, ' ', &out->right, &behind);
}

/* `["left", "right"]`. The left text is kept in `left`. */
static bool scan_pair(struct json_scan *s, struct buffer *left, struct pair *out)
{
    struct str text;
    if (!json_scan_need(s, '[') || !json_scan_string(s, &text))
        return false;
    buffer_clear(left);
    buffer_str(left, text);
    out->left = buffer_view(left);
    return json_scan_need(s, ',') && json_scan_string(s, &out->right) && json_scan_need(s, ']') &&
           !left->failed;
}

static enum weir_code not_json(const struct field *f, const struct json_scan *s,
                               struct weir_error *err)
{
    struct field_path path;
    return weir_fail(err, WEIR_LOAD_FAILED,
                     "not JSON at byte %zu of %s, or not a text \"left right\" or a pair of texts",
                     s->at, field_path(f, &path));
}

static enum weir_code read_merge(struct reading *r, struct json_scan *s, size_t rank,
                                 struct weir_error *err)
{
    struct pair pair;
    struct str text;
    if (json_scan_peek(s) == '[') {
        if (!scan_pair(s, &r->left, &pair))
            return not_json(r->field, s, err);
    } else {
        if (!json_scan_string(s, &text))
            return not_json(r->field, s, err);
        if (str_starts(text, STR("#version")))
            return WEIR_OK;
        if (!cut_pair(text, &pair)) {
            struct str quote = field_quote(text);
            return weir_fail(
                err, WEIR_LOAD_FAILED,
                "model.merges[%zu] '%.*s' must be two pieces with a space between them", rank,
                STR_ARG(quote));
        }
    }
    return add(r, &pair, rank, err);
}

static size_t count_members(struct str list)
{
    struct json_scan s;
    size_t count = 0;
    bool first = true;
    json_scan_init(&s, list);
    json_scan_need(&s, '[');
    while (json_scan_more(&s, ']', &first) && json_scan_skip(&s))
        count++;
    json_scan_finish(&s);
    return count;
}

enum weir_code merges_load(struct merges *m, const struct field *f, struct str list,
                           const struct vocabulary *v, size_t prefix_len, struct weir_error *err)
{
    if (field_need_array(f, err))
        return WEIR_LOAD_FAILED;
    size_t count = count_members(list);
    if (count > MERGES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "model.merges has %zu members, the limit is %d",
                         count, MERGES_MAX);
    if (!allocate(m, count + count / 3 + 1))
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %zu merges", count);
    struct reading r = { .merges = m, .field = f, .vocabulary = v, .prefix_len = prefix_len };
    buffer_init(&r.left, list.len);
    struct json_scan s;
    json_scan_init(&s, list);
    enum weir_code code = WEIR_OK;
    bool first = true;
    json_scan_need(&s, '[');
    for (size_t rank = 0; code == WEIR_OK && json_scan_more(&s, ']', &first); rank++)
        code = read_merge(&r, &s, rank, err);
    if (code == WEIR_OK && (s.failed || s.at != list.len))
        code = not_json(f, &s, err);
    json_scan_finish(&s);
    buffer_finish(&r.left);
    return code;
}

void merges_finish(struct merges *m)
{
    mem_free(m->slots);
    *m = (struct merges){ 0 };
}
