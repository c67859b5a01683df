#include "text/trie.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* The entries that pass through a node, while the trie is built. */
struct span {
    size_t low, high, depth;
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

/* Breadth first, so that the children of a node follow each other. */
static void fill(struct trie *t, struct span *spans, const struct trie_entry *entries, size_t count)
{
    size_t made = 1;
    t->nodes[0].value = -1;
    spans[0] = (struct span){ .low = 0, .high = count, .depth = 0 };
    for (size_t n = 0; n < made; n++) {
        struct trie_node *node = &t->nodes[n];
        struct span span = spans[n];
        size_t at = span.low;
        for (; at < span.high && entries[at].key.len == span.depth; at++) {
            if (node->value < 0)
                node->value = entries[at].value;
        }
        node->first = (uint32_t)made;
        while (at < span.high) {
            char byte = entries[at].key.data[span.depth];
            size_t low = at;
            while (at < span.high && entries[at].key.data[span.depth] == byte)
                at++;
            spans[made] = (struct span){ .low = low, .high = at, .depth = span.depth + 1 };
            t->nodes[made].byte = (uint8_t)byte;
            t->nodes[made].value = -1;
            node->count++;
            made++;
        }
    }
}

enum weir_code trie_init(struct trie *t, struct trie_entry *entries, size_t count,
                         struct weir_error *err)
{
    if (count > 1)
        qsort(entries, count, sizeof(*entries), compare);
    size_t nodes = count_nodes(entries, count);
    if (nodes >= TRIE_NONE)
        return weir_fail(err, WEIR_NO_MEMORY, "a trie of %zu nodes is over the limit of %u", nodes,
                         TRIE_NONE);
    struct trie made = { .nodes = mem_try(nodes, sizeof(*made.nodes)), .count = nodes };
    struct span *spans = mem_try(nodes, sizeof(*spans));
    if (made.nodes == NULL || spans == NULL) {
        mem_free(made.nodes);
        mem_free(spans);
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for a trie of %zu nodes", nodes);
    }
    fill(&made, spans, entries, count);
    mem_free(spans);
    *t = made;
    return WEIR_OK;
}

void trie_finish(struct trie *t)
{
    mem_free(t->nodes);
    *t = (struct trie){ 0 };
}

/* Where the byte leads from the node, or TRIE_NONE. */
static uint32_t step(const struct trie *t, uint32_t node, uint8_t byte)
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
        node = step(t, node, (uint8_t)s.data[i]);
    return node;
}

int32_t trie_longest(const struct trie *t, uint32_t node, struct str s, size_t *out_len)
{
    int32_t value = -1;
    for (size_t i = 0; i < s.len && node != TRIE_NONE; i++) {
        node = step(t, node, (uint8_t)s.data[i]);
        if (node != TRIE_NONE && t->nodes[node].value >= 0) {
            value = t->nodes[node].value;
            *out_len = i + 1;
        }
    }
    return value;
}
