#include "text/tokens.h"

#include "base/mem.h"

#define FIRST_CAP 64

void tokens_finish(struct tokens *t)
{
    mem_free(t->ids);
    *t = (struct tokens){ 0 };
}

bool tokens_reserve(struct tokens *t, size_t more)
{
    if (more <= t->cap - t->count)
        return true;
    if (more > SIZE_MAX / 4 - t->count)
        return false;
    size_t cap = t->cap == 0 ? FIRST_CAP : t->cap;
    while (cap - t->count < more)
        cap *= 2;
    int32_t *ids = mem_resize(t->ids, cap, sizeof(*ids));
    if (ids == NULL)
        return false;
    t->ids = ids;
    t->cap = cap;
    return true;
}
