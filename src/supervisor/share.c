/* share.c — the cores, shared out among the workers that compute now. */
#include "supervisor/state.h"

/* By id, so that the same workers always get the same shares; few are busy at a time. */
void share_join(struct supervisor *s, struct child *c)
{
    struct link *at = &s->busy;
    while (at->prev != &s->busy && CONTAINER_OF(at->prev, struct child, busy_link)->id > c->id)
        at = at->prev;
    list_insert_before(at, &c->busy_link);
    s->busy_count++;
    s->shares_dirty = true;
}

void share_leave(struct supervisor *s, struct child *c)
{
    CHECK(s->busy_count > 0);
    list_remove(&c->busy_link);
    s->busy_count--;
    s->shares_dirty = true;
}

/* Each gets at least one; what does not divide goes to the first. */
void turn_share(struct supervisor *s)
{
    if (!s->shares_dirty)
        return;
    s->shares_dirty = false;
    const uint32_t busy = s->busy_count, threads = s->options.threads;
    uint32_t given = 0;
    LIST_EACH(&s->busy, at) {
        struct child *c = CONTAINER_OF(at, struct child, busy_link);
        uint32_t share = threads / busy + (given++ < threads % busy ? 1 : 0);
        share = share > 0 ? share : 1;
        if (share == c->threads)
            continue;
        c->threads = share;
        s->totals.decisions++;
        s->world->share(s->world->context, c->id, share);
    }
}
