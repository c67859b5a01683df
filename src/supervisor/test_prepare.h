/* test_prepare.h — for the tests beside it: a model that is to be prepared. Process 1 is the
 * inspector, 2 the preparer. */
#ifndef SUPERVISOR_TEST_PREPARE_H
#define SUPERVISOR_TEST_PREPARE_H

#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#define SECOND INT64_C(1000)
#define ONE    ((struct model_settings){ .max_workers = 1 })

/* The request at 0 waits for the inspection; from then on for the preparer. */
#define INSPECTED_MS 11
#define ASKED_MS     21
#define PREPARED_MS  221

/* 100 MiB of weights, 10 of context; packed 80 MiB in f32 and 40 in bf16. */
static inline struct test_model *add(struct test_pool *t, const char *name,
                                     struct model_settings settings)
{
    struct test_model *m = test_register(t, name, 100, 10, settings);
    m->plan.packed_bytes[0] = 80 * MiB;
    m->plan.packed_bytes[1] = 40 * MiB;
    return m;
}

static inline struct model *find_model(struct test_pool *t, const char *name)
{
    return model_find(t->supervisor, name);
}

static inline uint64_t leased(const struct test_pool *t)
{
    return test_totals(t).leased_bytes / MiB;
}

static inline bool was_told(const struct test_pool *t, const char *line)
{
    return strstr(t->heard.news, line) != NULL;
}

/* The request waits for a preparer that has just been asked. */
static inline struct test_pool *open_asked(void)
{
    struct test_pool *t = test_open(1000, NULL);
    t->world.prepare_ms = 1000 * SECOND;
    add(t, "m", (struct model_settings){ .max_workers = 2 });
    test_submit(t, "m", "e", 0);
    test_run_until(t, ASKED_MS);
    CHECK(t->world.processes[2].asked != 0);
    return t;
}

#endif
