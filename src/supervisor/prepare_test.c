/* prepare_test.c — packed weights made before a model's first worker: what is shared then, who
 * waits for it, and who need not. */
#include "supervisor/test_prepare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

static void a_cold_start_is_prepared_and_shared(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = add(t, "m", (struct model_settings){ .max_workers = 2 });
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, INSPECTED_MS);
    assert_string_equal(t->world.processes[2].title, "weir:prepare");
    assert_int_equal(leased(t), 64);
    assert_int_equal(m->preparations, 0);
    test_run_until(t, ASKED_MS);
    assert_int_equal(m->preparations, 1);
    test_run_until(t, PREPARED_MS - 1);
    assert_int_equal(m->spawns, 0);
    assert_int_equal(find_model(t, "m")->preparation, PREPARATION_RUNNING);
    test_run_until(t, PREPARED_MS + 1);
    assert_int_equal(m->spawns, 1);
    assert_int_equal(leased(t), 190);
    assert_false(t->world.processes[2].alive);
    test_run_until(t, 3 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(test_workers(&t->world, m), 2);
    assert_int_equal(leased(t), 200);
    for (uint32_t id = 3; id <= 4; id++) {
        assert_true(t->world.processes[id].has_cache);
        assert_int_equal(t->world.processes[id].load.precision, 0);
    }
    assert_int_equal(m->preparations, 1);
    assert_true(was_told(t, "prepare m: f32\nprepared m: \n"));
    test_close(t);
}

static void the_precision_says_how_much_is_packed(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        add(t, "m", (struct model_settings){ .max_workers = 1, .precision = PLAN_BF16 });
    test_submit(t, "m", "e", 0);
    test_run_until(t, 3 * SECOND);
    assert_int_equal(leased(t), 150);
    assert_int_equal(m->preparations, 1);
    assert_int_equal(t->world.processes[2].load.precision, PLAN_BF16);
    assert_int_equal(t->world.processes[3].load.precision, PLAN_BF16);
    test_close(t);
}

/* Nothing to pack, or nowhere to put it: each worker does with what it has. */
static void without_a_cache_each_worker_packs(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *plain = test_register(t, "plain", 100, 10, ONE);
    test_submit(t, "plain", "e", 0);
    test_run_until(t, 3 * SECOND);
    assert_int_equal(plain->preparations, 0);
    assert_int_equal(leased(t), 110);
    test_close(t);
    t = test_open(1000, NULL);
    mem_free((char *)t->supervisor->options.cache);
    t->supervisor->options.cache = NULL;
    struct test_model *m = add(t, "m", (struct model_settings){ .max_workers = 2 });
    test_submit(t, "m", "e", 0);
    test_run_until(t, 3 * SECOND);
    assert_int_equal(m->preparations, 0);
    assert_int_equal(leased(t), 280);
    assert_false(t->world.processes[2].has_cache || t->world.processes[3].has_cache);
    test_close(t);
}

static void unload_and_wait(struct test_pool *t)
{
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    test_run_until(t, t->world.now_ms + 100);
    assert_int_equal(leased(t), 0);
}

static void each_cold_start_asks_again(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = add(t, "m", ONE);
    for (uint32_t round = 1; round <= 3; round++) {
        const struct test_request *r = test_submit(t, "m", "e", 0);
        test_run_until(t, t->world.now_ms + 2 * SECOND);
        assert_ended(r, WEIR_OK);
        assert_int_equal(m->preparations, round);
        unload_and_wait(t);
    }
    test_close(t);
}

/* After a failure not for a minute, and then by a cold start only. */
static void a_failure_is_remembered_for_a_while(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = add(t, "m", ONE);
    m->prepare_fails = "the disk is full";
    test_submit(t, "m", "e", 0);
    test_run_until(t, 3 * SECOND);
    m->prepare_fails = NULL;
    unload_and_wait(t);
    test_run_until(t, PREPARED_MS + 60 * SECOND - 1);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 65 * SECOND);
    assert_int_equal(m->preparations, 1);
    assert_int_equal(leased(t), 190);
    assert_int_equal(find_model(t, "m")->preparation, PREPARATION_FAILED);
    unload_and_wait(t);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 70 * SECOND);
    assert_int_equal(m->preparations, 2);
    assert_int_equal(find_model(t, "m")->preparation, PREPARATION_SHARED);
    test_close(t);
}

/* In the order in which they came to their first worker; an entry of the same name is another. */
static void one_is_prepared_at_a_time(void **state)
{
    (void)state;
    struct test_pool *t = test_open(4000, NULL);
    static const char *const names[] = { "a", "b", "c" };
    struct test_model *models[3];
    for (size_t i = 0; i < 3; i++)
        models[i] = add(t, names[i], ONE);
    struct test_model *other =
        add(t, "d", (struct model_settings){ .max_workers = 1, .program = PROGRAM_FAKE });
    test_run_until(t, SECOND);
    for (size_t i = 3; i > 0; i--)
        test_submit(t, names[i - 1], "e", 0);
    test_submit(t, "d", "e", 0);
    test_run_until(t, SECOND + 15);
    assert_true(models[2]->preparations == 1 && models[1]->preparations == 0);
    assert_int_equal(other->preparations, 1); /* it has a program of its own */
    assert_int_equal(leased(t), 128);
    test_run_until(t, SECOND + 215);
    assert_true(models[1]->preparations == 0 && models[2]->spawns == 1);
    test_run_until(t, SECOND + 230);
    assert_true(models[1]->preparations == 1 && models[0]->preparations == 0);
    test_run_until(t, SECOND + 450);
    assert_int_equal(models[0]->preparations, 1);
    test_run_until(t, 5 * SECOND);
    for (size_t i = 0; i < 4; i++)
        assert_ended(&t->requests[i], WEIR_OK);
    test_close(t);
}

/* What a preparer needs and is not free is not made free: the model does without. */
static void nobody_leaves_for_a_preparation(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *idle = test_register(t, "idle", 900, 37, ONE);
    struct test_model *small = test_register(t, "small", 20, 10, ONE);
    small->plan.packed_bytes[0] = 10 * MiB;
    test_submit(t, "idle", "e", 0);
    test_run_until(t, 20 * SECOND);
    const struct test_request *r = test_submit(t, "small", "e", 0);
    test_run_until(t, 23 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(test_workers(&t->world, idle), 1);
    assert_int_equal(small->preparations, 0);
    assert_int_equal(leased(t), 937 + 40);
    assert_true(was_told(t, "prepared small: no memory is free for it\n"));
    test_close(t);
    /* One mebibyte more is enough. */
    t = test_open(1001, NULL);
    test_register(t, "idle", 900, 37, ONE);
    small = test_register(t, "small", 20, 10, ONE);
    small->plan.packed_bytes[0] = 10 * MiB;
    test_submit(t, "idle", "e", 0);
    test_run_until(t, 20 * SECOND);
    test_submit(t, "small", "e", 0);
    test_run_until(t, 23 * SECOND);
    assert_int_equal(small->preparations, 1);
    test_close(t);
}

/* What it keeps from others comes back by itself: they wait for it and push nobody out. */
static void nobody_leaves_because_of_a_preparation(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *idle = test_register(t, "idle", 400, 100, ONE);
    struct test_model *small = test_register(t, "small", 10, 10, ONE);
    struct test_model *last = test_register(t, "last", 400, 50, ONE);
    small->plan.packed_bytes[0] = 10 * MiB;
    test_submit(t, "idle", "e", 0);
    test_run_until(t, 20 * SECOND);
    test_submit(t, "small", "e", 0);
    test_run_until(t, 20 * SECOND + 50);
    assert_int_equal(leased(t), 564);
    const struct test_request *r = test_submit(t, "last", "e", 0);
    test_run_until(t, 20 * SECOND + 200);
    assert_int_equal(last->spawns, 0);
    test_run_until(t, 20 * SECOND + 250);
    assert_true(last->spawns == 1 && small->spawns == 1);
    test_run_until(t, 23 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(test_workers(&t->world, idle), 1);
    test_close(t);
}

/* Room is made for the worker, not for the preparer: then it is prepared, and then it starts. */
static void room_is_made_for_the_worker(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *idle = test_register(t, "idle", 800, 100, ONE);
    struct test_model *m = add(t, "m", ONE);
    test_submit(t, "idle", "e", 0);
    test_run_until(t, 20 * SECOND);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 23 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(test_workers(&t->world, idle), 0);
    assert_int_equal(m->preparations, 1);
    test_close(t);
}

/* They end as ever; what was begun is not thrown away, and what is old is asked for again. */
static void deadlines_and_cancels_go_on(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = add(t, "m", ONE);
    const struct test_request *late = test_submit(t, "m", "e", 100);
    const struct test_request *cancelled = test_submit(t, "m", "e", 0);
    test_run_until(t, 50);
    supervisor_clock(t->supervisor, 50);
    assert_true(supervisor_cancel(t->supervisor, cancelled->id));
    test_run_until(t, 100);
    assert_ended(cancelled, WEIR_CANCELLED);
    assert_ended(late, WEIR_DEADLINE);
    test_run_until(t, 150);
    assert_true(t->world.processes[2].alive);
    const struct test_request *next = test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND);
    assert_ended(next, WEIR_OK);
    assert_int_equal(m->preparations, 1);
    unload_and_wait(t);
    /* The second time nobody waits when it is done: the third asks again. */
    test_submit(t, "m", "e", 100);
    test_run_until(t, 4 * SECOND);
    assert_true(m->preparations == 2 && m->spawns == 1);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 6 * SECOND);
    assert_true(m->preparations == 3 && m->spawns == 2);
    test_close(t);
}

static void an_unload_stops_it(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    supervisor_clock(t->supervisor, ASKED_MS);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    test_run_until(t, ASKED_MS);
    assert_int_equal(t->world.kills, 1);
    assert_true(was_told(t, "prepared m: unload\n"));
    assert_true(was_told(t, "unloaded m: \n"));
    t->world.prepare_ms = 200; /* its request still waits: that is another cold start */
    test_run_until(t, 3 * SECOND);
    assert_ended(&t->requests[0], WEIR_OK);
    assert_int_equal(t->world.models[0].preparations, 2);
    test_close(t);
}

/* With a request it is served to its end, without one it is stopped at once. */
static void an_entry_that_goes_is_served_first(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    t->world.processes[2].load_ms = PREPARED_MS;
    supervisor_clock(t->supervisor, ASKED_MS);
    assert_int_equal(supervisor_unregister(t->supervisor, "m", NULL), WEIR_OK);
    test_run_until(t, 3 * SECOND);
    assert_ended(&t->requests[0], WEIR_OK);
    assert_int_equal(t->world.kills, 0);
    assert_true(t->world.processes[3].has_cache);
    test_close(t);
    t = open_asked();
    supervisor_clock(t->supervisor, ASKED_MS);
    assert_int_equal(supervisor_unregister(t->supervisor, "m", NULL), WEIR_OK);
    assert_true(supervisor_cancel(t->supervisor, t->requests[0].id));
    test_run_until(t, ASKED_MS + 1);
    assert_int_equal(t->world.kills, 1);
    assert_int_equal(test_totals(t).children, 0);
    assert_true(list_empty(&t->supervisor->models));
    test_close(t);
}

static void a_shutdown_stops_it(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    supervisor_clock(t->supervisor, ASKED_MS);
    supervisor_drain(t->supervisor, 5 * SECOND);
    test_run_until(t, ASKED_MS + 1);
    assert_ended(&t->requests[0], WEIR_SHUTTING_DOWN);
    assert_int_equal(t->world.kills, 1);
    assert_true(supervisor_drained(t->supervisor));
    test_close(t);
}

static void what_is_gone_is_prepared_once_more(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = add(t, "m", ONE);
    m->gone = 1;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_true(m->preparations == 2 && m->spawns == 2);
    assert_int_equal(find_model(t, "m")->problem.code, WEIR_OK);
    test_close(t);
    t = test_open(1000, NULL);
    m = add(t, "m", ONE);
    m->gone = 2;
    r = test_submit(t, "m", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_ended(r, WEIR_LOAD_FAILED);
    assert_string_equal(r->error.text, "what was prepared for model 'm' is gone: no such file");
    assert_int_equal(m->preparations, 2);
    test_close(t);
}

/* The code means that only from who was told to look there. */
static void a_stated_failure_is_one(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = add(t, "m", ONE);
    m->fails = true;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_ended(r, WEIR_LOAD_FAILED);
    assert_string_equal(r->error.text, "a file is missing");
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

/* It is seen, and a plan says what would be: with the model's weights where they are shared. */
static void a_plan_says_how_it_is_packed(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    struct buffer text;
    struct jsonw out;
    buffer_init(&text, 10000);
    jsonw_init(&out, &text);
    assert_int_equal(supervisor_plan(t->supervisor, "m", &out, NULL), WEIR_OK);
    buffer_u8(&text, 0);
    const char *const parts[] = { "\"verdict\":\"wait\"",
                                  "\"weights\":188743680,\"context\":10485760",
                                  "\"precision\":\"f32\",\"packed\":83886080,\"prepared\":true",
                                  "'m' waits until its weights are packed in the cache." };
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        if (strstr((const char *)text.data, parts[i]) == NULL)
            fail_msg("%s is not in %s", parts[i], (const char *)text.data);
    buffer_clear(&text);
    jsonw_init(&out, &text);
    supervisor_status(t->supervisor, &out);
    buffer_u8(&text, 0);
    assert_non_null(
        strstr((const char *)text.data,
               "\"precision\":\"f32\",\"packed\":83886080,\"preparation\":\"running\""));
    buffer_finish(&text);
    test_close(t);
}

/* A precision that is not there; and another one is another worker. */
static void precisions_are_settings_of_a_worker(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct weir_error err;
    struct model_settings settings = { .name = "m", .path = "m", .max_workers = 1, .priority = 2 };
    add(t, "m", ONE);
    settings.replace = true;
    settings.precision = PLAN_PRECISIONS;
    assert_int_equal(supervisor_register(t->supervisor, &settings, &err), WEIR_INVALID);
    assert_string_equal(err.text, "model 'm': there is no precision 2");
    const struct model *before = find_model(t, "m");
    settings.precision = PLAN_F32;
    assert_int_equal(supervisor_register(t->supervisor, &settings, NULL), WEIR_OK);
    assert_ptr_equal(find_model(t, "m"), before);
    settings.precision = PLAN_BF16;
    assert_int_equal(supervisor_register(t->supervisor, &settings, NULL), WEIR_OK);
    assert_ptr_not_equal(find_model(t, "m"), before);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cold_start_is_prepared_and_shared),
        cmocka_unit_test(the_precision_says_how_much_is_packed),
        cmocka_unit_test(without_a_cache_each_worker_packs),
        cmocka_unit_test(each_cold_start_asks_again),
        cmocka_unit_test(a_failure_is_remembered_for_a_while),
        cmocka_unit_test(one_is_prepared_at_a_time),
        cmocka_unit_test(nobody_leaves_for_a_preparation),
        cmocka_unit_test(nobody_leaves_because_of_a_preparation),
        cmocka_unit_test(room_is_made_for_the_worker),
        cmocka_unit_test(deadlines_and_cancels_go_on),
        cmocka_unit_test(an_unload_stops_it),
        cmocka_unit_test(an_entry_that_goes_is_served_first),
        cmocka_unit_test(a_shutdown_stops_it),
        cmocka_unit_test(what_is_gone_is_prepared_once_more),
        cmocka_unit_test(a_stated_failure_is_one),
        cmocka_unit_test(a_plan_says_how_it_is_packed),
        cmocka_unit_test(precisions_are_settings_of_a_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
