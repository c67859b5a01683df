/* retire_test.c — which worker goes when fewer are needed, and that only so many do. */
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

/* Of "m", workers 2 to 4 with a job each that runs on. */
static struct test_pool *open_with_three(struct test_model **m)
{
    struct test_pool *t = test_open(1000, NULL);
    *m = test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 3 });
    for (int i = 0; i < 3; i++)
        test_submit(t, "m", "r", 0);
    test_run_until(t, 10 * SECOND);
    assert_int_equal(test_workers(&t->world, *m), 3);
    return t;
}

/* The job of that worker ends at that time. */
static void finish_at(struct test_pool *t, uint32_t worker, int64_t at_ms)
{
    test_run_until(t, at_ms - 1);
    t->world.processes[worker].jobs[0].due_ms = at_ms;
    test_run_until(t, at_ms);
}

static void allow_workers(struct test_pool *t, uint32_t most)
{
    const struct model_settings fewer = { .name = "m",
                                          .path = "m",
                                          .max_workers = most,
                                          .priority = 2,
                                          .idle_ms = MINUTE,
                                          .idle_label_ms = MINUTE / 2,
                                          .replace = true };
    assert_int_equal(supervisor_register(t->supervisor, &fewer, NULL), WEIR_OK);
}

static void the_least_recently_used_goes_first(void **state)
{
    (void)state;
    static const uint32_t orders[][3] = {
        {2,  3, 4},
        { 4, 2, 3},
        { 3, 4, 2}
    };
    for (int i = 0; i < 3; i++) {
        struct test_model *m;
        struct test_pool *t = open_with_three(&m);
        for (int k = 0; k < 3; k++)
            finish_at(t, orders[i][k], (11 + k) * SECOND);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(test_workers(&t->world, m), 3 - k);
            test_run_until(t, 13 * SECOND + (k + 1) * MINUTE + 10);
            assert_false(t->world.processes[orders[i][k]].alive);
        }
        test_close(t);
    }
}

/* Of those used last in one moment the oldest: there is one answer. */
static void of_equals_the_oldest_goes_first(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = open_with_three(&m);
    test_finish_jobs(&t->world);
    test_run_until(t, 10 * SECOND + MINUTE + 10);
    assert_false(t->world.processes[2].alive);
    assert_int_equal(test_workers(&t->world, m), 2);
    test_run_until(t, 10 * SECOND + 2 * MINUTE + 10);
    assert_false(t->world.processes[3].alive);
    assert_int_equal(test_workers(&t->world, m), 1);
    test_close(t);
}

/* As many as are too many, those used least lately, and at once. */
static void only_those_beyond_the_maximum_go(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = open_with_three(&m);
    finish_at(t, 3, 11 * SECOND);
    finish_at(t, 2, 12 * SECOND);
    finish_at(t, 4, 13 * SECOND);
    allow_workers(t, 2);
    test_run_until(t, 13 * SECOND + 10);
    assert_int_equal(test_workers(&t->world, m), 2);
    assert_false(t->world.processes[3].alive);
    assert_non_null(strstr(t->paths[3], "Evicting"));
    test_run_until(t, 30 * SECOND);
    assert_int_equal(test_workers(&t->world, m), 2);
    test_close(t);
}

/* Nobody is to stay but one: the one that still loads goes, although it came later. */
static void who_still_loads_goes_before_who_serves(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .min_workers = 1 });
    t->next.keep_alive_ms = KEEP_ALIVE_NONE;
    t->world.job_ms = 0; /* it ends when the second one is started */
    test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND);
    assert_true(t->requests[0].ended);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready");
    assert_string_equal(t->paths[3], "Spawning Evicting Dead");
    test_close(t);
}

/* A second worker is started for a first request, not for a second that is allowed now. */
static void a_higher_maximum_starts_nobody(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    test_submit(t, "m", "e", 0);
    test_run_until(t, 5 * SECOND);
    allow_workers(t, 2);
    test_run_until(t, 30 * SECOND);
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

/* It was lowered while the first one loaded: no second one comes only to leave again. */
static void a_lower_maximum_starts_no_second(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 2 });
    test_submit(t, "m", "r", 0);
    test_run_until(t, 100);
    assert_int_equal(m->spawns, 1);
    allow_workers(t, 1);
    test_run_until(t, 10 * SECOND);
    assert_int_equal(m->runs, 1);
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_recently_used_goes_first),
        cmocka_unit_test(of_equals_the_oldest_goes_first),
        cmocka_unit_test(only_those_beyond_the_maximum_go),
        cmocka_unit_test(who_still_loads_goes_before_who_serves),
        cmocka_unit_test(a_higher_maximum_starts_nobody),
        cmocka_unit_test(a_lower_maximum_starts_no_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
