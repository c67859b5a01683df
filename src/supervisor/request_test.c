/* request_test.c — one end for each request, whatever comes at once, and what it is told meanwhile.
 */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

/* A model of `slots` whose worker, process 2, is ready since a second. */
static struct test_pool *warm_pool(uint32_t slots, const struct limits *limits)
{
    struct test_pool *t = test_open(1000, limits);
    test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1, .slots = slots });
    test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    CHECK(t->requests[0].ended && t->world.processes[2].loaded);
    return t;
}

static void assert_nothing_pending(const struct test_pool *t)
{
    const struct supervisor_totals totals = test_totals(t);
    assert_int_equal(totals.requests + totals.queued_jobs + totals.running_jobs, 0);
    assert_int_equal(totals.accepted, totals.succeeded + totals.failed);
    assert_int_equal(t->supervisor->bytes_waiting, 0);
}

/* The job that process 2 runs ends with this. */
static void end_job(struct test_pool *t, enum weir_code code)
{
    struct test_job *slot = t->world.processes[2].jobs;
    while (slot->job == 0)
        slot++;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_end_write(&body, &(struct message_end){
                                 .error = {.code = code, .index = -1, .text = "as told"}
    });
    test_emit(&t->world, 2, FRAME_END, slot->job, &body);
    *slot = (struct test_job){ 0 };
    buffer_finish(&body);
    test_run_until(t, t->world.now_ms + 1);
}

/* F080, F136: expired while they wait and while they run. */
static void expired_requests_leave_nothing_behind(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(4, NULL);
    for (int i = 0; i < 100; i++)
        test_submit(t, "m", "r", 2 * SECOND);
    test_run_until(t, 10 * SECOND);
    for (int i = 1; i <= 100; i++) {
        assert_ended(&t->requests[i], WEIR_DEADLINE);
        assert_int_equal(t->requests[i].total_ms, 2000);
    }
    assert_nothing_pending(t);
    const struct test_request *next = test_submit(t, "m", "e", 0);
    test_run_until(t, 11 * SECOND);
    assert_ended(next, WEIR_OK);
    test_close(t);
}

/* F101: the answer and the deadline in one millisecond; whichever is heard first is the end. */
static void an_answer_at_the_deadline_is_one_outcome(void **state)
{
    (void)state;
    for (int answer_first = 0; answer_first < 2; answer_first++) {
        struct test_pool *t = warm_pool(1, NULL);
        const struct test_request *r = test_submit(t, "m", "r", 2 * SECOND);
        test_run_until(t, 3 * SECOND - 1);
        t->world.now_ms = 3 * SECOND;
        if (answer_first) {
            end_job(t, WEIR_OK);
            assert_ended(r, WEIR_OK);
        } else {
            test_run_until(t, 3 * SECOND); /* the turn, and the cancel's own end after it */
            assert_ended(r, WEIR_DEADLINE);
            test_run_until(t, 4 * SECOND);
        }
        assert_int_equal(r->total_ms, 2000);
        assert_nothing_pending(t);
        test_close(t);
    }
}

/* F101, F137: answers, deadlines, cancels and exits as they fall. */
static void every_request_ends_once_in_random_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct test_pool *t = warm_pool(4, NULL);
        struct rng r;
        rand_seed(&r, seed);
        static const char *const clients[] = { NULL, "a", "b" };
        static const char *const payloads[] = { "e1", "e2", "e3", "r", "t", "e4" };
        for (int i = 0; i < 150; i++) {
            t->next.client = clients[rand_below(&r, 3)];
            t->priority = (uint8_t)rand_below(&r, PRIORITIES);
            t->next.mergeable = rand_below(&r, 2) == 0;
            test_submit(t, "m", payloads[rand_below(&r, 6)], 1 + (int64_t)rand_below(&r, 400));
            if (rand_below(&r, 3) == 0)
                supervisor_cancel(t->supervisor, t->requests[rand_below(&r, t->count)].id);
            test_run_until(t, t->world.now_ms + (int64_t)rand_below(&r, 60));
        }
        test_run_until(t, t->world.now_ms + 5 * SECOND);
        for (size_t i = 0; i < t->count; i++)
            assert_true(t->requests[i].ended || t->requests[i].id == 0);
        assert_nothing_pending(t);
        assert_int_equal(t->supervisor->mergeable.count, 0);
        test_close(t);
    }
}

/* F100, F081: nobody is there any more; its frames are heard and belong to nobody else. */
static void late_frames_of_a_cancelled_job_reach_nobody(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(1, NULL);
    const struct test_request *gone = test_submit(t, "m", "s", 0);
    test_run_until(t, SECOND + 10);
    supervisor_cancel(t->supervisor, gone->id);
    const struct test_request *next = test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND); /* 64 outputs of the first came */
    assert_ended(gone, WEIR_CANCELLED);
    assert_int_equal(gone->outputs, 0);
    assert_false(next->ended);
    end_job(t, WEIR_OK);
    assert_ended(gone, WEIR_CANCELLED);
    test_run_until(t, 3 * SECOND);
    assert_ended(next, WEIR_OK);
    assert_int_equal(next->outputs, 1);
    test_close(t);
}

/* F086, F087, F091 */
static void only_the_models_own_failures_open_the_breaker(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(1, NULL);
    for (int i = 0; i < 100; i++) {
        const struct test_request *r = test_submit(t, "m", "r", 0);
        test_run_until(t, t->world.now_ms + 5);
        end_job(t, WEIR_INVALID);
        assert_ended(r, WEIR_INVALID);
    }
    for (int i = 0; i < 5; i++) {
        const struct test_request *r = test_submit(t, "m", i % 2 == 0 ? "r" : "t", 0);
        test_run_until(t, t->world.now_ms + 150); /* a stream has begun by then */
        end_job(t, WEIR_MODEL_FAILED);
        assert_ended(r, WEIR_MODEL_FAILED);
        assert_int_equal(r->outputs > 0, i % 2);
    }
    const struct test_request *refused = test_submit(t, "m", "e", 0);
    assert_int_equal(refused->error.code, WEIR_UNAVAILABLE);
    assert_non_null(strstr(refused->error.text, "as told"));
    test_close(t);
}

/* F082: the second death of each input is on the input, the first on the model. */
static void crashes_at_work_open_the_breaker(void **state)
{
    (void)state;
    static const char *const poisons[] = { "k1", "k2", "k3", "k4", "k5" };
    struct test_pool *t = warm_pool(1, NULL);
    for (int i = 0; i < 5; i++)
        test_submit(t, "m", poisons[i], 0);
    test_run_until(t, 300 * SECOND);
    for (int i = 1; i <= 4; i++)
        assert_ended(&t->requests[i], WEIR_QUARANTINED);
    assert_ended(&t->requests[5], WEIR_UNAVAILABLE); /* the breaker opened at its first death */
    assert_true(t->requests[5].error.retry_after_ms >= 60 * SECOND);
    assert_nothing_pending(t);
    test_close(t);
}

static void assert_stands(struct test_pool *t, const struct test_request *r, const char *expected)
{
    struct buffer text;
    struct jsonw out;
    buffer_init(&text, 1024);
    jsonw_init(&out, &text);
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_true(supervisor_request(t->supervisor, r->id, &out));
    buffer_u8(&text, 0);
    assert_string_equal((const char *)text.data, expected);
    buffer_finish(&text);
}

static void a_request_is_told_where_it_stands(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(1, NULL); /* its one job took 100 ms */
    test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND + 10);
    test_submit(t, "m", "e", 0);
    test_submit(t, "m", "e", 0);
    t->next.client = "b";
    t->priority = 3;
    const struct test_request *last = test_submit(t, "m", "e", 0);
    t->priority = 2;
    const struct test_request *second = test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND + 20);
    assert_stands(t, &t->requests[1],
                  "{\"model\":\"m\",\"state\":\"running\",\"position\":0,\"predicted_wait_ms\":0,"
                  "\"age_ms\":20,\"priority\":2,\"client\":null}");
    assert_stands(t, second,
                  "{\"model\":\"m\",\"state\":\"waiting\",\"position\":2,\"predicted_wait_ms\":200,"
                  "\"age_ms\":10,\"priority\":2,\"client\":\"b\"}");
    assert_stands(t, last,
                  "{\"model\":\"m\",\"state\":\"waiting\",\"position\":4,\"predicted_wait_ms\":400,"
                  "\"age_ms\":10,\"priority\":3,\"client\":\"b\"}");
    test_run_until(t, 3 * SECOND);
    assert_int_equal(second->queued_ms, 190); /* as predicted */
    assert_false(supervisor_request(t->supervisor, last->id, NULL));
    test_close(t);
}

/* F094 */
static void the_status_says_how_long_the_queue_is(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(1, NULL);
    test_submit(t, "m", "r", 0);
    test_run_until(t, 2 * SECOND);
    for (int i = 0; i < 10; i++)
        test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND + 30);
    supervisor_clock(t->supervisor, t->world.now_ms);
    struct buffer text;
    struct jsonw out;
    buffer_init(&text, 4096);
    jsonw_init(&out, &text);
    supervisor_status(t->supervisor, &out);
    buffer_u8(&text, 0);
    assert_non_null(strstr((const char *)text.data, "\"queue\":10,"));
    assert_non_null(strstr((const char *)text.data, "\"predicted_wait_ms\":1100,"));
    assert_non_null(strstr((const char *)text.data, "\"oldest_ms\":30,"));
    buffer_finish(&text);
    test_close(t);
}

static void a_refusal_says_when_the_queue_will_be_empty(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.queue_jobs = 60;
    struct test_pool *t = warm_pool(2, &limits);
    for (int i = 0; i < 62; i++) {
        test_submit(t, "m", "e", 0);
        test_run_until(t, t->world.now_ms + (i < 2 ? 5 : 0));
    }
    const struct test_request *r = test_submit(t, "m", "e", 0);
    assert_int_equal(r->error.code, WEIR_QUEUE_FULL);
    assert_int_equal(r->error.retry_after_ms, 60 / 2 * 100);
    test_run_until(t, 10 * SECOND);
    assert_nothing_pending(t);
    struct model *m = model_find(t->supervisor, "m");
    m->service_ms = 1e12;
    for (int i = 0; i < 62; i++) {
        test_submit(t, "m", "r", 0);
        test_run_until(t, t->world.now_ms + (i < 2 ? 5 : 0));
    }
    assert_int_equal(test_submit(t, "m", "e", 0)->error.retry_after_ms, FORECAST_MOST_MS);
    supervisor_drain(t->supervisor, 7 * SECOND);
    const struct test_request *late = test_submit(t, "m", "e", 0);
    assert_int_equal(late->error.code, WEIR_SHUTTING_DOWN);
    assert_int_equal(late->error.retry_after_ms, 7000);
    test_close(t);
}

/* Memory comes from the busy model that is done first; nothing is known of those never timed. */
static void who_waits_for_memory_is_told_when_another_is_done(void **state)
{
    (void)state;
    struct test_pool *t = test_open(120, NULL);
    test_register(t, "busy", 90, 10, (struct model_settings){ .max_workers = 1 });
    test_register(t, "late", 90, 10, (struct model_settings){ .max_workers = 1 });
    t->world.job_ms = 2 * SECOND;
    for (int i = 0; i < 10; i++)
        test_submit(t, "busy", "e", 0);
    test_run_until(t, 3 * SECOND);
    const struct test_request *r = test_submit(t, "late", "e", SECOND);
    test_run_until(t, 5 * SECOND);
    assert_ended(r, WEIR_NO_MEMORY);
    /* At 4 s eight wait and one runs, of which nothing is known to be done. */
    assert_int_equal(r->error.retry_after_ms, (8 + 1) * 2000);
    test_close(t);
}

/* Before anything was measured nothing is promised but the load. */
static void a_cold_model_predicts_its_load(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(1, NULL);
    struct model *m = model_find(t->supervisor, "m");
    assert_int_equal(forecast_wait_ms(t->supervisor, m, 1), 0);
    supervisor_unload(t->supervisor, "m", NULL);
    test_run_until(t, 2 * SECOND);
    assert_int_equal(forecast_wait_ms(t->supervisor, m, 1), 500);
    assert_int_equal(forecast_wait_ms(t->supervisor, m, 3), 500 + 200);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND + 310); /* 10 ms to its hello, 300 ms of the load */
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_int_equal(forecast_wait_ms(t->supervisor, m, 1), 200);
    test_run_until(t, 3 * SECOND);
    forecast_ran(m, 900);
    assert_int_equal((int)m->service_ms, 200); /* an eighth of the way */
    test_close(t);
}

static char logged[4096];

static void keep_line(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level;
    const size_t used = strlen(logged);
    snprintf(logged + used, sizeof logged - used, "%s\n", line);
}

static void logs_name_the_request(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(1, NULL);
    const struct log log = { .sink = keep_line };
    t->supervisor->options.log = &log;
    t->next.label = "req-1\nforged";
    test_submit(t, "m", "k", 0);
    test_run_until(t, 20 * SECOND);
    assert_non_null(strstr(logged, "is tried once more, alone request=req-1?forged\n"));
    assert_non_null(strstr(logged, "is quarantined request=req-1?forged\n"));
    t->next.label = "req-2";
    test_submit(t, "m", "r", SECOND);
    test_run_until(t, 40 * SECOND);
    assert_non_null(strstr(logged, "expired request=req-2 "));
    t->supervisor->options.log = NULL;
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expired_requests_leave_nothing_behind),
        cmocka_unit_test(an_answer_at_the_deadline_is_one_outcome),
        cmocka_unit_test(every_request_ends_once_in_random_order),
        cmocka_unit_test(late_frames_of_a_cancelled_job_reach_nobody),
        cmocka_unit_test(only_the_models_own_failures_open_the_breaker),
        cmocka_unit_test(crashes_at_work_open_the_breaker),
        cmocka_unit_test(a_request_is_told_where_it_stands),
        cmocka_unit_test(the_status_says_how_long_the_queue_is),
        cmocka_unit_test(a_refusal_says_when_the_queue_will_be_empty),
        cmocka_unit_test(who_waits_for_memory_is_told_when_another_is_done),
        cmocka_unit_test(a_cold_model_predicts_its_load),
        cmocka_unit_test(logs_name_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
