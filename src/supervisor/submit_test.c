/* submit_test.c — what is refused at the door and with which numbers, what is taken as it was
 * given, and what is cut to size. */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define ONE    ((struct model_settings){ .max_workers = 1 })

static void assert_full(const struct test_request *r, int64_t value, int64_t limit,
                        const char *text)
{
    assert_int_equal(r->id, 0);
    assert_int_equal(r->error.code, WEIR_QUEUE_FULL);
    assert_int_equal(r->error.value, value);
    assert_int_equal(r->error.limit, limit);
    assert_string_equal(r->error.text, text);
}

/* Nothing is started in these: the requests wait for the first turn. */
static void a_full_queue_says_what_is_too_much(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.queue_jobs = 3;
    struct test_pool *t = test_open(1000, &limits);
    test_register(t, "m", 100, 10, ONE);
    t->next.mergeable = true;
    test_submit(t, "m", "e", 0);
    test_submit(t, "m", "e", 0); /* one job, but two that wait */
    assert_true(test_submit(t, "m", "ee", 0)->id != 0);
    assert_full(test_submit(t, "m", "e", 0), 3, 3,
                "the queue of model 'm' is full: 3 jobs wait for this model, the limit is 3");
    test_close(t);

    limits = limits_default;
    limits.queue_bytes = 10;
    t = test_open(1000, &limits);
    test_register(t, "m", 100, 10, ONE);
    assert_true(test_submit(t, "m", "eeeee", 0)->id != 0);
    assert_full(test_submit(t, "m", "eeeeee", 0), 11, 10,
                "the queue of model 'm' is full: 11 bytes would wait for this model, "
                "the limit is 10");
    assert_true(test_submit(t, "m", "eeeee", 0)->id != 0);
    test_close(t);
}

/* All that waits together has a share of the budget: here 1 % of 1 MiB. */
static void all_queues_together_are_bounded(void **state)
{
    (void)state;
    static char payload[8000];
    struct limits limits = limits_default;
    limits.queues_share = 1;
    struct test_pool *t = test_open(1, &limits);
    test_register(t, "m", 0, 0, ONE);
    test_register(t, "n", 0, 0, ONE);
    memset(payload, 'e', sizeof payload - 1);
    assert_true(test_submit(t, "n", payload, 0)->id != 0);
    const int64_t share = 1024 * 1024 / 100, rest = share - 7999;
    payload[rest + 1] = '\0';
    assert_full(test_submit(t, "m", payload, 0), share + 1, share,
                "the queue of model 'm' is full: 10486 bytes would wait for all models, "
                "the limit is 10485");
    payload[rest] = '\0';
    assert_true(test_submit(t, "m", payload, 0)->id != 0);
    assert_int_equal(test_submit(t, "m", "e", 0)->error.value, share + 1);
    test_run_until(t, 5 * SECOND);
    assert_true(test_submit(t, "m", "e", 0)->id != 0);
    test_close(t);
}

/* An equal request brings no bytes of its own. */
static void who_joins_a_job_takes_no_room_for_bytes(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.queue_bytes = 5;
    struct test_pool *t = test_open(1000, &limits);
    test_register(t, "m", 100, 10, ONE);
    t->next.mergeable = true;
    assert_true(test_submit(t, "m", "eeeee", 0)->id != 0);
    assert_true(test_submit(t, "m", "eeeee", 0)->id != 0);
    assert_int_equal(test_submit(t, "m", "e", 0)->error.code, WEIR_QUEUE_FULL);
    test_close(t);
}

static uint64_t submit_untold(struct test_pool *t, const char *model, uint8_t *payload)
{
    const struct submission r = { .model = model,
                                  .operation = WEIR_EMBED,
                                  .priority = 2,
                                  .payload = payload,
                                  .payload_bytes = 1,
                                  .callbacks = &test_callbacks };
    return supervisor_submit(t->supervisor, &r, NULL);
}

/* Who asks without a place for the error is refused like the others. */
static void a_refusal_may_be_told_to_nobody(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.breaker_failures = 1;
    limits.queue_bytes = 1;
    struct test_pool *t = test_open(1000, &limits);
    uint8_t payload[1] = { 'e' };
    struct test_model *bad = test_register(t, "bad", 100, 10, ONE);
    struct test_model *failing = test_register(t, "failing", 100, 10, ONE);
    test_register(t, "full", 100, 10, ONE);
    bad->kills_inspector = true;
    failing->fails = true;
    assert_int_equal(submit_untold(t, "nobody", payload), 0);
    test_submit(t, "failing", "e", 0);
    test_run_until(t, 2 * SECOND);
    assert_int_equal(submit_untold(t, "bad", payload), 0);
    assert_int_equal(submit_untold(t, "failing", payload), 0);
    test_submit(t, "full", "e", 0);
    assert_int_equal(submit_untold(t, "full", payload), 0);
    test_run_until(t, 4 * SECOND);
    supervisor_drain(t->supervisor, SECOND);
    assert_int_equal(submit_untold(t, "full", payload), 0);
    test_close(t);
}

static void a_model_does_what_it_can(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    m->plan.capabilities = 1u << WEIR_VISION;
    test_run_until(t, SECOND);
    const struct test_request *r = test_submit(t, "m", "e", 0); /* an embedding */
    assert_int_equal(r->error.code, WEIR_INVALID);
    assert_string_equal(r->error.text, "model 'm' (fake) is not for text_embedding");
    t->next.capability = WEIR_VISION;
    assert_true(test_submit(t, "m", "e", 0)->id != 0);
    test_run_until(t, 5 * SECOND);
    assert_true(t->requests[1].ended);
    assert_int_equal(t->requests[1].error.code, WEIR_OK);
    test_close(t);
}

/* An open breaker says when to come again, and no sooner than in a second. */
static void an_open_breaker_says_when_it_closes(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.breaker_failures = 1;
    struct test_pool *t = test_open(1000, &limits);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    m->fails = true;
    test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND);
    const int64_t open_until_ms = t->requests[0].total_ms + 60 * SECOND;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    assert_int_equal(r->error.code, WEIR_UNAVAILABLE);
    assert_int_equal(r->error.retry_after_ms, open_until_ms - 2 * SECOND);
    assert_string_equal(r->error.text, "model 'm' failed 1 times in a row and is not asked for now;"
                                       " the last failure: a file is missing");
    test_run_until(t, open_until_ms - 1001);
    assert_int_equal(test_submit(t, "m", "e", 0)->error.retry_after_ms, 1001);
    test_run_until(t, open_until_ms - 1);
    assert_int_equal(test_submit(t, "m", "e", 0)->error.retry_after_ms, 1000);
    m->fails = false;
    test_run_until(t, open_until_ms);
    assert_true(test_submit(t, "m", "e", 0)->id != 0);
    test_close(t);
}

static void assert_stands(struct test_pool *t, const struct test_request *r, const char *part)
{
    struct buffer text;
    struct jsonw out;
    buffer_init(&text, 1024);
    jsonw_init(&out, &text);
    assert_true(supervisor_request(t->supervisor, r->id, &out));
    buffer_u8(&text, 0);
    if (strstr((const char *)text.data, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", (const char *)text.data, part);
    buffer_finish(&text);
}

static void names_and_priorities_are_cut_to_size(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, ONE);
    char name[101], expected[120];
    memset(name, 'c', 100);
    name[100] = '\0';
    t->next.client = t->next.label = name;
    t->priority = 200;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    assert_stands(t, r, "\"priority\":4,");
    snprintf(expected, sizeof expected, "\"client\":\"%.71s\"}", name);
    assert_stands(t, r, expected);
    t->priority = 5; /* one too many */
    assert_stands(t, test_submit(t, "m", "e", 0), "\"priority\":4,");
    t->priority = 3;
    assert_stands(t, test_submit(t, "m", "e", 0), "\"priority\":3,");
    t->priority = 4;
    assert_stands(t, test_submit(t, "m", "e", 0), "\"priority\":4,");
    t->next.client = "a \x7f\x1f~";
    assert_stands(t, test_submit(t, "m", "e", 0), "\"client\":\"a ?\?~\"}");
    test_close(t);
}

static char logged[4096];

static void keep_line(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level;
    const size_t used = strlen(logged);
    snprintf(logged + used, sizeof logged - used, "%s\n", line);
}

/* Who has no label is called by his number; a deadline is taken to the millisecond. */
static void each_request_has_a_label_and_a_deadline(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    const struct log log = { .sink = keep_line };
    t->supervisor->options.log = &log;
    test_register(t, "m", 100, 10, ONE);
    test_run_until(t, SECOND);
    const struct test_request *unnamed = test_submit(t, "m", "e", 1);
    t->next.label = "x";
    const struct test_request *named = test_submit(t, "m", "e", 10);
    const struct test_request *patient = test_submit(t, "m", "r", 0);
    test_run_until(t, SECOND + 1);
    assert_true(unnamed->ended && !named->ended);
    assert_int_equal(unnamed->error.value, 1);
    assert_int_equal(unnamed->error.limit, 1);
    assert_string_equal(unnamed->error.text,
                        "the deadline of 1 ms passed while the request waited");
    test_run_until(t, SECOND + 10);
    assert_true(named->ended);
    test_run_until(t, 601 * SECOND - 1); /* the limit, for who does not say */
    assert_false(patient->ended);
    test_run_until(t, 601 * SECOND);
    assert_string_equal(patient->error.text,
                        "the deadline of 600000 ms passed while the request ran");
    assert_int_equal(patient->error.value, 600 * SECOND);
    char line[80];
    snprintf(line, sizeof line, "expired request=%llu waited=1ms\n",
             (unsigned long long)unnamed->id);
    assert_non_null(strstr(logged, line));
    assert_non_null(strstr(logged, "expired request=x waited=10ms\n"));
    t->supervisor->options.log = NULL;
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_says_what_is_too_much),
        cmocka_unit_test(all_queues_together_are_bounded),
        cmocka_unit_test(who_joins_a_job_takes_no_room_for_bytes),
        cmocka_unit_test(a_refusal_may_be_told_to_nobody),
        cmocka_unit_test(a_model_does_what_it_can),
        cmocka_unit_test(an_open_breaker_says_when_it_closes),
        cmocka_unit_test(names_and_priorities_are_cut_to_size),
        cmocka_unit_test(each_request_has_a_label_and_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
