/* pool_test.c — the pool as a whole: what it counts of its decisions, what it logs of its dead,
 * when it wakes, and how it ends. */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define ONE    ((struct model_settings){ .max_workers = 1 })

static uint64_t count_news(const struct test_pool *t, const char *kind)
{
    uint64_t count = 0;
    for (const char *at = t->heard.news; (at = strstr(at, kind)) != NULL; at++)
        count++;
    return count;
}

/* Orders to the world, transitions, ends of requests and of inspections: nothing else, and each
 * once. The checks of a settled state rely on it. */
static void assert_counted(const struct test_pool *t)
{
    const struct supervisor_totals totals = test_totals(t);
    uint64_t steps = 0;
    for (size_t i = 0; i < CHILD_STATE_COUNT; i++)
        for (size_t k = 0; k < CHILD_EVENT_COUNT; k++)
            steps += totals.rules[i][k];
    assert_int_equal(totals.decisions, t->world.orders + steps + totals.succeeded + totals.failed +
                                           count_news(t, "inspected "));
}

static void every_decision_is_counted(void **state)
{
    (void)state;
    static const char *const names[] = { "a", "b", "broken", "gone" };
    static const char *const payloads[] = { "e", "r", "k", "t", "f" };
    struct test_pool *t = test_open(250, NULL);
    struct rng rng;
    rand_seed(&rng, 7);
    t->world.inspect_ms = 600 * SECOND; /* whose inspector is killed */
    test_register(t, "stuck", 100, 20, ONE);
    test_run_until(t, 70 * SECOND);
    assert_int_equal(t->world.kills, 1);
    assert_counted(t);
    t->world.inspect_ms = 1;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        test_register(t, names[i], 100, 20, (struct model_settings){ .max_workers = 1 + i % 2 });
    t->world.models[3].fails = true;
    t->world.models[4].kills_inspector = true;
    for (int i = 0; i < 60; i++) {
        test_submit(t, names[rand_below(&rng, 4)], payloads[rand_below(&rng, 5)], 10 * SECOND);
        if (rand_below(&rng, 4) == 0)
            supervisor_cancel(t->supervisor, t->requests[rand_below(&rng, t->count)].id);
        if (rand_below(&rng, 10) == 0)
            supervisor_unload(t->supervisor, names[rand_below(&rng, 2)], NULL);
        t->world.is_stubborn = rand_below(&rng, 2) == 0;
        test_run_until(t, t->world.now_ms + (int64_t)rand_below(&rng, 5000));
        assert_counted(t);
    }
    assert_true(t->world.byes > 0 && t->world.terms > 0 && t->world.kills > 0);
    assert_true(t->world.pings > 0 && t->world.cancels > 0 && t->world.credits > 0);
    test_close(t);
}

static char logged[8192];

static void keep_line(void *context, enum log_level level, const char *line)
{
    (void)context;
    const size_t used = strlen(logged);
    if (level >= LOG_WARN)
        snprintf(logged + used, sizeof logged - used, "%s\n", line);
}

static void the_dead_are_logged_and_who_leaves_is_not(void **state)
{
    (void)state;
    const struct log log = { .sink = keep_line };
    struct test_pool *t = test_open(1000, NULL);
    t->supervisor->options.log = &log;
    logged[0] = '\0';
    test_register(t, "m", 100, 10, ONE);
    test_submit(t, "m", "r", 0);
    test_run_until(t, SECOND);
    supervisor_on_exit(t->supervisor, 2, "signal 9", "x");
    supervisor_on_exit(t->supervisor, 2, "signal 11", "twice"); /* which can't be */
    t->world.processes[2].alive = false;
    test_run_until(t, 2 * SECOND);
    assert_string_equal(logged, "child: m worker 2, last words: x\n"
                                "child: m worker 2 died: it exited; signal 9\n"
                                "job: m: a job of worker 2 is tried once more, alone request=1\n");
    logged[0] = '\0';
    supervisor_on_lost(t->supervisor, 3, "its channel was closed");
    test_run_until(t, 2 * SECOND);
    supervisor_on_exit(t->supervisor, 3, "signal 6", "");
    t->world.processes[3].alive = false;
    test_run_until(t, 3 * SECOND);
    assert_string_equal(logged, "child: m worker 3 died: its channel was closed; signal 6\n"
                                "job: m: a job of worker 3 is quarantined request=1\n");
    logged[0] = '\0';
    test_run_until(t, 10 * SECOND);
    test_submit(t, "m", "t", 0); /* whose answer begins */
    test_run_until(t, 12 * SECOND);
    test_exit(&t->world, 4);
    test_run_until(t, 13 * SECOND);
    assert_string_equal(logged,
                        "child: m worker 4 died: it exited; exit status 0\n"
                        "job: m: a job of worker 4 is lost, its answer had begun request=3\n");
    logged[0] = '\0';
    test_run_until(t, 30 * SECOND);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 32 * SECOND);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    test_run_until(t, 33 * SECOND);
    assert_string_equal(logged, "");
    t->supervisor->options.log = NULL;
    test_close(t);
}

/* Facts about processes that nobody knows (any more) are nobody's. */
static void facts_about_strangers_are_ignored(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, ONE);
    test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    const struct supervisor_totals before = test_totals(t);
    const struct frame f = { .type = FRAME_LOADED };
    static const uint32_t strangers[] = { 0, 1, 77 }; /* 1 was the inspector */
    for (size_t i = 0; i < ARRAY_COUNT(strangers); i++) {
        supervisor_on_frame(t->supervisor, strangers[i], &f);
        supervisor_on_lost(t->supervisor, strangers[i], "its channel was closed");
        supervisor_on_exit(t->supervisor, strangers[i], "exit status 0", "words");
    }
    test_exit(&t->world, 2);
    test_run_until(t, SECOND);
    supervisor_on_frame(t->supervisor, 2, &f); /* after its exit */
    supervisor_on_lost(t->supervisor, 2, "its channel was closed");
    supervisor_on_exit(t->supervisor, 2, "exit status 0", NULL);
    test_run_until(t, SECOND + 1);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready Dead");
    const struct supervisor_totals after = test_totals(t);
    assert_int_equal(after.decisions, before.decisions + 1);
    assert_int_equal(after.children, 0);
    assert_int_equal(after.leased_bytes, 0);
    test_close(t);
}

/* Time does not go back, and a pool that was never opened is no trouble to close. */
static void the_clock_only_rises(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    supervisor_clock(t->supervisor, 500);
    supervisor_clock(t->supervisor, 100);
    assert_int_equal(t->supervisor->now_ms, 500);
    t->world.now_ms = 500;
    test_close(t);
    supervisor_destroy(NULL);
}

/* Callers may ask for more from within their ends. What they ask for is decided in the same turn,
 * unless it goes on and on. */
struct caller {
    struct supervisor *supervisor;
    bool cancels;
    uint32_t ends, most;
};

static void on_end_submit(void *context, uint64_t id, const struct request_outcome *outcome);
static const struct request_callbacks caller_callbacks = { .on_end = on_end_submit };

static void caller_submit(struct caller *c)
{
    const struct submission r = { .model = "m",
                                  .operation = WEIR_LOAD,
                                  .priority = 2,
                                  .callbacks = &caller_callbacks,
                                  .context = c };
    const uint64_t id = supervisor_submit(c->supervisor, &r, NULL);
    CHECK(id != 0);
    if (c->cancels)
        CHECK(supervisor_cancel(c->supervisor, id));
}

static void on_end_submit(void *context, uint64_t id, const struct request_outcome *outcome)
{
    (void)id, (void)outcome;
    struct caller *c = context;
    if (++c->ends < c->most)
        caller_submit(c);
}

static void a_turn_takes_up_what_its_ends_ask_for(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, ONE);
    test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    struct caller c = { .supervisor = t->supervisor, .cancels = true, .most = 4 };
    caller_submit(&c);
    assert_true(supervisor_is_dirty(t->supervisor));
    assert_true(supervisor_turn(t->supervisor, SECOND) > SECOND);
    assert_int_equal(c.ends, 4);
    assert_false(supervisor_is_dirty(t->supervisor));
    c.most = 104;
    caller_submit(&c);
    assert_int_equal(supervisor_turn(t->supervisor, SECOND), SECOND);
    assert_int_equal(c.ends, 4 + 8); /* rounds: the world has its turn, too */
    assert_true(supervisor_is_dirty(t->supervisor));
    test_run_until(t, SECOND);
    assert_int_equal(c.ends, 104);
    test_close(t);
}

/* Nobody wakes a pool that has nothing to look after, and its memory is read only while it has. */
static void a_pool_without_workers_sleeps(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_run_until(t, 0);
    assert_true(t->wake_ms == TIMER_NEVER);
    test_register(t, "m", 100, 10, ONE);
    test_run_until(t, 10 * SECOND);
    assert_int_equal(test_totals(t).children, 0);
    assert_true(t->wake_ms == TIMER_NEVER);
    test_submit(t, "m", "r", 0);
    test_run_until(t, 12 * SECOND);
    for (int64_t s = 20; s < 60; s += 10) {
        t->world.available_bytes = (uint64_t)s * GiB / 2;
        test_run_until(t, (s + 5) * SECOND);
        assert_true(t->supervisor->facts.available_bytes == t->world.available_bytes);
        assert_true(t->wake_ms <= (s + 10) * SECOND);
    }
    test_finish_jobs(&t->world);
    test_run_until(t, 200 * SECOND);
    assert_int_equal(test_totals(t).children, 0);
    assert_true(t->wake_ms == TIMER_NEVER);
    test_close(t);
}

/* Once no process is left, requests, graves and models go with the pool. */
static void a_pool_may_be_closed_as_it_is(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, ONE);
    test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    test_exit(&t->world, 2);
    test_run_until(t, SECOND);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready Dead");
    for (int i = 0; i < 3; i++)
        test_submit(t, "m", "e", 0);
    assert_true(supervisor_cancel(t->supervisor, t->requests[1].id));
    supervisor_destroy(t->supervisor);
    for (int i = 1; i <= 3; i++)
        assert_false(t->requests[i].ended); /* nobody is called any more */
    mem_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_decision_is_counted),
        cmocka_unit_test(the_dead_are_logged_and_who_leaves_is_not),
        cmocka_unit_test(facts_about_strangers_are_ignored),
        cmocka_unit_test(the_clock_only_rises),
        cmocka_unit_test(a_turn_takes_up_what_its_ends_ask_for),
        cmocka_unit_test(a_pool_without_workers_sleeps),
        cmocka_unit_test(a_pool_may_be_closed_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
