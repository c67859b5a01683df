/* hang_test.c — workers that crash again and again, hang, or fall silent, and how long it takes
 * until the pool has dealt with each. */
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define ONE    ((struct model_settings){ .max_workers = 1 })

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

static uint32_t worker_of(const struct test_pool *t, const struct test_model *m)
{
    for (uint32_t id = 1; id < TEST_PROCESSES; id++)
        if (t->world.processes[id].alive && t->world.processes[id].model == m)
            return id;
    return 0;
}

static void kill_worker(struct test_pool *t, const struct test_model *m)
{
    const uint32_t id = worker_of(t, m);
    assert_true(id != 0);
    test_exit(&t->world, id);
}

/* Until the next start; -1: none within the time. */
static int64_t time_to_start(struct test_pool *t, const struct test_model *m, int64_t most_ms)
{
    const int64_t from_ms = t->world.now_ms;
    const uint32_t before = m->spawns;
    while (m->spawns == before && t->world.now_ms - from_ms < most_ms)
        test_run_until(t, t->world.now_ms + 10);
    return m->spawns > before ? t->world.now_ms - from_ms - 10 : -1;
}

/* At once, then 1, 2, 4 … 60 s and a fifth of it either way; a minute of service forgives all. */
static void restarts_take_longer_each_time(void **state)
{
    (void)state;
    static const int64_t delays_ms[] = { 0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .max_workers = 1, .min_workers = 1 });
    test_run_until(t, 2 * SECOND);
    for (size_t i = 0; i < ARRAY_COUNT(delays_ms); i++) {
        kill_worker(t, m);
        const int64_t took_ms = time_to_start(t, m, 2 * MINUTE);
        if (took_ms < delays_ms[i] * 8 / 10 - 10 || took_ms > delays_ms[i] * 12 / 10 + 10)
            fail_msg("restart %zu after %lld ms, expected about %lld", i, (long long)took_ms,
                     (long long)delays_ms[i]);
        test_run_until(t, t->world.now_ms + 2 * SECOND);
    }
    test_run_until(t, t->world.now_ms + 61 * SECOND);
    kill_worker(t, m);
    assert_true(time_to_start(t, m, 2 * MINUTE) <= 10);
    test_close(t);
}

/* During the delay it is said when to come again. */
static void a_back_off_says_when_to_come_again(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    for (int i = 0; i < 3; i++) {
        test_run_until(t, t->world.now_ms + 4 * SECOND);
        assert_true(test_submit(t, "m", "e", 0)->id != 0);
        test_run_until(t, t->world.now_ms + SECOND);
        kill_worker(t, m);
        test_run_until(t, t->world.now_ms);
    }
    const struct test_request *r = test_submit(t, "m", "e", 0);
    assert_int_equal(r->error.code, WEIR_UNAVAILABLE);
    assert_non_null(strstr(r->error.text, "3 times in a row"));
    assert_true(r->error.retry_after_ms >= 1600 && r->error.retry_after_ms <= 2400);
    const int64_t again_ms = t->world.now_ms + r->error.retry_after_ms;
    test_run_until(t, again_ms - 1001);
    assert_int_equal(test_submit(t, "m", "e", 0)->error.retry_after_ms, 1001);
    test_run_until(t, again_ms - 500);
    assert_int_equal(test_submit(t, "m", "e", 0)->error.retry_after_ms, 1000); /* at least */
    test_run_until(t, again_ms);
    assert_true(test_submit(t, "m", "e", 0)->id != 0);
    test_close(t);
}

/* Nor is one that must always be there, though nobody asks: the same delays hold. */
static void a_crashing_minimum_is_started_less_and_less(void **state)
{
    (void)state;
    static const int64_t delays_ms[] = { 0, 1000, 2000, 4000 }; /* then the breaker opens */
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .max_workers = 1, .min_workers = 1 });
    m->dies_loading = true;
    test_run_until(t, 20);
    for (size_t i = 0; i < ARRAY_COUNT(delays_ms); i++) {
        const int64_t loads_ms = 510 + delays_ms[i];
        const int64_t took_ms = time_to_start(t, m, 2 * MINUTE);
        if (took_ms < 490 + delays_ms[i] * 8 / 10 ||
            took_ms > loads_ms + delays_ms[i] * 2 / 10 + 10)
            fail_msg("start %zu after %lld ms, expected about %lld", i + 1, (long long)took_ms,
                     (long long)loads_ms);
        test_run_until(t, t->world.now_ms - 10);
    }
    test_close(t);
}

/* F014, F019: a loader that always crashes is not started by each who asks. */
static void a_crashing_loader_is_started_a_few_times(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, (struct model_settings){ 0 });
    m->dies_loading = true;
    for (int i = 0; i < 120; i++) {
        test_submit(t, "m", "e", 0);
        test_run_until(t, t->world.now_ms + 500);
    }
    assert_true(m->spawns >= 3 && m->spawns <= 6);
    for (size_t i = 0; i < t->count; i++)
        assert_true(t->requests[i].id == 0 || t->requests[i].ended);
    assert_ended(&t->requests[0], WEIR_LOAD_FAILED);
    /* F007: with the second crash; the files were looked at, and loaded twice for half a second. */
    assert_true(t->requests[0].total_ms <= 11 + 2 * (10 + 500));
    assert_int_equal(test_totals(t).leased_bytes, 0); /* F004, F005 */
    m->dies_loading = false;
    test_run_until(t, t->world.now_ms + 3 * MINUTE);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, t->world.now_ms + 5 * SECOND);
    assert_ended(r, WEIR_OK);
    test_close(t);
}

/* F003, F004, F005, F047: a hundred failed loads leave nothing behind. */
static void failed_loads_leave_nothing_behind(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.breaker_failures = 1000;
    struct test_pool *t = test_open(1000, &limits);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    m->fails = true;
    for (int i = 0; i < 100; i++) {
        const struct test_request *r = test_submit(t, "m", "e", 0);
        test_run_until(t, t->world.now_ms + SECOND);
        assert_ended(r, WEIR_LOAD_FAILED);
        assert_int_equal(test_totals(t).leased_bytes, 0);
        assert_int_equal(test_totals(t).children, 0);
    }
    assert_int_equal(m->spawns, 100);
    test_close(t);
}

/* F016, F017: no burst makes more than are allowed, nor more than one at a time. */
static void a_burst_starts_one_at_a_time(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 4 });
    test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND);
    assert_int_equal(m->spawns, 2);
    t->world.load_ms = 20 * SECOND;
    for (int i = 0; i < 100; i++)
        test_submit(t, "m", "r", HOUR);
    test_run_until(t, 20 * SECOND);
    assert_int_equal(m->spawns, 3);
    test_run_until(t, 10 * MINUTE);
    assert_int_equal(m->spawns, 4);
    assert_int_equal(test_workers(&t->world, m), 4);
    test_close(t);
}

/* F032: the dead are shown for a while and then forgotten. */
static void the_dead_are_forgotten(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .max_workers = 10, .min_workers = 10 });
    test_run_until(t, 20 * SECOND);
    assert_int_equal(test_workers(&t->world, m), 10);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    test_run_until(t, 30 * SECOND);
    struct buffer text;
    struct jsonw out;
    buffer_init(&text, 10000);
    jsonw_init(&out, &text);
    supervisor_status(t->supervisor, &out);
    buffer_u8(&text, 0);
    assert_non_null(strstr((const char *)text.data, "\"workers\":[]"));
    buffer_finish(&text);
    test_close(t);
}

/* F085, F116: no progress for half a minute is a hang; its caller has had its answer by then. */
static void a_hung_job_costs_its_caller_the_deadline(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    t->world.ticks_stand = true;
    const struct test_request *r = test_submit(t, "m", "s", 10 * SECOND);
    test_run_until(t, 10 * SECOND);
    assert_ended(r, WEIR_DEADLINE);
    assert_int_equal(r->total_ms, 10 * SECOND);
    test_run_until(t, 41 * SECOND);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Evicting Dead");
    const struct test_request *next = test_submit(t, "m", "e", 0);
    test_run_until(t, 45 * SECOND);
    assert_ended(next, WEIR_OK);
    assert_int_equal(m->spawns, 2);
    test_close(t);
}

/* Without a deadline of its own it is tried once more, alone, and then refused. */
static void a_hung_job_is_tried_once_more(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    t->world.ticks_stand = true;
    const struct test_request *r = test_submit(t, "m", "r", 0);
    test_run_until(t, 65 * SECOND);
    assert_ended(r, WEIR_QUARANTINED);
    assert_non_null(strstr(r->error.text, "no progress for"));
    assert_true(r->total_ms >= 61 * SECOND && r->total_ms <= 62 * SECOND);
    assert_int_equal(m->runs, 2);
    test_close(t);
}

/* F119: however long it takes, what moves is not hung. */
static void a_slow_job_is_left_alone(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    const struct test_request *r = test_submit(t, "m", "r", HOUR);
    test_run_until(t, 30 * MINUTE);
    assert_false(r->ended);
    test_finish_jobs(&t->world);
    test_run_until(t, 30 * MINUTE + SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(m->spawns, 1);
    assert_int_equal(t->world.pings, 0); /* one that works is not asked whether it lives */
    test_close(t);
}

/* F034, F035, F117: one ping at a time, and who does not answer it is gone. */
static void a_silent_worker_is_pinged_once(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.pong_ms = 10 * MINUTE;
    struct test_pool *t = test_open(1000, &limits);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .max_workers = 1, .min_workers = 1 });
    test_run_until(t, 5 * SECOND);
    t->world.is_deaf = true;
    test_run_until(t, 10 * MINUTE);
    assert_int_equal(t->world.pings, 1);
    assert_int_equal(m->spawns, 1);
    test_run_until(t, 10 * MINUTE + 12 * SECOND);
    assert_int_equal(m->spawns, 2);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Idle Evicting Dead");
    t->world.is_deaf = false;
    supervisor_clock(t->supervisor, t->world.now_ms);
    const uint32_t id = worker_of(t, m);
    supervisor_on_lost(t->supervisor, id, "its channel was closed"); /* F034 */
    test_run_until(t, t->world.now_ms + 10);
    assert_false(t->world.processes[id].alive);
    test_close(t);
}

/* F118: a late answer to an earlier ping is none to this one. */
static void a_pong_answers_its_own_ping(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .max_workers = 1, .min_workers = 1 });
    test_run_until(t, 15 * SECOND);
    const uint32_t pings = t->world.pings;
    assert_true(pings >= 1);
    t->world.is_deaf = true;
    while (t->world.pings == pings)
        test_run_until(t, t->world.now_ms + 10);
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_ping_write(&body, pings); /* the one before */
    test_emit(&t->world, worker_of(t, m), FRAME_PONG, 0, &body);
    test_run_until(t, t->world.now_ms + 10);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Evicting Dead");
    test_close(t);
}

static uint32_t count_admitted(struct test_pool *t, int tries, const char *payload)
{
    uint32_t admitted = 0;
    for (int i = 0; i < tries; i++)
        admitted += test_submit(t, "m", payload, 0)->id != 0;
    return admitted;
}

/* F031, F086, F088 to F092: failures of the model in a row count, mistakes of callers do not. */
static void the_breaker_counts_what_the_model_does_wrong(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    t->world.job_ms = 1;
    for (int i = 0; i < 30; i++) /* F091 */
        test_submit(t, "m", "i", 0);
    test_run_until(t, 5 * SECOND);
    assert_ended(&t->requests[29], WEIR_INVALID);
    assert_int_equal(count_admitted(t, 4, "f"), 4); /* F088 */
    test_run_until(t, 6 * SECOND);
    assert_int_equal(count_admitted(t, 1, "e"), 1);
    test_run_until(t, 7 * SECOND);
    assert_int_equal(count_admitted(t, 4, "f"), 4);
    test_run_until(t, 8 * SECOND);
    assert_int_equal(count_admitted(t, 1, "f"), 1);
    test_run_until(t, 9 * SECOND);
    assert_int_equal(count_admitted(t, 1, "e"), 0);
    test_run_until(t, 69 * SECOND);
    assert_int_equal(count_admitted(t, 1, "e"), 1); /* F090: one failing probe closes the door */
    assert_int_equal(count_admitted(t, 1, "f"), 1);
    test_run_until(t, 75 * SECOND);
    assert_int_equal(count_admitted(t, 1, "e"), 0);
    test_run_until(t, 140 * SECOND);
    const uint32_t before = m->runs;
    assert_int_equal(count_admitted(t, 40, "e"), 3); /* F089 */
    test_run_until(t, 141 * SECOND);
    assert_int_equal(m->runs, before + 3);
    assert_int_equal(count_admitted(t, 20, "e"), 20);
    test_run_until(t, 145 * SECOND);
    const char *opened = strstr(t->heard.news, "breaker m: ");
    assert_non_null(opened);
    const char *opened_again = strstr(opened + 1, "breaker m: ");
    assert_non_null(opened_again);
    const char *closed = strstr(opened_again + 1, "breaker m: \n");
    assert_non_null(closed);
    assert_null(strstr(closed + 1, "breaker m: "));
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restarts_take_longer_each_time),
        cmocka_unit_test(a_back_off_says_when_to_come_again),
        cmocka_unit_test(a_crashing_minimum_is_started_less_and_less),
        cmocka_unit_test(a_crashing_loader_is_started_a_few_times),
        cmocka_unit_test(failed_loads_leave_nothing_behind),
        cmocka_unit_test(a_burst_starts_one_at_a_time),
        cmocka_unit_test(the_dead_are_forgotten),
        cmocka_unit_test(a_hung_job_costs_its_caller_the_deadline),
        cmocka_unit_test(a_hung_job_is_tried_once_more),
        cmocka_unit_test(a_slow_job_is_left_alone),
        cmocka_unit_test(a_silent_worker_is_pinged_once),
        cmocka_unit_test(a_pong_answers_its_own_ping),
        cmocka_unit_test(the_breaker_counts_what_the_model_does_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
