/* test_still.h — for the tests beside it: a pool that stands still. Models and workers are set by
 * hand, in any state, and no turn runs: for what is arithmetic over the state alone. */
#ifndef SUPERVISOR_TEST_STILL_H
#define SUPERVISOR_TEST_STILL_H

#include "base/mem.h"
#include "base/size.h"
#include "supervisor/state.h"

struct test_still {
    struct supervisor *s;
    struct model models[4];
    struct child children[8];
    uint32_t models_count, children_count;
};

/* It is an hour old and has 10 GiB for models on a machine that has as much. */
static inline struct test_still *still_open(void)
{
    struct test_still *t = mem_new(1, sizeof *t);
    struct supervisor *s = t->s = mem_new(1, sizeof *s);
    s->options.limits = limits_default;
    s->options.threads = 1;
    s->now_ms = 3600000;
    s->budget_bytes = s->facts.total_bytes = s->facts.available_bytes = 10 * GiB;
    list_init(&s->models);
    map_init(&s->children);
    return t;
}

static inline void still_close(struct test_still *t)
{
    map_finish(&t->s->children);
    learned_finish(&t->s->learned);
    for (uint32_t i = 0; i < t->models_count; i++)
        queue_finish(&t->models[i].queue);
    mem_free(t->s);
    mem_free(t);
}

/* A model of one slot that was inspected, whose weights are given in MiB. */
static inline struct model *still_model(struct test_still *t, uint64_t weights)
{
    CHECK(t->models_count < ARRAY_COUNT(t->models));
    struct model *m = &t->models[t->models_count++];
    m->number = t->models_count;
    m->inspection = INSPECTION_DONE;
    m->plan = (struct plan){ .weights_bytes = weights * MiB, .slots = 1 };
    m->settings.max_workers = 4;
    list_init(&m->children);
    queue_init(&m->queue);
    list_push_back(&t->s->models, &m->link);
    return m;
}

/* A worker that leases `context` MiB. It has been READY for half an hour, if it ever was. */
static inline struct child *still_child(struct test_still *t, struct model *m,
                                        enum child_state state, uint64_t context)
{
    CHECK(t->children_count < ARRAY_COUNT(t->children));
    struct child *c = &t->children[t->children_count++];
    c->id = t->children_count;
    c->key = c->id;
    c->model = m;
    c->state = state;
    c->slots = 1;
    c->ready_ms = state == SPAWNING || state == LOADING ? 0 : t->s->now_ms - 1800000;
    c->last_used_ms = c->ready_ms;
    list_init(&c->jobs);
    list_push_back(&m->children, &c->link);
    map_put(&t->s->children, map_id(&c->key), c);
    c->lease.model = m;
    lease_move(t->s, &c->lease, LEASE_GRANT, context * MiB);
    return c;
}

#endif
