/* test_pool.h — for the tests beside it: a pool in the world of test_world.h, run by the
 * millisecond. It keeps the paths of its workers, the ends of requests, and what it was told. */
#ifndef SUPERVISOR_TEST_POOL_H
#define SUPERVISOR_TEST_POOL_H

#include "base/mem.h"
#include "base/size.h"
#include "supervisor/test_orders.h"
#include "supervisor/test_process.h"
#include "supervisor/test_request.h"
#include "supervisor/test_told.h"

struct test_pool {
    struct test_world world;
    struct supervisor *supervisor;
    int64_t wake_ms;
    uint8_t priority;                /* of what is submitted next */
    struct submission next;          /* likewise: client, label, affinity, mergeable, keep-alive */
    char paths[TEST_PROCESSES][120]; /* "Spawning Loading Ready", by worker */
    char told[1000];                 /* "registered m, inspected m, ", as far as there is room */
    struct test_told heard;
    struct test_request requests[1200];
    size_t count;
};

static inline void test_on_event(void *context, const struct pool_event *e)
{
    struct test_pool *t = context;
    char *out = strcmp(e->kind, "state") == 0 ? t->paths[e->worker] : t->told;
    const size_t used = strlen(out);
    if (out != t->told)
        snprintf(out + used, sizeof t->paths[0] - used, "%s%s", used > 0 ? " " : "", e->to);
    else
        snprintf(out + used, sizeof t->told - used, "%s %s, ", e->kind, e->model ? e->model : "");
    test_hear(&t->heard, e);
}

/* A pool with `memory` MiB for models on a machine that has plenty; NULL: the default limits. */
static inline struct test_pool *test_open(uint64_t memory, const struct limits *limits)
{
    struct test_pool *t = mem_new(1, sizeof *t);
    struct test_world *w = &t->world;
    *w = (struct test_world){ .total_bytes = 64 * GiB,
                              .available_bytes = 60 * GiB,
                              .load_ms = 500,
                              .job_ms = 100,
                              .inspect_ms = 1,
                              .prepare_ms = 200 };
    w->world = test_world_of(w);
    const struct supervisor_options options = { .limits = limits != NULL ? *limits : limits_default,
                                                .memory_bytes = memory * MiB,
                                                .threads = 1,
                                                .cache = TEST_CACHE,
                                                .on_event = test_on_event,
                                                .event_context = t,
                                                .on_learned = test_on_learned,
                                                .learned_context = &t->heard,
                                                .on_inspected = test_on_inspected,
                                                .inspected_context = &t->heard };
    t->priority = 2;
    t->supervisor = w->supervisor = supervisor_create(&options, &w->world, 0);
    return t;
}

/* A turn follows every fact; time goes on when nothing is left to do. */
static inline void test_run_until(struct test_pool *t, int64_t until_ms)
{
    struct test_world *w = &t->world;
    for (;;) {
        int64_t next = supervisor_is_dirty(t->supervisor) ? w->now_ms : t->wake_ms;
        uint32_t who = 0;
        for (uint32_t id = 1; id < TEST_PROCESSES; id++)
            if (w->processes[id].alive && test_due(w, id) < next) {
                next = test_due(w, id);
                who = id;
            }
        if (next > until_ms)
            break;
        w->now_ms = next > w->now_ms ? next : w->now_ms;
        if (who != 0)
            test_act(w, who);
        else
            t->wake_ms = supervisor_turn(t->supervisor, w->now_ms);
    }
    w->now_ms = until_ms;
}

/* A model of one slot whose weights and context are given in MiB; all else as `settings` say. */
static inline struct test_model *test_register(struct test_pool *t, const char *name,
                                               uint64_t weights, uint64_t context,
                                               struct model_settings settings)
{
    struct test_model *m = t->world.models;
    while (m->name != NULL)
        m++;
    m->name = name;
    m->plan = (struct plan){ .capabilities = 1u << WEIR_TEXT_EMBEDDING,
                             .architecture = "fake",
                             .weights_bytes = weights * MiB,
                             .fixed_bytes = context * MiB,
                             .slots = 1 };
    settings.name = settings.path = name;
    settings.max_workers = settings.max_workers > 0 ? settings.max_workers : 2;
    settings.priority = settings.priority > 0 ? settings.priority : 2;
    settings.idle_ms = 60000, settings.idle_label_ms = 30000;
    supervisor_clock(t->supervisor, t->world.now_ms);
    CHECK(supervisor_register(t->supervisor, &settings, NULL) == WEIR_OK);
    return m;
}

/* The request, whose id is 0 and whose error is set when it was refused. */
static inline struct test_request *test_submit(struct test_pool *t, const char *model,
                                               const char *payload, int64_t deadline_ms)
{
    struct test_request *r = &t->requests[t->count++];
    CHECK(t->count <= ARRAY_COUNT(t->requests));
    struct submission s = t->next;
    s.model = model, s.operation = WEIR_EMBED, s.priority = t->priority;
    s.own_credit = payload[0] == STALLS;
    s.deadline_ms = deadline_ms;
    s.payload = (uint8_t *)mem_copy_text(payload, strlen(payload));
    s.payload_bytes = strlen(payload);
    s.callbacks = &test_callbacks, s.context = r;
    supervisor_clock(t->supervisor, t->world.now_ms);
    r->id = supervisor_submit(t->supervisor, &s, &r->error);
    if (r->id == 0)
        mem_free(s.payload);
    return r;
}

static inline struct supervisor_totals test_totals(const struct test_pool *t)
{
    struct supervisor_totals totals;
    supervisor_totals(t->supervisor, &totals);
    return totals;
}

static inline void test_close(struct test_pool *t)
{
    t->world.holds_exits = false;
    supervisor_clock(t->supervisor, t->world.now_ms);
    supervisor_drain(t->supervisor, 0);
    test_run_until(t, t->world.now_ms + 60000);
    const struct supervisor_totals left = test_totals(t);
    CHECK(supervisor_drained(t->supervisor) && left.leased_bytes == 0 && left.requests == 0);
    supervisor_destroy(t->supervisor);
    mem_free(t);
}

#endif
