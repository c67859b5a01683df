/* pressure_test.c — what follows when the machine has too little memory, or the budget falls. */
#include "supervisor/governor.h"
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define ONE    ((struct model_settings){ .max_workers = 1 })

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

/* A pool on a machine of 10 GiB with one loaded worker each of "a", "b" and "c", in the order of
 * their last use: 300 MiB each. */
static struct test_pool *open_with_three(void)
{
    struct test_pool *t = test_open(1000, NULL);
    t->world.total_bytes = t->world.available_bytes = 10000 * MiB;
    const char *const names[] = { "a", "b", "c" };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        test_register(t, names[i], 200, 100, ONE);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        test_submit(t, names[i], "e", 0);
        test_run_until(t, t->world.now_ms + 2 * SECOND);
        assert_ended(&t->requests[i], WEIR_OK);
    }
    assert_int_equal(test_totals(t).leased_bytes, 900 * MiB);
    return t;
}

static uint32_t workers(const struct test_pool *t, size_t model)
{
    return test_workers(&t->world, &t->world.models[model]);
}

/* Of 1500 MiB that have to be available 1100 are: 400 too much are leased, and one worker is not
 * enough. What has left is not taken for new pressure: the reading is the same. */
static void critical_pressure_makes_the_least_used_leave(void **state)
{
    (void)state;
    struct test_pool *t = open_with_three();
    t->world.available_bytes = 1100 * MiB;
    test_run_until(t, t->world.now_ms + 6 * SECOND);
    t->world.available_bytes = 1600 * MiB;
    test_run_until(t, t->world.now_ms + 6 * SECOND);
    assert_int_equal(workers(t, 0) + workers(t, 1), 0);
    assert_int_equal(workers(t, 2), 1);
    assert_non_null(
        strstr(t->heard.news, "evict a: for pressure: needs 400 MiB, leased 900 MiB of"));
    assert_non_null(strstr(t->heard.news, "the 2 that leave free 600 MiB"));
    assert_null(strstr(t->heard.news, "evict c"));
    assert_int_equal(test_totals(t).verdicts[VERDICT_EVICT], 1); /* of both together */
    assert_non_null(strstr(t->heard.news, "pressure -: 1.1 GiB of 9.8 GiB are available\n"));
    test_close(t);
}

/* A busy worker stays, all others leave although they do not suffice, and it follows when it may.
 */
static void those_leave_that_may(void **state)
{
    (void)state;
    struct test_pool *t = open_with_three();
    test_submit(t, "b", "r", 0);
    test_run_until(t, t->world.now_ms + SECOND);
    t->world.available_bytes = 100 * MiB;
    test_run_until(t, t->world.now_ms + 6 * SECOND);
    assert_int_equal(workers(t, 0) + workers(t, 2), 0);
    assert_int_equal(workers(t, 1), 1);
    test_finish_jobs(&t->world);
    test_run_until(t, t->world.now_ms + SECOND);
    assert_int_equal(workers(t, 1), 0);
    test_close(t);
}

static void the_pinned_stay_under_pressure(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.total_bytes = t->world.available_bytes = 10000 * MiB;
    const struct test_model *p =
        test_register(t, "p", 200, 100, (struct model_settings){ .max_workers = 1, .pin = true });
    const struct test_model *q = test_register(
        t, "q", 50, 50, (struct model_settings){ .max_workers = 2, .min_workers = 1 });
    test_submit(t, "p", "e", 0);
    test_submit(t, "q", "e", 0);
    test_run_until(t, 3 * SECOND);
    assert_int_equal(test_workers(&t->world, q), 2);
    t->world.available_bytes = 0;
    test_run_until(t, 15 * SECOND);
    assert_int_equal(test_workers(&t->world, p), 1);
    assert_int_equal(test_workers(&t->world, q), 1);
    test_close(t);
}

/* High pressure: the first worker of a model is needed, the second is not. */
static void no_second_worker_under_high_pressure(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, (struct model_settings){ 0 });
    t->world.total_bytes = 10000 * MiB;
    t->world.available_bytes = 2500 * MiB;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

/* A worker that reads its weights from disk all the time counts as high pressure, whatever the
 * machine says; one that does so only while it warms up does not. */
static void steady_page_faults_count_as_high(void **state)
{
    (void)state;
    for (uint32_t faults = 50; faults <= 51; faults++) {
        struct test_pool *t = test_open(1000, NULL);
        struct test_model *a = test_register(t, "a", 100, 10, ONE);
        struct test_model *b = test_register(t, "b", 100, 10, (struct model_settings){ 0 });
        a->faults_per_s = faults;
        test_submit(t, "a", "e", 0);
        test_run_until(t, 20 * SECOND);
        const struct test_request *r = test_submit(t, "b", "e", 0);
        test_run_until(t, 23 * SECOND);
        assert_ended(r, WEIR_OK);
        assert_int_equal(b->spawns, faults > 50 ? 1 : 2);
        assert_int_equal(strstr(t->heard.news, "from disk again and again") != NULL, faults > 50);
        test_close(t);
    }
}

/* A lower budget: what is too much leaves; a higher one wakes those that wait. */
static void the_budget_changes_while_it_runs(void **state)
{
    (void)state;
    struct test_pool *t = open_with_three();
    supervisor_configure(t->supervisor, 650 * MiB, 0);
    test_run_until(t, t->world.now_ms + SECOND);
    assert_int_equal(workers(t, 0), 0);
    assert_int_equal(workers(t, 1) + workers(t, 2), 2);
    assert_non_null(strstr(t->heard.news, "evict a: for the budget: needs 250 MiB"));
    assert_int_equal(test_totals(t).budget_bytes, 650 * MiB);
    test_submit(t, "b", "r", 0);
    test_submit(t, "c", "r", 0);
    test_run_until(t, t->world.now_ms + SECOND);
    const struct test_request *r = test_submit(t, "a", "e", 0);
    test_run_until(t, t->world.now_ms + 6 * SECOND);
    assert_false(r->ended);
    supervisor_configure(t->supervisor, 900 * MiB, 0);
    test_run_until(t, t->world.now_ms + SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(test_totals(t).leased_bytes, 900 * MiB);
    supervisor_configure(t->supervisor, 0, 3);
    assert_int_equal(test_totals(t).budget_bytes, 300 * MiB);
    test_close(t);
}

/* A busy worker is not cut off by a lower budget; nothing is granted until it has left. */
static void a_lower_budget_waits_for_the_busy(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *a = test_register(t, "a", 200, 100, ONE);
    struct test_model *b = test_register(t, "b", 50, 50, ONE);
    const struct test_request *runs = test_submit(t, "a", "r", 0);
    test_run_until(t, 2 * SECOND);
    supervisor_configure(t->supervisor, 200 * MiB, 0);
    const struct test_request *waits = test_submit(t, "b", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_int_equal(test_workers(&t->world, a), 1);
    assert_int_equal(b->spawns, 0);
    test_finish_jobs(&t->world);
    test_run_until(t, 12 * SECOND);
    assert_ended(runs, WEIR_OK);
    assert_ended(waits, WEIR_OK);
    assert_int_equal(test_workers(&t->world, a), 0);
    test_close(t);
}

/* What a worker turns out to use counts: another one leaves for it when the budget is passed. */
static void a_measurement_above_the_budget_makes_room(void **state)
{
    (void)state;
    struct test_pool *t = test_open(650, NULL);
    struct test_model *a = test_register(t, "a", 200, 100, ONE);
    struct test_model *b = test_register(t, "b", 200, 100, ONE);
    test_submit(t, "a", "e", 0);
    test_run_until(t, 2 * SECOND);
    test_submit(t, "b", "r", 0);
    test_run_until(t, 4 * SECOND);
    b->uses_bytes = 200 * MiB;
    test_run_until(t, 10 * SECOND);
    assert_int_equal(test_totals(t).leased_bytes, 400 * MiB);
    assert_int_equal(test_workers(&t->world, a), 0);
    assert_int_equal(test_workers(&t->world, b), 1);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(critical_pressure_makes_the_least_used_leave),
        cmocka_unit_test(those_leave_that_may),
        cmocka_unit_test(the_pinned_stay_under_pressure),
        cmocka_unit_test(no_second_worker_under_high_pressure),
        cmocka_unit_test(steady_page_faults_count_as_high),
        cmocka_unit_test(the_budget_changes_while_it_runs),
        cmocka_unit_test(a_lower_budget_waits_for_the_busy),
        cmocka_unit_test(a_measurement_above_the_budget_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
