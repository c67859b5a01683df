/* arena.h — many allocations, one death. Sizes that foreign data states are bounded by `max`. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t used; /* in the newest block */
    size_t total;
    size_t max;
};

void arena_init(struct arena *a, size_t max);
void arena_finish(struct arena *a);
void arena_clear(struct arena *a);                           /* everything in it dies */
void *arena_try(struct arena *a, size_t count, size_t size); /* zeroed, aligned 16; NULL at max */
struct str arena_str(struct arena *a, struct str s); /* NUL-terminated copy; data NULL at max */

#endif
