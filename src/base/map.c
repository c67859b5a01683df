#include "base/map.h"

#include "base/check.h"
#include "base/mem.h"

/* Open addressing with linear probing. An entry stands at the place its hash asks for or, if
 * that is taken, as near behind it as there was room; between the two no slot is empty. Removal
 * keeps this true by moving later entries forward, so there are no tombstones and a map never
 * wears out. */
struct map_slot {
    struct str key;
    void *value; /* NULL: empty */
    uint64_t hash;
};

enum { LEAST_CAP = 16 };

void map_init(struct map *m)
{
    *m = (struct map){ .slots = NULL };
}

void map_finish(struct map *m)
{
    if (m == NULL)
        return;
    mem_free(m->slots);
    map_init(m);
}

/* The slot of the key, or the empty one where it would stand. There is always an empty one. */
static size_t find(const struct map *m, struct str key, uint64_t hash)
{
    size_t at = (size_t)hash & (m->cap - 1);
    while (m->slots[at].value != NULL &&
           (m->slots[at].hash != hash || !str_eq(m->slots[at].key, key)))
        at = (at + 1) & (m->cap - 1);
    return at;
}

void *map_get(const struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    return m->slots[find(m, key, str_hash(key))].value;
}

/* Twice the slots. Keys are not read: the stored hashes place the entries. */
static void grow(struct map *m)
{
    const struct map old = *m;
    m->cap = old.cap > 0 ? old.cap * 2 : LEAST_CAP;
    m->slots = mem_new(m->cap, sizeof(*m->slots));
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].value == NULL)
            continue;
        size_t at = (size_t)old.slots[i].hash & (m->cap - 1);
        while (m->slots[at].value != NULL)
            at = (at + 1) & (m->cap - 1);
        m->slots[at] = old.slots[i];
    }
    mem_free(old.slots);
}

void map_put(struct map *m, struct str key, void *value)
{
    CHECK(value != NULL);
    /* At most three quarters full, so that probes stay short. */
    if (m->count >= m->cap / 4 * 3)
        grow(m);
    const uint64_t hash = str_hash(key);
    struct map_slot *const slot = &m->slots[find(m, key, hash)];
    if (slot->value == NULL)
        m->count++;
    *slot = (struct map_slot){ .key = key, .value = value, .hash = hash };
}

void *map_remove(struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    const size_t mask = m->cap - 1;
    size_t hole = find(m, key, str_hash(key));
    void *const value = m->slots[hole].value;
    if (value == NULL)
        return NULL;
    /* An entry behind the hole fills it unless its own place lies between the two: then it would
     * stand before the place where the search for it starts. */
    for (size_t at = (hole + 1) & mask; m->slots[at].value != NULL; at = (at + 1) & mask) {
        const size_t home = (size_t)m->slots[at].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        m->slots[hole] = m->slots[at];
        hole = at;
    }
    m->slots[hole] = (struct map_slot){ .value = NULL };
    m->count--;
    return value;
}

void *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->cap) {
        void *const value = m->slots[(*cursor)++].value;
        if (value != NULL)
            return value;
    }
    return NULL;
}
