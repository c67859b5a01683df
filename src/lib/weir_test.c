/* The eight functions, driving real processes of weir-worker-fake. */
#include "base/check.h"
#include "lib/test_pool.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t generate(const char *model, const char *text, uint32_t flags, struct outcome *o)
{
    struct weir_error err;
    struct weir_generate g = {
        .size = sizeof g,
        .prompt = {.size = sizeof g.prompt,
                   .kind = WEIR_INPUT_TEXT,
                   .data = text,
                   .bytes = strlen(text)}
    };
    uint64_t id = weir_submit(pool,
                              &(struct weir_request){ .size = sizeof(struct weir_request),
                                                      .capability = WEIR_TEXT_TO_TEXT,
                                                      .operation = WEIR_GENERATE,
                                                      .model = model,
                                                      .flags = flags,
                                                      .callbacks = &callbacks,
                                                      .context = o,
                                                      .input = &g },
                              &err);
    assert_true(id != 0);
    return id;
}

static void test_first_request_starts_a_worker_and_is_answered(void **state)
{
    (void)state;
    struct outcome o[3] = { 0 };
    struct weir_error err;
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("m", "fake:text_embedding?dim=16");
    for (size_t i = 0; i < 3; i++)
        assert_true(embed("m", i == 1 ? "other" : "hello world", &o[i], &err) != 0);
    assert_int_equal(o[0].ends, 0);
    run(o, 3, 20);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(o[i].code, WEIR_OK);
        assert_int_equal(o[i].outputs, 1);
        assert_int_equal(o[i].ends, 1);
        assert_int_equal(o[i].dim, 16);
    }
    assert_true(o[0].first == o[2].first && o[0].first != o[1].first);
    weir_close(pool);
}

static void test_unknown_model_is_refused_at_once(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    struct weir_error err;
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    assert_int_equal(embed("nobody", "x", &o, &err), 0);
    assert_int_equal(err.code, WEIR_NO_SUCH_MODEL);
    weir_close(pool);
    assert_int_equal(o.ends, 0);
}

static void test_close_ends_what_is_left(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    struct weir_error err;
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("m", "fake:text_embedding?step=60s");
    assert_true(embed("m", "x", &o, &err) != 0);
    for (int i = 0; i < 20; i++)
        weir_step(pool, 10, &err);
    weir_close(pool);
    assert_int_equal(o.ends, 1);
    assert_int_equal(o.code, WEIR_SHUTTING_DOWN);
}

static void test_failed_load_says_why_and_leaves_nothing(void **state)
{
    (void)state;
    struct outcome o[2] = { 0 };
    struct weir_error err;
    const char *answer;
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("m", "fake:text_embedding?load_fail=boom");
    embed("m", "a", &o[0], &err);
    embed("m", "b", &o[1], &err);
    run(o, 2, 20);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(o[i].code, WEIR_LOAD_FAILED);
        assert_non_null(strstr(o[i].error, "boom"));
    }
    for (int i = 0; i < 50; i++)
        weir_step(pool, 10, &err);
    assert_int_equal(weir_control(pool, "{\"op\":\"status\"}", 15, &answer, NULL, &err), WEIR_OK);
    assert_non_null(strstr(answer, "\"leased\":0,"));
    const char *spawning = strstr(events, "\"to\":\"Spawning\"");
    const char *loading = strstr(events, "\"to\":\"Loading\"");
    const char *failed = strstr(events, "\"to\":\"Failed\"");
    const char *dead = strstr(events, "\"to\":\"Dead\"");
    assert_true(spawning != NULL && spawning < loading && loading < failed && failed < dead);
    weir_close(pool);
}

/* Steps until so many outputs came, and on: no more may come. A step may bring one output only. */
static void expect_outputs(const struct outcome *o, int count)
{
    struct weir_error err;
    for (int i = 0; i < 2000 && o->outputs < count; i++)
        weir_step(pool, 10, &err);
    for (int i = 0; i < 20; i++)
        weir_step(pool, 10, &err);
    assert_int_equal(o->outputs, count);
}

static void test_stream_has_credit(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("t", "fake:text_to_text?script=yes");
    uint64_t id = generate("t", "!tokens 200 0ms", WEIR_FLAG_OWN_CREDIT, &o);
    expect_outputs(&o, 64);
    assert_int_equal(o.ends, 0);
    assert_true(weir_credit(pool, id, 64, 64 * 16));
    expect_outputs(&o, 128);
    weir_credit(pool, id, 200, 200 * 16);
    run(&o, 1, 10);
    assert_int_equal(o.outputs, 200);
    assert_int_equal(o.code, WEIR_OK);
    weir_close(pool);
}

static void test_stream_without_own_credit_flows(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("t", "fake:text_to_text?script=yes");
    generate("t", "!tokens 500 0ms", 0, &o);
    run(&o, 1, 20);
    assert_int_equal(o.outputs, 500);
    assert_int_equal(o.code, WEIR_OK);
    weir_close(pool);
}

static void test_cancel_stops_a_running_request(void **state)
{
    (void)state;
    struct outcome o[2] = { 0 };
    struct weir_error err;
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("m", "fake:text_embedding?step=50ms&steps=2000");
    uint64_t id = embed("m", "x", &o[0], &err);
    for (int i = 0; i < 50; i++)
        weir_step(pool, 10, &err);
    assert_true(weir_cancel(pool, id));
    assert_false(weir_cancel(pool, id));
    run(o, 1, 2);
    assert_int_equal(o[0].code, WEIR_CANCELLED);
    weir_close(pool);
}

static void test_crash_is_retried_then_quarantined(void **state)
{
    (void)state;
    struct outcome o[2] = { 0 };
    struct weir_error err;
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("m", "fake:text_embedding?script=yes");
    embed("m", "!crash", &o[0], &err);
    run(o, 1, 20);
    assert_int_equal(o[0].code, WEIR_QUARANTINED);
    assert_int_equal(embed("m", "!crash", &o[1], &err), 0);
    assert_int_equal(err.code, WEIR_QUARANTINED);
    weir_close(pool);
}

static void test_fd_is_readable_after_submit_and_by_timer(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    struct weir_error err;
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("m", "fake:text_embedding?load=100ms");
    while (weir_step(pool, 0, &err), poll(&(struct pollfd){ weir_fd(pool), POLLIN, 0 }, 1, 0) > 0)
        ;
    embed("m", "x", &o, &err);
    assert_int_equal(poll(&(struct pollfd){ weir_fd(pool), POLLIN, 0 }, 1, 0), 1);
    for (int i = 0; i < 2000 && o.ends == 0; i++) {
        struct pollfd p = { weir_fd(pool), POLLIN, 0 };
        assert_int_equal(poll(&p, 1, 20000), 1);
        weir_step(pool, 0, &err);
    }
    assert_int_equal(o.code, WEIR_OK);
    weir_close(pool);
}

static int events_told, steps_refused;

/* A caller may use the pool from within an event; only step and close are not for it. */
static void use_pool_on_event(void *context, const char *json, size_t bytes)
{
    struct weir_error err;
    const char *answer;
    char copy[1024];
    (void)context;
    assert_true(bytes < sizeof copy);
    memcpy(copy, json, bytes + 1);
    events_told++;
    if (events_told == 1) {
        add_model("b", "fake:text_embedding");
        add_model("c", "fake:text_embedding");
    }
    assert_int_equal(weir_control(pool, "{\"op\":\"status\"}", 15, &answer, NULL, &err), WEIR_OK);
    steps_refused += weir_step(pool, 0, &err) != WEIR_OK;
    assert_string_equal(json, copy);
}

static void test_events_may_use_the_pool(void **state)
{
    (void)state;
    struct weir_error err;
    const char *answer;
    static const char json[] = "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\"}";
    events_told = steps_refused = 0;
    open_pool(WEIR_BIN, (struct weir_options){ .on_event = use_pool_on_event });
    assert_int_equal(weir_control(pool, json, strlen(json), &answer, NULL, &err), WEIR_OK);
    assert_string_equal(answer, "{\"ok\":true}");
    for (int i = 0; i < 500 && events_told < 6; i++) /* three registered, three inspected */
        assert_int_equal(weir_step(pool, 10, &err), WEIR_OK);
    assert_int_equal(events_told, 6);
    assert_int_equal(steps_refused, 6);
    weir_close(pool);
}

static void test_control_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    struct weir_error err;
    const char *answer;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"op\":5}",
        "{\"op\":\"fly\"}",
        "{\"op\":\"status\",\"x\":1}",
        "{\"op\":\"register\",\"name\":\"a\"}",
        "{\"op\":\"register\",\"name\":\"a b\",\"path\":\"/x\"}",
        "{\"op\":\"register\",\"name\":\"a\",\"max_workers\":-1}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"aliases\":\"b\"}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"aliases\":[5]}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"/x\",\"capabilities\":[\"flying\"]}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"/x\",\"capabilities\":[\"vision\",null]}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"priority\":\"urgent\"}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"priority\":1}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"pin\":1}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"preload\":\"yes\"}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"precision\":16}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"precision\":\"f16\"}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"truncate\":\"yes\"}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"replace\":[]}",
        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:vision\",\"colour\":\"red\"}",
        "{\"op\":\"pin\"}",
        "{\"op\":\"pin\",\"name\":\"a\"}",
        "{\"op\":\"unpin\",\"name\":\"a\"}",
        "{\"op\":\"plan\",\"name\":\"a\"}",
        "{\"op\":\"plan\"}",
        "{\"op\":\"configure\",\"memory_percent\":101}",
        "{\"op\":\"configure\",\"memory_bytes\":-1}",
        "{\"op\":\"configure\",\"memory_bytes\":1,\"memory_percent\":1}",
        "{\"op\":\"request\",\"id\":77}",
        "{\"op\":\"request\",\"id\":\"77\"}",
        "{\"op\":\"request\"}",
        "{\"op\":\"unload\",\"name\":\"a\"}"
    };
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_not_equal(weir_control(pool, bad[i], strlen(bad[i]), &answer, NULL, &err),
                             WEIR_OK);
        assert_true(strlen(err.text) > 0);
    }
    weir_close(pool);
}

static void test_a_model_is_registered_with_all_its_settings(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    static const char *const pins[] = { "{\"op\":\"unpin\",\"name\":\"m\"}",
                                        "{\"op\":\"pin\",\"name\":\"n\"}" };
    struct weir_error err;
    const char *answer;
    static const char json[] =
        "{\"op\":\"register\",\"name\":\"m\",\"path\":\"fake:text_embedding\",\"max_workers\":2,"
        "\"min_workers\":0,\"idle_ms\":1000,\"slots\":2,\"context\":64,\"aliases\":[\"n\",\"o\"],"
        "\"capabilities\":[\"text_embedding\"],\"priority\":\"low\",\"pin\":true,"
        "\"preload\":false,\"replace\":true}";
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    assert_int_equal(weir_control(pool, json, strlen(json), &answer, NULL, &err), WEIR_OK);
    assert_string_equal(answer, "{\"ok\":true}");
    for (size_t i = 0; i < ARRAY_COUNT(pins); i++)
        assert_int_equal(weir_control(pool, pins[i], strlen(pins[i]), &answer, NULL, &err),
                         WEIR_OK);
    assert_true(embed("o", "by its other name", &o, &err) != 0);
    run(&o, 1, 20);
    assert_int_equal(o.code, WEIR_OK);
    assert_int_equal(weir_control(pool, "{\"op\":\"models\"}", 15, &answer, NULL, &err), WEIR_OK);
    assert_non_null(strstr(answer, "\"aliases\":[\"n\",\"o\"]"));
    weir_close(pool);
}

static void control(const char *json, const char *expected)
{
    struct weir_error err;
    const char *answer;
    size_t bytes;
    assert_int_equal(weir_control(pool, json, strlen(json), &answer, &bytes, &err), WEIR_OK);
    assert_int_equal(strlen(answer), bytes);
    if (strstr(answer, expected) == NULL)
        fprintf(stderr, "%s answered %s\n", json, answer);
    assert_non_null(strstr(answer, expected));
}

static void test_the_pool_is_asked_and_told(void **state)
{
    (void)state;
    char json[64];
    struct outcome o = { 0 };
    struct weir_error err;
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("m", "fake:text_embedding?step=10s");
    const uint64_t id = embed("m", "x", &o, &err);
    snprintf(json, sizeof json, "{\"op\":\"request\",\"id\":%llu}", (unsigned long long)id);
    control(json, "\"state\":\"waiting\"");
    run_until_event("\"to\":\"Processing\"", 20);
    control(json, "\"state\":\"running\"");
    control("{\"op\":\"plan\",\"name\":\"m\"}", "\"verdict\"");
    control("{\"op\":\"metrics\"}", "{\"metrics\":[");
    control("{\"op\":\"configure\",\"memory_bytes\":536870912}", "{\"ok\":true}");
    control("{\"op\":\"status\"}", "\"budget\":536870912");
    control("{\"op\":\"machine\"}", "\"budget\":536870912,\"budget_source\":\"as configured\"");
    control("{\"op\":\"configure\"}", "{\"ok\":true}");
    weir_close(pool);
}

/* Learns, closes, and opens again with what was learned. */
static void test_what_was_learned_is_kept_in_the_cache(void **state)
{
    (void)state;
    char folder[] = "/tmp/weir-cache-XXXXXX", file[64];
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/learned.json", folder);
    for (int life = 0; life < 2; life++) {
        struct outcome o = { 0 };
        struct weir_error err;
        open_pool(WEIR_BIN, (struct weir_options){ .cache = folder });
        add_model("m", "fake:text_embedding?load=300ms");
        embed("m", "x", &o, &err);
        run(&o, 1, 20);
        assert_int_equal(o.code, WEIR_OK);
        weir_close(pool);
#ifndef WEIR_SANITIZED /* whose figures nobody learns from */
        assert_int_equal(access(file, R_OK), 0);
#endif
    }
    unlink(file);
    assert_int_equal(rmdir(folder), 0);
}

static void test_a_cache_that_cannot_be_written_costs_nothing(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    struct weir_error err;
    open_pool(WEIR_BIN, (struct weir_options){ .cache = "/dev/full" });
    add_model("m", "fake:text_embedding?load=300ms");
    embed("m", "x", &o, &err);
    run(&o, 1, 20);
    assert_int_equal(o.code, WEIR_OK);
    weir_close(pool);
}

static void test_open_refuses_a_wrong_size_and_unknown_limits(void **state)
{
    (void)state;
    struct weir_error err;
    struct weir_limit limit = { "no_such_limit", 1 };
    assert_null(weir_open(&(struct weir_options){ .size = 1 }, &err));
    assert_int_equal(err.code, WEIR_INVALID);
    assert_null(weir_open(&(struct weir_options){ .size = sizeof(struct weir_options),
                                                  .limits = &limit,
                                                  .limits_count = 1 },
                          &err));
    assert_non_null(strstr(err.text, "no_such_limit"));
    limit.name = NULL;
    assert_null(weir_open(&(struct weir_options){ .size = sizeof(struct weir_options),
                                                  .limits = &limit,
                                                  .limits_count = 1 },
                          &err));
    assert_non_null(strstr(err.text, "limit 0 has no name"));
    assert_null(weir_open(
        &(struct weir_options){ .size = sizeof(struct weir_options), .limits_count = 2 }, &err));
    assert_non_null(strstr(err.text, "no pointer"));
    assert_null(weir_open(&(struct weir_options){ .size = sizeof(struct weir_options),
                                                  .memory_bytes = 1,
                                                  .memory_percent = 1 },
                          &err));
    assert_non_null(strstr(err.text, "two things of one budget"));
}

static void test_open_refuses_numbers_out_of_range(void **state)
{
    (void)state;
    const struct weir_options bad[] = {
        {.idle_ms = -1         },
        { .idle_ms = INT64_MAX },
        { .idle_label_ms = -5  },
        { .max_workers = 1025  },
        { .min_workers = 5,      .max_workers = 4 },
        { .min_workers = 5                    },
        { .idle_ms = 1000,  .idle_label_ms = 1001 },
        { .threads = 4097},
        { .memory_percent = 101      }
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct weir_error err;
        struct weir_options o = bad[i];
        o.size = sizeof o;
        assert_null(weir_open(&o, &err));
        assert_int_equal(err.code, WEIR_INVALID);
    }
}

static void test_a_deadline_without_end_is_no_deadline_in_the_past(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    struct weir_error err;
    struct weir_embed e = { .size = sizeof e };
    struct weir_request r = { .size = sizeof r,
                              .capability = WEIR_TEXT_EMBEDDING,
                              .operation = WEIR_EMBED,
                              .model = "m",
                              .deadline_ms = INT64_MAX,
                              .callbacks = &callbacks,
                              .context = &o,
                              .input = &e };
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
    add_model("m", "fake:text_embedding");
    assert_true(weir_submit(pool, &r, &err) != 0);
    run(&o, 1, 20);
    assert_int_equal(o.code, WEIR_OK);
    weir_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_request_starts_a_worker_and_is_answered),
        cmocka_unit_test(test_unknown_model_is_refused_at_once),
        cmocka_unit_test(test_close_ends_what_is_left),
        cmocka_unit_test(test_failed_load_says_why_and_leaves_nothing),
        cmocka_unit_test(test_stream_has_credit),
        cmocka_unit_test(test_stream_without_own_credit_flows),
        cmocka_unit_test(test_cancel_stops_a_running_request),
        cmocka_unit_test(test_crash_is_retried_then_quarantined),
        cmocka_unit_test(test_fd_is_readable_after_submit_and_by_timer),
        cmocka_unit_test(test_events_may_use_the_pool),
        cmocka_unit_test(test_control_refuses_what_it_does_not_know),
        cmocka_unit_test(test_a_model_is_registered_with_all_its_settings),
        cmocka_unit_test(test_the_pool_is_asked_and_told),
        cmocka_unit_test(test_what_was_learned_is_kept_in_the_cache),
        cmocka_unit_test(test_a_cache_that_cannot_be_written_costs_nothing),
        cmocka_unit_test(test_open_refuses_a_wrong_size_and_unknown_limits),
        cmocka_unit_test(test_open_refuses_numbers_out_of_range),
        cmocka_unit_test(test_a_deadline_without_end_is_no_deadline_in_the_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
