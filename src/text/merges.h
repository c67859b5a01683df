/* merges.h — which two neighbouring pieces become one, and which pair goes first.
 *
 * A hash from a pair of ids to its rank and to the id of the two together. Made once, from the list
 * of a file, never changed; 16 bytes a slot, of which three quarters are taken. */
#ifndef TEXT_MERGES_H
#define TEXT_MERGES_H

#include "base/error.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

#define MERGES_NONE UINT32_MAX

struct field;
struct vocabulary;

struct merge {
    int32_t left, right; /* left is -1 in an empty slot */
    uint32_t rank;       /* the place in the list: the least goes first */
    int32_t made;
};
/* All zeros is the empty list. */
struct merges {
    struct merge *slots;
    size_t cap, count;
};

/* `list` is what lists.h cut out of the field `f`: an array of "left right", or of ["left",
 * "right"]. All three pieces of a merge must be in the vocabulary; of the right one the first
 * `prefix_len` bytes are left out of what is made. Of a pair that stands there twice the last
 * counts. merges_finish is due after a failure too. */
enum weir_code merges_load(struct merges *m, const struct field *f, struct str list,
                           const struct vocabulary *v, size_t prefix_len, struct weir_error *err);
void merges_finish(struct merges *m);

/* NULL: the two do not become one. */
const struct merge *merges_find(const struct merges *m, int32_t left, int32_t right);

#endif
