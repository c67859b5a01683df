/* metrics_test.c — every number of the page against a session whose totals are known. */
#include "supervisor/test_pool.h"

#include "base/rand.h"
#include "supervisor/governor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND    INT64_C(1000)
#define PAGE_SIZE (4 * MiB)

static char *page_of(struct test_pool *t)
{
    struct buffer b;
    struct jsonw j;
    size_t len;
    buffer_init(&b, PAGE_SIZE);
    jsonw_init(&j, &b);
    supervisor_clock(t->supervisor, t->world.now_ms);
    supervisor_metrics(t->supervisor, &j);
    char *page = buffer_take(&b, &len);
    assert_non_null(page);
    assert_int_equal(j.depth, 0);
    return page;
}

/* The text of a sample's value in the page, or NULL. `labels` is JSON without its braces. */
static const char *find(const char *page, const char *family, const char *labels, const char *key)
{
    char text[200];
    snprintf(text, sizeof text, "{\"name\":\"%s\",", family);
    const char *at = strstr(page, text);
    assert_non_null(at);
    const char *end = strstr(at + 1, "{\"name\":");
    snprintf(text, sizeof text, "{\"labels\":{%s},", labels);
    at = strstr(at, text);
    if (at == NULL || (end != NULL && at > end))
        return NULL;
    snprintf(text, sizeof text, "\"%s\":", key);
    at = strstr(at, text);
    assert_non_null(at);
    return at + strlen(text);
}

static double value_of(struct test_pool *t, const char *family, const char *labels, const char *key)
{
    char *page = page_of(t);
    const char *at = find(page, family, labels, key);
    double value = at != NULL ? strtod(at, NULL) : -1;
    mem_free(page);
    return value;
}

/* labels "m": of the model m; "m outcome=ok": with a second label; "": none. */
static void expect(struct test_pool *t, const char *family, const char *labels, double expected)
{
    char json[120] = "";
    char model[20], label[20], name[60];
    int words = sscanf(labels, "%19[^ =] %19[^=]=%59s", model, label, name);
    if (words == 3)
        snprintf(json, sizeof json, "\"model\":\"%s\",\"%s\":\"%s\"", model, label, name);
    else if (words == 1)
        snprintf(json, sizeof json, "\"model\":\"%s\"", model);
    double value = value_of(t, family, json, "value");
    if (value != expected)
        fail_msg("%s{%s} is %g, expected %g", family, labels, value, expected);
}

static void expect_histogram(struct test_pool *t, const char *family, const char *model,
                             double count, double sum_s)
{
    char labels[60];
    snprintf(labels, sizeof labels, "\"model\":\"%s\"", model);
    double counted = value_of(t, family, labels, "count");
    double sum = value_of(t, family, labels, "sum");
    if (counted != count || sum < sum_s - 1e-9 || sum > sum_s + 1e-9)
        fail_msg("%s{%s}: %g in %g s, expected %g in %g s", family, model, counted, sum, count,
                 sum_s);
}

static void assert_page_says(struct test_pool *t, const char *part)
{
    char *page = page_of(t);
    if (strstr(page, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", page, part);
    mem_free(page);
}

/* As supervisor.h shows it, for each kind of family. */
static void the_page_has_its_form(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.available_bytes = 16 * GiB;
    test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    test_run_until(t, SECOND);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 3 * SECOND);
    char *page = page_of(t);
    static const char begin[] =
        "{\"metrics\":[{\"name\":\"weir_memory_budget_bytes\",\"type\":\"gauge\","
        "\"help\":\"The budget for all models.\","
        "\"samples\":[{\"labels\":{},\"value\":1048576000}]},{\"name\":";
    assert_memory_equal(page, begin, strlen(begin));
    mem_free(page);
    expect(t, "weir_memory_available_bytes", "", 16.0 * GiB);
    expect(t, "weir_memory_pressure", "", 2);
    t->world.models[0].uses_bytes = 20 * MiB; /* read for the page, not when it is time to */
    expect(t, "weir_memory_measured_bytes", "m", 20.0 * MiB);
    expect(t, "weir_memory_leased_model_bytes", "m", 120.0 * MiB);
    assert_page_says(t, "{\"name\":\"weir_queue_oldest_seconds\",\"type\":\"gauge\","
                        "\"help\":\"Wait of the oldest waiting job.\","
                        "\"samples\":[{\"labels\":{\"model\":\"m\"},\"value\":0}]},");
    assert_page_says(t, "{\"name\":\"weir_worker_spawned_total\",\"type\":\"counter\","
                        "\"help\":\"Workers that were started.\","
                        "\"samples\":[{\"labels\":{\"model\":\"m\"},\"value\":1}]},");
    assert_page_says(t, "{\"name\":\"weir_tokens_total\",\"type\":\"counter\","
                        "\"help\":\"Tokens of the jobs that ended.\",\"samples\":["
                        "{\"labels\":{\"model\":\"m\",\"direction\":\"input\"},\"value\":3},"
                        "{\"labels\":{\"model\":\"m\",\"direction\":\"output\"},\"value\":2}]},");
    /* Outcomes that never came are left out, but for the first. */
    assert_page_says(t, "\"samples\":[{\"labels\":{\"model\":\"m\",\"outcome\":\"ok\"},"
                        "\"value\":1}]},");
    assert_page_says(t, "\"samples\":[{\"labels\":{\"model\":\"m\"},\"buckets\":["
                        "[0.001,0],[0.002,0],[0.005,0],[0.01,0],[0.025,0],[0.05,0],[0.1,0],"
                        "[0.25,0],[0.5,1],[1,1],[2.5,1],[5,1],[10,1],[30,1],[60,1],[180,1],"
                        "[600,1],[null,1]],\"sum\":0.5,\"count\":1}]}]}");
    test_close(t);
}

/* Two answered, one cancelled in the queue, one past its deadline: at 1 s the first starts a load
 * of 510 ms, each job takes 100 ms, one at a time. */
static void requests_are_counted_by_their_end(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    test_register(t, "unused", 1, 1, (struct model_settings){ 0 });
    test_run_until(t, SECOND);
    test_submit(t, "m", "e", 0);
    test_submit(t, "m", "ee", 0);
    const struct test_request *third = test_submit(t, "m", "eee", 0);
    test_submit(t, "m", "eeee", 200);
    expect(t, "weir_queue_jobs", "m", 4);
    expect(t, "weir_queue_bytes", "m", 10);
    test_run_until(t, SECOND + 150);
    expect(t, "weir_queue_oldest_seconds", "m", 0.15);
    expect(t, "weir_workers", "m state=Loading", 1);
    expect(t, "weir_memory_leased_model_bytes", "m", 110.0 * MiB);
    expect(t, "weir_memory_leased_bytes", "", 110.0 * MiB);
    expect(t, "weir_memory_budget_bytes", "", 1000.0 * MiB);
    assert_true(supervisor_cancel(t->supervisor, third->id));
    test_run_until(t, SECOND + 560);
    expect(t, "weir_running_jobs", "m", 1);
    expect(t, "weir_workers", "m state=Processing", 1);
    test_run_until(t, 3 * SECOND);
    expect(t, "weir_requests_total", "m outcome=ok", 2);
    expect(t, "weir_requests_total", "m outcome=cancelled", 1);
    expect(t, "weir_requests_total", "m outcome=deadline_exceeded", 1);
    expect(t, "weir_accepted_total", "", 4);
    expect(t, "weir_tokens_total", "m direction=input", 6);
    expect(t, "weir_tokens_total", "m direction=output", 4);
    expect(t, "weir_worker_spawned_total", "m", 1);
    expect(t, "weir_queue_jobs", "m", 0);
    expect(t, "weir_running_jobs", "m", 0);
    expect(t, "weir_inspected", "", 2);
    expect(t, "weir_models", "", 2);
    expect(t, "weir_requests_total", "unused outcome=ok", -1);
    expect_histogram(t, "weir_load_seconds", "m", 1, 0.5);
    double waits = (double)(t->requests[0].total_ms + t->requests[1].total_ms) / 1000 - 0.2;
    expect_histogram(t, "weir_request_queue_wait_seconds", "m", 2, waits);
    double all = 0;
    for (size_t i = 0; i < 4; i++)
        all += (double)t->requests[i].total_ms / 1000;
    expect_histogram(t, "weir_request_duration_seconds", "m", 4, all);
    test_close(t);
}

/* A worker that dies under a job: one retry, one restart; its second death is the end of it. */
static void deaths_are_counted(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    test_run_until(t, SECOND);
    const struct test_request *r = test_submit(t, "m", "k", 0);
    test_run_until(t, 4 * SECOND);
    assert_true(r->ended);
    expect(t, "weir_retries_total", "", 1);
    expect(t, "weir_restarts_total", "m", 1);
    expect(t, "weir_worker_exits_total", "m how=crashed", 2);
    expect(t, "weir_quarantined_total", "", 1);
    expect(t, "weir_requests_total", "m outcome=input_quarantined", 1);
    assert_int_equal(test_submit(t, "m", "k", 0)->id, 0);
    expect(t, "weir_requests_total", "m outcome=input_quarantined", 2);
    expect(t, "weir_accepted_total", "", 1);
    test_close(t);
}

static void an_open_breaker_is_counted(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.breaker_failures = 1;
    struct test_pool *t = test_open(1000, &limits);
    struct test_model *m = test_register(t, "m", 100, 10, (struct model_settings){ 0 });
    m->fails = true;
    test_run_until(t, SECOND);
    test_submit(t, "m", "e", 0);
    expect(t, "weir_breaker_state", "m", 0);
    test_run_until(t, 3 * SECOND);
    expect(t, "weir_breaker_opened_total", "", 1);
    expect(t, "weir_breaker_state", "m", 1);
    assert_int_equal(test_submit(t, "m", "e", 0)->id, 0);
    expect(t, "weir_requests_total", "m outcome=model_load_failed", 1);
    expect(t, "weir_requests_total", "m outcome=model_unavailable", 1);
    expect(t, "weir_accepted_total", "", 1);
    expect_histogram(t, "weir_load_seconds", "m", 0, 0);
    test_close(t);
}

/* Every way to leave, and what the judge said. */
static void evictions_are_counted_by_reason(void **state)
{
    (void)state;
    struct test_pool *t = test_open(200, NULL);
    struct model_settings one = { .max_workers = 1 };
    test_register(t, "a", 100, 10, one);
    test_register(t, "b", 100, 10, one);
    struct test_model *broken = test_register(t, "broken", 10, 10, one);
    broken->fails = true;
    test_run_until(t, SECOND);
    test_submit(t, "a", "e", 0);
    test_run_until(t, 3 * SECOND);
    test_submit(t, "b", "e", 0); /* for which a must leave */
    test_run_until(t, 20 * SECOND);
    expect(t, "weir_evictions_total", "a reason=memory", 1);
    expect(t, "weir_worker_exits_total", "a how=left", 1);
    test_run_until(t, 90 * SECOND); /* b has been idle for its 60 s */
    expect(t, "weir_evictions_total", "b reason=idle", 1);
    test_submit(t, "a", "e", 0);
    test_run_until(t, 92 * SECOND);
    assert_int_equal(supervisor_unload(t->supervisor, "a", NULL), WEIR_OK);
    test_submit(t, "broken", "e", 0);
    test_run_until(t, 94 * SECOND);
    expect(t, "weir_evictions_total", "a reason=unload", 1);
    expect(t, "weir_worker_exits_total", "broken how=failed", 1);
    expect(t, "weir_requests_total", "broken outcome=model_load_failed", 1);
    test_submit(t, "b", "e", 0);
    test_run_until(t, 96 * SECOND);
    supervisor_drain(t->supervisor, 0);
    test_run_until(t, 98 * SECOND);
    expect(t, "weir_evictions_total", "b reason=shutdown", 1);
    expect(t, "weir_worker_spawned_total", "a", 2);
    expect(t, "weir_restarts_total", "a", 0); /* who was told to leave is not restarted */
    expect(t, "weir_restarts_total", "b", 0);
    struct supervisor_totals totals = test_totals(t);
    assert_true(value_of(t, "weir_verdicts_total", "\"verdict\":\"grant\"", "value") ==
                (double)totals.verdicts[VERDICT_GRANT]);
    assert_true(value_of(t, "weir_verdicts_total", "\"verdict\":\"evict\"", "value") ==
                (double)totals.verdicts[VERDICT_EVICT]);
    assert_true(totals.verdicts[VERDICT_EVICT] > 0);
    test_close(t);
}

static void each_model_has_its_counters(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "a", 100, 10, (struct model_settings){ .min_workers = 1 });
    test_register(t, "b", 100, 10, (struct model_settings){ .min_workers = 2 });
    test_run_until(t, 3 * SECOND);
    expect(t, "weir_worker_spawned_total", "a", 1);
    expect(t, "weir_worker_spawned_total", "b", 2);
    expect(t, "weir_restarts_total", "b", 0);
    expect(t, "weir_merged_total", "b", 0);
    test_close(t);
}

/* An entry that drains and a new one of its name are one row, and nothing counted is lost. */
static void one_row_for_a_name(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct model_settings one = { .max_workers = 1 };
    test_register(t, "m", 100, 10, one);
    test_run_until(t, SECOND);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND);
    t->next.mergeable = true;
    test_submit(t, "m", "r", 0);
    test_submit(t, "m", "r", 0);
    t->next.mergeable = false;
    test_run_until(t, 3 * SECOND);
    assert_int_equal(supervisor_unregister(t->supervisor, "m", NULL), WEIR_OK);
    test_register(t, "m", 100, 10, one);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 5 * SECOND);
    char *page = page_of(t);
    const char *first = find(page, "weir_running_jobs", "\"model\":\"m\"", "value");
    assert_non_null(first);
    const char *next_family = strstr(first, "{\"name\":");
    const char *next_sample = strstr(first, "{\"labels\":{\"model\":\"m\"},");
    assert_true(next_family != NULL && next_sample > next_family);
    mem_free(page);
    expect(t, "weir_running_jobs", "m", 1);
    expect(t, "weir_requests_total", "m outcome=ok", 2);
    expect(t, "weir_worker_spawned_total", "m", 2);
    test_finish_jobs(&t->world);
    for (int i = 0; i < 2; i++) { /* the first entry is still shown, and then it is gone */
        test_run_until(t, (i == 0 ? 8 : 12) * SECOND);
        expect(t, "weir_running_jobs", "m", 0);
        expect(t, "weir_requests_total", "m outcome=ok", 4);
        expect(t, "weir_tokens_total", "m direction=input", 9); /* of the two that were one, once */
        expect(t, "weir_merged_total", "m", 1);
        expect(t, "weir_worker_exits_total", "m how=left", 1);
        expect(t, "weir_evictions_total", "m reason=unregister", 1);
        expect(t, "weir_worker_spawned_total", "m", 2);
        expect_histogram(t, "weir_load_seconds", "m", 2, 1.0);
    }
    expect(t, "weir_queue_jobs", "m", 0);
    test_close(t);
}

/* Whatever happens, what is shown is what is. */
static void gauges_are_the_truth(void **state)
{
    static const char *const names[] = { "a", "b", "c" };
    static const char *const payloads[] = { "e", "r", "k" };
    struct rng rng;
    (void)state;
    rand_seed(&rng, 42);
    struct test_pool *t = test_open(250, NULL);
    const struct test_model *models[3];
    for (size_t i = 0; i < 3; i++)
        models[i] = test_register(t, names[i], 50, 20, (struct model_settings){ 0 });
    for (int step = 0; step < 120; step++) {
        const char *name = names[rand_below(&rng, 3)];
        uint64_t what = rand_below(&rng, 10);
        if (what < 7)
            test_submit(t, name, payloads[rand_below(&rng, 30) == 0 ? 2 : rand_below(&rng, 2)],
                        (int64_t)(1 + rand_below(&rng, 20000)));
        else if (what == 7)
            assert_int_equal(supervisor_unload(t->supervisor, name, NULL), WEIR_OK);
        else if (t->count > 0)
            supervisor_cancel(t->supervisor, t->requests[rand_below(&rng, t->count)].id);
        test_run_until(t, t->world.now_ms + (int64_t)rand_below(&rng, 900));
        double queued = 0, running = 0, leased = 0, ended = 0;
        for (size_t i = 0; i < 3; i++) {
            char labels[40];
            snprintf(labels, sizeof labels, "\"model\":\"%s\"", names[i]);
            if (value_of(t, "weir_queue_jobs", labels, "value") < 0)
                continue; /* not used yet */
            queued += value_of(t, "weir_queue_jobs", labels, "value");
            running += value_of(t, "weir_running_jobs", labels, "value");
            leased += value_of(t, "weir_memory_leased_model_bytes", labels, "value");
            ended += value_of(t, "weir_request_duration_seconds", labels, "count");
            double alive = 0;
            for (int s = 0; s < CHILD_STATE_COUNT; s++) {
                snprintf(labels, sizeof labels, "\"model\":\"%s\",\"state\":\"%s\"", names[i],
                         child_state_name((enum child_state)s));
                if (child_state_holds_memory((enum child_state)s))
                    alive += value_of(t, "weir_workers", labels, "value");
            }
            assert_true(alive == test_workers(&t->world, models[i]));
        }
        struct supervisor_totals totals = test_totals(t);
        assert_true(queued == (double)totals.queued_jobs);
        assert_true(running == (double)totals.running_jobs);
        assert_true(leased == (double)totals.leased_bytes);
        assert_true(ended == (double)(totals.succeeded + totals.failed));
    }
    assert_true(test_totals(t).accepted > 40);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_has_its_form),
        cmocka_unit_test(requests_are_counted_by_their_end),
        cmocka_unit_test(deaths_are_counted),
        cmocka_unit_test(an_open_breaker_is_counted),
        cmocka_unit_test(evictions_are_counted_by_reason),
        cmocka_unit_test(each_model_has_its_counters),
        cmocka_unit_test(one_row_for_a_name),
        cmocka_unit_test(gauges_are_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
