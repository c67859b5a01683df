/* turn_test.c — how many workers a model has, and when: the pool on a fake clock. */
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

/* F001, F002, F008, F020. */
static void a_hundred_first_requests_start_two_workers(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 4 });
    t->world.job_ms = 1;
    test_run_until(t, SECOND);
    assert_int_equal(m->spawns, 0);
    for (int i = 0; i < 100; i++)
        assert_true(test_submit(t, "m", "e", 0)->id != 0);
    test_run_until(t, 30 * SECOND);
    for (int i = 0; i < 100; i++)
        assert_ended(&t->requests[i], WEIR_OK);
    assert_int_equal(m->runs, 100);
    assert_int_equal(m->spawns, 2);
    assert_int_equal(test_totals(t).leased_bytes, 120 * MiB);
    test_close(t);
}

/* F009, F011, F023, F044: the second worker starts once the first serves: it cannot delay the first
 * answer. */
static void the_first_ready_worker_is_enough(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, (struct model_settings){ 0 });
    test_run_until(t, SECOND);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND + 500);
    assert_int_equal(m->spawns, 1);
    test_run_until(t, SECOND + 650);
    assert_ended(r, WEIR_OK);
    assert_int_equal(m->spawns, 2);
    assert_string_equal(t->paths[3], "Spawning Loading");
    test_close(t);
}

/* F018. */
static void one_worker_where_memory_allows_no_more(void **state)
{
    (void)state;
    struct test_pool *t = test_open(250, NULL);
    struct test_model *m = test_register(t, "m", 100, 100, (struct model_settings){ 0 });
    for (int i = 0; i < 20; i++)
        test_submit(t, "m", "e", 0);
    test_run_until(t, 30 * SECOND);
    for (int i = 0; i < 20; i++)
        assert_ended(&t->requests[i], WEIR_OK);
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

static void assert_workers(struct test_pool *t, const struct test_model *m, int64_t at_ms,
                           uint32_t count)
{
    test_run_until(t, at_ms);
    if (test_workers(&t->world, m) != count)
        fail_msg("at %lld s: %u workers, expected %u", (long long)(at_ms / SECOND),
                 test_workers(&t->world, m), count);
}

/* F036, F037, F040: the reference timeline of the specification, to the second. */
static void the_reference_timeline(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 4 });
    assert_workers(t, m, 5 * SECOND, 0);
    test_submit(t, "m", "r", 0);
    test_submit(t, "m", "r", 0);
    assert_workers(t, m, 9 * SECOND - 1, 2);
    test_submit(t, "m", "r", 0);
    assert_workers(t, m, 10 * SECOND - 2, 2);
    assert_workers(t, m, 10 * SECOND + 1, 3);
    test_run_until(t, 14 * SECOND - 1);
    test_submit(t, "m", "r", 0);
    assert_workers(t, m, 15 * SECOND + 1, 4);
    test_submit(t, "m", "r", 0); /* a fifth has no worker to hope for */
    assert_workers(t, m, 4 * MINUTE, 4);
    supervisor_cancel(t->supervisor, t->requests[4].id);
    assert_workers(t, m, 5 * MINUTE, 4);
    test_finish_jobs(&t->world);
    assert_workers(t, m, 6 * MINUTE - 1, 4);
    assert_workers(t, m, 6 * MINUTE + 10, 3);
    assert_workers(t, m, 7 * MINUTE - 1, 3);
    assert_workers(t, m, 7 * MINUTE + 10, 2);
    test_run_until(t, 7 * MINUTE + 30 * SECOND);
    test_submit(t, "m", "r", 0);
    assert_workers(t, m, 8 * MINUTE + 30 * SECOND, 2);
    test_finish_jobs(&t->world);
    assert_workers(t, m, 9 * MINUTE + 30 * SECOND - 1, 2);
    assert_workers(t, m, 9 * MINUTE + 30 * SECOND + 10, 1);
    assert_workers(t, m, 10 * MINUTE + 30 * SECOND - 1, 1);
    assert_workers(t, m, 10 * MINUTE + 30 * SECOND + 10, 0);
    assert_int_equal(test_totals(t).leased_bytes, 0);
    assert_int_equal(m->spawns, 4);
    test_close(t);
}

/* F012, F030. */
static void a_slow_load_is_left_alone(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    t->world.load_ms = 10 * MINUTE;
    const struct test_request *r = test_submit(t, "m", "e", 20 * MINUTE);
    test_run_until(t, 10 * MINUTE);
    assert_string_equal(t->paths[2], "Spawning Loading");
    test_run_until(t, 11 * MINUTE);
    assert_ended(r, WEIR_OK);
    test_close(t);
}

static struct test_request *submit_at(struct test_pool *t, uint8_t priority)
{
    t->priority = priority;
    return test_submit(t, "m", "e", 0);
}

/* F130, F140: better classes first, the older of equals; ten seconds of waiting are worth one
 * class. */
static void priorities_age(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    test_submit(t, "m", "r", 0);
    test_run_until(t, 2 * SECOND);
    const struct test_request *old = submit_at(t, 4);
    test_run_until(t, 43 * SECOND); /* worth four classes now: as good as the critical one */
    const struct test_request *low = submit_at(t, 3);
    const struct test_request *normal = submit_at(t, 2);
    const struct test_request *second = submit_at(t, 2);
    const struct test_request *critical = submit_at(t, 0);
    test_run_until(t, 44 * SECOND);
    test_finish_jobs(&t->world);
    test_run_until(t, 46 * SECOND);
    assert_ended(low, WEIR_OK);
    assert_int_equal(old->total_ms - 41 * SECOND, 1100);
    assert_int_equal(critical->total_ms, 1200);
    assert_int_equal(normal->total_ms, 1300);
    assert_int_equal(second->total_ms, 1400);
    assert_int_equal(low->total_ms, 1500);
    test_close(t);
}

static void an_idle_worker_takes_a_job(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    test_submit(t, "m", "e", 0);
    test_run_until(t, 40 * SECOND);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready Idle");
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 41 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_string_equal(t->paths[2],
                        "Spawning Loading Ready Processing Ready Idle Processing Ready");
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

static void a_minimum_is_kept_without_requests_until_it_is_unloaded(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .min_workers = 1 });
    assert_workers(t, m, 2 * SECOND, 1);
    assert_workers(t, m, 30 * MINUTE, 1);
    assert_int_equal(m->spawns, 1);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    assert_workers(t, m, 31 * MINUTE, 0);
    assert_workers(t, m, 60 * MINUTE, 0);
    test_submit(t, "m", "e", 0);
    assert_workers(t, m, 70 * MINUTE, 1);
    test_close(t);
}

/* A single request is enough for the whole minimum to count again. */
static void a_minimum_counts_again_from_the_next_request_on(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .min_workers = 3, .max_workers = 4 });
    assert_workers(t, m, MINUTE, 3);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    assert_workers(t, m, 2 * MINUTE, 0);
    test_submit(t, "m", "e", 0);
    assert_workers(t, m, 10 * MINUTE, 3);
    test_close(t);
}

/* What the worker does not finish in a minute is given to another, and blamed on nobody. */
static void an_unloaded_worker_may_finish(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    const struct test_request *long_one = test_submit(t, "m", "r", 20 * MINUTE);
    test_run_until(t, 2 * SECOND);
    supervisor_unload(t->supervisor, "m", NULL);
    test_run_until(t, 30 * SECOND);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Evicting");
    for (int i = 1; i <= 3; i++) {
        test_run_until(t, i * 2 * MINUTE);
        assert_false(long_one->ended);
        assert_int_equal(m->runs, 1 + i);
        supervisor_unload(t->supervisor, "m", NULL);
    }
    test_run_until(t, 6 * MINUTE + 30 * SECOND);
    test_finish_jobs(&t->world);
    test_run_until(t, 7 * MINUTE);
    assert_ended(long_one, WEIR_OK);
    test_close(t);
}

/* F240, F242. */
static void a_drain_finishes_what_runs_and_answers_the_rest(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    t->world.job_ms = 2 * SECOND;
    for (int i = 0; i < 5; i++)
        test_submit(t, "m", "e", 0);
    test_run_until(t, 1 * SECOND);
    supervisor_drain(t->supervisor, 5 * SECOND);
    struct test_request *refused = test_submit(t, "m", "e", 0);
    assert_int_equal(refused->id, 0);
    assert_int_equal(refused->error.code, WEIR_SHUTTING_DOWN);
    test_run_until(t, 5 * SECOND);
    assert_false(supervisor_drained(t->supervisor));
    test_run_until(t, 7 * SECOND);
    assert_true(supervisor_drained(t->supervisor));
    for (int i = 0; i < 5; i++)
        assert_ended(&t->requests[i], i < 2 ? WEIR_OK : WEIR_SHUTTING_DOWN);
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

/* F240. */
static void a_drain_without_work_is_over_at_once(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .min_workers = 1 });
    test_run_until(t, 10 * SECOND);
    supervisor_drain(t->supervisor, 5 * SECOND);
    const char *told = strstr(t->heard.news, "drain -: shutdown");
    assert_non_null(told);
    supervisor_drain(t->supervisor, 4 * SECOND); /* told once, however often it is ordered */
    assert_null(strstr(told + 1, "drain -: shutdown"));
    test_run_until(t, 10 * SECOND + 10);
    assert_true(supervisor_drained(t->supervisor));
    test_close(t);
}

/* An inspector that hangs is not waited for longer than the drain may take. */
static void a_drain_does_not_wait_for_an_inspection(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.inspect_ms = TEST_NEVER / 2;
    test_register(t, "m", 100, 10, (struct model_settings){ 0 });
    test_run_until(t, SECOND);
    supervisor_drain(t->supervisor, 5 * SECOND);
    test_run_until(t, 6 * SECOND + 10);
    assert_true(supervisor_drained(t->supervisor));
    test_close(t);
}

/* F041: a long sleep before it must not eat the deadline of a request, nor the limit of a drain. */
static void time_counts_from_the_fact(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    test_run_until(t, 60 * MINUTE);
    const struct test_request *r = test_submit(t, "m", "e", 10 * SECOND);
    test_run_until(t, 61 * MINUTE);
    assert_ended(r, WEIR_OK);
    assert_true(r->total_ms < SECOND);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_first_requests_start_two_workers),
        cmocka_unit_test(the_first_ready_worker_is_enough),
        cmocka_unit_test(one_worker_where_memory_allows_no_more),
        cmocka_unit_test(the_reference_timeline),
        cmocka_unit_test(a_slow_load_is_left_alone),
        cmocka_unit_test(priorities_age),
        cmocka_unit_test(an_idle_worker_takes_a_job),
        cmocka_unit_test(a_minimum_is_kept_without_requests_until_it_is_unloaded),
        cmocka_unit_test(a_minimum_counts_again_from_the_next_request_on),
        cmocka_unit_test(an_unloaded_worker_may_finish),
        cmocka_unit_test(a_drain_finishes_what_runs_and_answers_the_rest),
        cmocka_unit_test(a_drain_without_work_is_over_at_once),
        cmocka_unit_test(a_drain_does_not_wait_for_an_inspection),
        cmocka_unit_test(time_counts_from_the_fact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
