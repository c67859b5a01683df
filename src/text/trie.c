#include "text/trie.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* An entry while it is sorted. */
struct place {
    uint64_t beginning;
    size_t entry;
};

/* The entries that pass through a node, while the trie is built. */
struct span {
    size_t node, low, high, depth;
};

static int compare(const void *left, const void *right)
{
    const struct trie_entry *a = left, *b = right;
    size_t shorter = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = memcmp(a->key.data, b->key.data, shorter);
    if (order != 0)
        return order;
    if (a->key.len != b->key.len)
        return a->key.len < b->key.len ? -1 : 1;
    return (a->value > b->value) - (a->value < b->value);
}

/* The first eight bytes of a key, as a number that is in the order of keys. */
static uint64_t beginning_of(struct str key)
{
    uint64_t beginning = 0;
    for (size_t i = 0; i < sizeof(beginning); i++)
        beginning = beginning << 8 | (i < key.len ? (uint8_t)key.data[i] : 0);
    return beginning;
}

/* Sorts by beginning, one byte a round, from the last to the first; each round keeps the order of
 * those before it. Returns the one of the two that has the result. */
static struct place *sort_places(struct place *from, struct place *to, size_t count)
{
    for (int shift = 0; shift < 64; shift += 8) {
        size_t starts[256] = { 0 }, sum = 0;
        for (size_t i = 0; i < count; i++)
            starts[from[i].beginning >> shift & 0xFF]++;
        if (starts[from[0].beginning >> shift & 0xFF] == count)
            continue;
        for (size_t i = 0; i < ARRAY_COUNT(starts); i++) {
            size_t here = starts[i];
            starts[i] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++)
            to[starts[from[i].beginning >> shift & 0xFF]++] = from[i];
        struct place *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* A vocabulary has so many keys, and such short ones, that comparing them all would be half the
 * cost of loading it: only those that begin alike are compared. False when there is no memory. */
static bool sort(struct trie_entry *entries, size_t count)
{
    struct place *places = mem_try(count * 2, sizeof(*places));
    struct trie_entry *before = mem_try(count, sizeof(*before));
    bool ok = places != NULL && before != NULL;
    if (ok && count > 0) {
        for (size_t i = 0; i < count; i++)
            places[i] = (struct place){ beginning_of(entries[i].key), i };
        memcpy(before, entries, count * sizeof(*entries));
        const struct place *sorted = sort_places(places, places + count, count);
        for (size_t i = 0, end; i < count; i = end) {
            for (end = i; end < count && sorted[end].beginning == sorted[i].beginning; end++)
                entries[end] = before[sorted[end].entry];
            if (end - i > 1)
                qsort(entries + i, end - i, sizeof(*entries), compare);
        }
    }
    mem_free(places);
    mem_free(before);
    return ok;
}

static size_t common_prefix(struct str a, struct str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.data[n] == b.data[n])
        n++;
    return n;
}

/* Of sorted entries each adds the nodes that its predecessor has not. */
static size_t count_nodes(const struct trie_entry *entries, size_t count)
{
    size_t nodes = 1;
    for (size_t i = 0; i < count; i++)
        nodes +=
            entries[i].key.len - (i == 0 ? 0 : common_prefix(entries[i - 1].key, entries[i].key));
    return nodes;
}

/* The first of the entries from low to high, which are alike before `depth`, that has the byte of
 * the last of them there. */
static size_t first_with(const struct trie_entry *entries, size_t low, size_t high, size_t depth,
                         char byte)
{
    size_t end = high - 1;
    while (low < end) {
        size_t middle = low + (end - low) / 2;
        if (entries[middle].key.data[depth] == byte)
            end = middle;
        else
            low = middle + 1;
    }
    return end;
}

/* What is below a node that a single key passes through: a node a byte, one behind the other. */
static size_t put_chain(struct trie *t, size_t node, struct str rest, int32_t value, size_t made)
{
    for (size_t i = 0; i < rest.len; i++) {
        t->nodes[node].first = (uint32_t)made;
        t->nodes[node].count = 1;
        t->nodes[made].byte = (uint8_t)rest.data[i];
        t->nodes[made].value = -1;
        node = made++;
    }
    t->nodes[node].value = value;
    return made;
}

/* The children of a node follow each other, and behind them comes all that is below the first of
 * them, then below the second: a walk soon stays within a few lines of the cache. `todo` has room
 * for the children of as many nodes as the longest key has bytes. */
static void fill(struct trie *t, struct span *todo, const struct trie_entry *entries, size_t count)
{
    size_t made = 1, waiting = 1;
    t->nodes[0].value = -1;
    todo[0] = (struct span){ .node = 0, .low = 0, .high = count, .depth = 0 };
    while (waiting > 0) {
        struct span span = todo[--waiting];
        struct trie_node *node = &t->nodes[span.node];
        size_t at = span.low;
        if (span.high - span.low == 1) {
            struct str key = entries[at].key;
            struct str rest = { key.data + span.depth, key.len - span.depth };
            made = put_chain(t, span.node, rest, entries[at].value, made);
            continue;
        }
        for (; at < span.high && entries[at].key.len == span.depth; at++) {
            if (node->value < 0)
                node->value = entries[at].value;
        }
        node->first = (uint32_t)made;
        /* From the last to the first, so that the first is the next to be taken. */
        size_t high = span.high;
        while (high > at) {
            char byte = entries[high - 1].key.data[span.depth];
            size_t low = first_with(entries, at, high, span.depth, byte);
            todo[waiting++] = (struct span){ .low = low, .high = high, .depth = span.depth + 1 };
            node->count++;
            high = low;
        }
        for (size_t i = 0; i < node->count; i++) {
            struct span *child = &todo[waiting - 1 - i];
            child->node = made;
            t->nodes[made].byte = (uint8_t)entries[child->low].key.data[span.depth];
            t->nodes[made].value = -1;
            made++;
        }
    }
}

/* The most spans that wait at a time while the trie is filled. */
static size_t most_waiting(const struct trie_entry *entries, size_t count, size_t nodes)
{
    size_t longest = 0;
    for (size_t i = 0; i < count; i++)
        longest = entries[i].key.len > longest ? entries[i].key.len : longest;
    size_t most = (longest + 1) * 256;
    return most < nodes ? most : nodes;
}

enum weir_code trie_init(struct trie *t, struct trie_entry *entries, size_t count,
                         struct weir_error *err)
{
    if (!sort(entries, count))
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for a trie of %zu keys", count);
    size_t nodes = count_nodes(entries, count);
    if (nodes >= TRIE_NONE)
        return weir_fail(err, WEIR_NO_MEMORY, "a trie of %zu nodes is over the limit of %u", nodes,
                         TRIE_NONE);
    struct trie made = { .nodes = mem_try(nodes, sizeof(*made.nodes)), .count = nodes };
    struct span *todo = mem_try(most_waiting(entries, count, nodes), sizeof(*todo));
    if (made.nodes == NULL || todo == NULL) {
        mem_free(made.nodes);
        mem_free(todo);
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for a trie of %zu nodes", nodes);
    }
    fill(&made, todo, entries, count);
    mem_free(todo);
    *t = made;
    return WEIR_OK;
}

void trie_finish(struct trie *t)
{
    mem_free(t->nodes);
    *t = (struct trie){ 0 };
}

uint32_t trie_step(const struct trie *t, uint32_t node, uint8_t byte)
{
    uint32_t low = t->nodes[node].first, high = low + t->nodes[node].count;
    uint32_t end = high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->nodes[middle].byte < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && t->nodes[low].byte == byte ? low : TRIE_NONE;
}

uint32_t trie_walk(const struct trie *t, uint32_t node, struct str s)
{
    for (size_t i = 0; i < s.len && node != TRIE_NONE; i++)
        node = trie_step(t, node, (uint8_t)s.data[i]);
    return node;
}

int32_t trie_longest(const struct trie *t, uint32_t node, struct str s, size_t *out_len)
{
    int32_t value = -1;
    for (size_t i = 0; i < s.len && node != TRIE_NONE; i++) {
        node = trie_step(t, node, (uint8_t)s.data[i]);
        if (node != TRIE_NONE && t->nodes[node].value >= 0) {
            value = t->nodes[node].value;
            *out_len = i + 1;
        }
    }
    return value;
}
