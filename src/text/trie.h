/* trie.h — the longest of many keys that a text begins with.
 *
 * Built once, never changed. A walk starts at TRIE_ROOT and takes one byte a step, so looking at a
 * text costs its bytes, not the number of keys. The children of a node lie side by side, in order
 * of their bytes. */
#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H

#include "base/error.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

#define TRIE_ROOT UINT32_C(0)
#define TRIE_NONE UINT32_MAX

struct trie_node {
    uint32_t first; /* its children: nodes first … first + count - 1 */
    int32_t value;  /* of the key that ends here, or -1 */
    uint16_t count;
    uint8_t byte; /* that leads here */
};
struct trie {
    struct trie_node *nodes;
    size_t count;
};

struct trie_entry {
    struct str key; /* not empty */
    int32_t value;  /* not negative; of equal keys the least counts */
};

/* Sorts the entries; their keys need not outlive the call. WEIR_NO_MEMORY is the only failure. */
enum weir_code trie_init(struct trie *t, struct trie_entry *entries, size_t count,
                         struct weir_error *err);
void trie_finish(struct trie *t);

/* Where the byte leads from the node, or TRIE_NONE. */
uint32_t trie_step(const struct trie *t, uint32_t node, uint8_t byte);
/* Where the whole of `s` leads from the node, or TRIE_NONE. */
uint32_t trie_walk(const struct trie *t, uint32_t node, struct str s);
/* The value of the longest key that `s` begins with when the walk starts at the node, and its
 * length in bytes; -1 when there is none. At least one byte is taken. */
int32_t trie_longest(const struct trie *t, uint32_t node, struct str s, size_t *out_len);

#endif
