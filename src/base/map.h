/* map.h — hash map from a run of bytes to a pointer. Keys are borrowed: they live in the values. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct map_slot;
struct map {
    struct map_slot *slots;
    size_t cap;
    size_t count;
};

void map_init(struct map *m);
void map_finish(struct map *m);
void *map_get(const struct map *m, struct str key); /* NULL when absent */
void map_put(struct map *m, struct str key,
             void *value);                       /* replaces (key pointer too); value != NULL */
void *map_remove(struct map *m, struct str key); /* what was there, or NULL */
/* Walks in no order: start with *cursor = 0; NULL at the end. Nothing may change meanwhile. */
void *map_next(const struct map *m, size_t *cursor);

/* Keys that are numbers: the key is the 8 bytes of *id, which must live as long as the entry. */
static inline struct str map_id(const uint64_t *id)
{
    return (struct str){ (const char *)id, sizeof(*id) };
}

#endif
