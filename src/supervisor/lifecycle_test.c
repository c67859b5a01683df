/* lifecycle_test.c — when workers come without a request, how long they stay after one, and how
 * they go: pin, preload, keep-alive, unload, and the ends of a pool. */
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define ONE    ((struct model_settings){ .max_workers = 1 })

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

static void assert_workers(struct test_pool *t, const struct test_model *m, int64_t at_ms,
                           uint32_t count)
{
    test_run_until(t, at_ms);
    if (test_workers(&t->world, m) != count)
        fail_msg("at %lld ms: %u workers, expected %u", (long long)at_ms,
                 test_workers(&t->world, m), count);
}

static const struct test_request *submit_keeping(struct test_pool *t, const char *payload,
                                                 int64_t keep_alive_ms)
{
    t->next.keep_alive_ms = keep_alive_ms;
    const struct test_request *r = test_submit(t, "m", payload, HOUR);
    t->next.keep_alive_ms = 0;
    return r;
}

static void a_preloaded_model_is_loaded_once(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .preload = true });
    assert_workers(t, m, 2 * SECOND, 1);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND + 101);
    assert_ended(r, WEIR_OK);
    assert_workers(t, m, 10 * MINUTE, 0); /* like any other */
    assert_workers(t, m, HOUR, 0);
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

/* Nobody leaves for a worker that nobody asked for, and nobody waits behind it. */
static void a_preload_takes_only_what_is_free(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL);
    struct test_model *a = test_register(t, "a", 200, 100, ONE);
    test_submit(t, "a", "e", 0);
    test_run_until(t, 2 * SECOND);
    struct test_model *m = test_register(
        t, "m", 200, 100, (struct model_settings){ .max_workers = 1, .preload = true });
    assert_workers(t, m, 30 * SECOND, 0);
    assert_int_equal(test_workers(&t->world, a), 1);
    assert_non_null(strstr(t->told, "skipped m, "));
    assert_workers(t, m, 5 * MINUTE, 0);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 6 * MINUTE);
    assert_ended(r, WEIR_OK);
    test_close(t);
}

static void a_pinned_model_keeps_its_last_worker(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, (struct model_settings){ .pin = true });
    assert_workers(t, m, MINUTE, 0); /* to keep is not to load */
    test_submit(t, "m", "e", 0);
    assert_workers(t, m, MINUTE + 5 * SECOND, 2);
    assert_workers(t, m, HOUR, 1);
    assert_int_equal(supervisor_pin(t->supervisor, "m", false, NULL), WEIR_OK);
    assert_workers(t, m, HOUR + 10, 0);
    test_submit(t, "m", "e", 0);
    assert_int_equal(supervisor_pin(t->supervisor, "m", true, NULL), WEIR_OK);
    assert_workers(t, m, 2 * HOUR, 1);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    assert_workers(t, m, 2 * HOUR + 10, 0); /* who says so may */
    assert_workers(t, m, 3 * HOUR, 0);
    test_close(t);
}

/* The last worker of an unloaded model does not leave in peace: that brings none back. */
static void an_unloaded_minimum_stays_away_whatever_its_worker_does(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .max_workers = 1, .min_workers = 1 });
    test_run_until(t, 2 * SECOND);
    const struct test_request *r = test_submit(t, "m", "s", 0); /* hears no cancel */
    test_run_until(t, 3 * SECOND);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    assert_true(supervisor_cancel(t->supervisor, r->id));
    assert_workers(t, m, 32 * SECOND, 1);
    assert_workers(t, m, 34 * SECOND, 0);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Evicting Dead");
    assert_workers(t, m, HOUR, 0);
    assert_int_equal(m->spawns, 1);
    test_submit(t, "m", "e", 0);
    assert_workers(t, m, 2 * HOUR, 1);
    test_close(t);
}

static void keep_alive_counts_instead_of_idle(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    submit_keeping(t, "e", 5 * MINUTE);
    assert_workers(t, m, 5 * MINUTE, 1);
    assert_workers(t, m, 5 * MINUTE + SECOND, 0);
    submit_keeping(t, "e", 5 * MINUTE);
    test_run_until(t, 6 * MINUTE);
    submit_keeping(t, "e", 0); /* one that does not say restores the default */
    assert_workers(t, m, 7 * MINUTE, 1);
    assert_workers(t, m, 7 * MINUTE + SECOND, 0);
    submit_keeping(t, "e", 1); /* as good as none */
    assert_workers(t, m, 7 * MINUTE + 2 * SECOND, 0);
    submit_keeping(t, "e", 2 * SECOND);
    assert_workers(t, m, 7 * MINUTE + 4 * SECOND, 1);
    assert_workers(t, m, 7 * MINUTE + 6 * SECOND, 0);
    test_close(t);
}

static void keep_alive_is_bounded(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.ping_ms = limits.pressure_ms = 100 * DAY; /* so that the test is quick */
    struct test_pool *t = test_open(1000, &limits);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    submit_keeping(t, "e", INT64_MAX);
    assert_workers(t, m, 24 * DAY, 1);
    assert_workers(t, m, 24 * DAY + SECOND, 0);
    test_close(t);
}

static void kept_for_ever_is_not_pinned(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL);
    struct test_model *m = test_register(t, "m", 200, 100, ONE);
    test_register(t, "other", 200, 100, ONE);
    submit_keeping(t, "e", KEEP_ALIVE_FOREVER);
    assert_workers(t, m, 12 * HOUR, 1);
    const struct test_request *r = test_submit(t, "other", "e", 0);
    assert_workers(t, m, 12 * HOUR + 2 * SECOND, 0);
    assert_ended(r, WEIR_OK);
    submit_keeping(t, "e", KEEP_ALIVE_FOREVER);
    assert_workers(t, m, 13 * HOUR, 1);
    submit_keeping(t, "e", 0);
    assert_workers(t, m, 13 * HOUR + 2 * MINUTE, 0);
    test_close(t);
}

static void kept_not_at_all_it_leaves_after_the_last_request(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, (struct model_settings){ 0 });
    const struct test_request *last = submit_keeping(t, "r", KEEP_ALIVE_NONE);
    const struct test_request *first = submit_keeping(t, "e", KEEP_ALIVE_NONE);
    test_run_until(t, 5 * SECOND);
    assert_ended(first, WEIR_OK);
    assert_workers(t, m, 30 * SECOND, 2); /* a request is left */
    test_finish_jobs(&t->world);
    assert_workers(t, m, 30 * SECOND + 10, 0);
    assert_ended(last, WEIR_OK);
    /* Its second worker, still loading, is not worth waiting for. */
    submit_keeping(t, "e", KEEP_ALIVE_NONE);
    assert_workers(t, m, 31 * SECOND, 0);
    /* Another that does not say so stays as usual. */
    submit_keeping(t, "e", 0);
    assert_workers(t, m, 80 * SECOND, 2);
    test_close(t);
}

static void kept_not_at_all_what_must_stay_stays(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct test_pool *t = test_open(1000, NULL);
        struct test_model *m = test_register(
            t, "m", 100, 10, (struct model_settings){ .pin = i == 0, .min_workers = i == 1 });
        test_run_until(t, 2 * SECOND);
        submit_keeping(t, "r", 0);
        submit_keeping(t, "r", 0);
        assert_workers(t, m, 10 * SECOND, 2);
        submit_keeping(t, "e", KEEP_ALIVE_NONE);
        test_finish_jobs(&t->world);
        assert_workers(t, m, 11 * SECOND, 1);
        assert_workers(t, m, HOUR, 1);
        assert_int_equal(m->spawns, 2);
        test_close(t);
    }
}

static void submit_load(struct test_pool *t, const struct request_callbacks *callbacks,
                        int64_t keep_alive_ms)
{
    const struct submission load = { .model = "m",
                                     .operation = WEIR_LOAD,
                                     .keep_alive_ms = keep_alive_ms,
                                     .callbacks = callbacks,
                                     .context = t };
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_true(supervisor_submit(t->supervisor, &load, NULL) != 0);
}

static void on_end_nothing(void *context, uint64_t id, const struct request_outcome *outcome)
{
    (void)context, (void)id;
    CHECK(outcome->error.code == WEIR_OK && outcome->error.index == -1);
}

/* To ask for a load is to use the model, and may say how long it stays. */
static void a_load_of_what_is_loaded_counts(void **state)
{
    (void)state;
    static const struct request_callbacks callbacks = { .on_end = on_end_nothing };
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    submit_load(t, &callbacks, 0);
    assert_workers(t, m, 50 * SECOND, 1);
    submit_load(t, &callbacks, 0);
    assert_workers(t, m, 50 * SECOND + MINUTE - 1, 1);
    assert_workers(t, m, 50 * SECOND + MINUTE + 10, 0);
    submit_load(t, &callbacks, KEEP_ALIVE_FOREVER);
    assert_workers(t, m, HOUR, 1);
    submit_load(t, &callbacks, KEEP_ALIVE_NONE);
    assert_workers(t, m, HOUR + 10, 0);
    assert_int_equal(m->spawns, 2);
    test_close(t);
}

/* F039, F042: just when it is told to go, and while it streams. */
static void a_request_during_an_eviction_is_answered(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL); /* room for one worker */
    struct test_model *m = test_register(t, "m", 200, 200, ONE);
    const struct test_request *first = test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    assert_ended(first, WEIR_OK);
    const int64_t leaves_ms = first->total_ms + MINUTE;
    assert_workers(t, m, leaves_ms - 1, 1);
    t->world.holds_exits = true;
    test_run_until(t, leaves_ms);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready Idle Evicting");
    const struct test_request *late = test_submit(t, "m", "e", 0);
    test_run_until(t, leaves_ms + 10 * SECOND);
    assert_false(late->ended);
    t->world.holds_exits = false;
    test_run_until(t, leaves_ms + 12 * SECOND);
    assert_ended(late, WEIR_OK);
    const struct test_request *stream = submit_keeping(t, "s", 0);
    assert_workers(t, m, 20 * MINUTE, 1);
    assert_false(stream->ended);
    test_close(t);
}

/* F240, F243, F244: a load goes on for those who wait for it, but nothing is started any more. */
static void a_drain_waits_for_a_load_only_so_long(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct test_pool *t = test_open(1000, NULL);
        struct test_model *m = test_register(t, "m", 100, 10, (struct model_settings){ 0 });
        struct test_model *other = test_register(t, "other", 100, 10, ONE);
        t->world.load_ms = i == 0 ? 2 * SECOND : 20 * SECOND;
        const struct test_request *r = test_submit(t, "m", "e", 0);
        test_run_until(t, SECOND);
        const struct test_request *unlucky = test_submit(t, "other", "e", 0);
        supervisor_drain(t->supervisor, 5 * SECOND); /* before the turn that would start it */
        test_run_until(t, SECOND + 1);
        assert_ended(unlucky, WEIR_SHUTTING_DOWN);
        test_run_until(t, 7 * SECOND);
        assert_true(supervisor_drained(t->supervisor));
        assert_ended(r, i == 0 ? WEIR_OK : WEIR_SHUTTING_DOWN);
        assert_int_equal(m->spawns, 1);
        assert_int_equal(other->spawns, 0);
        test_close(t);
    }
}

static void on_end_drains(void *context, uint64_t id, const struct request_outcome *outcome)
{
    (void)id;
    CHECK(outcome->error.code == WEIR_OK);
    struct test_pool *t = context;
    supervisor_drain(t->supervisor, 30 * SECOND);
    supervisor_drain(t->supervisor, 20 * SECOND);
}

/* F246: twice, and from within a callback; a second one can only make it shorter. */
static void a_drain_may_be_asked_for_again(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1, .slots = 2 });
    const struct test_request *r = test_submit(t, "m", "s", 0);
    test_run_until(t, 2 * SECOND);
    static const struct request_callbacks callbacks = { .on_end = on_end_drains };
    submit_load(t, &callbacks, 0);
    test_run_until(t, 3 * SECOND);
    assert_int_equal(test_submit(t, "m", "e", 0)->error.code, WEIR_SHUTTING_DOWN);
    supervisor_clock(t->supervisor, t->world.now_ms);
    supervisor_drain(t->supervisor, 60 * SECOND);
    test_run_until(t, 10 * SECOND);
    assert_false(r->ended || supervisor_drained(t->supervisor));
    supervisor_clock(t->supervisor, t->world.now_ms);
    supervisor_drain(t->supervisor, 2 * SECOND);
    test_run_until(t, 12 * SECOND);
    assert_ended(r, WEIR_SHUTTING_DOWN);
    test_run_until(t, 13 * SECOND);
    assert_true(supervisor_drained(t->supervisor));
    test_close(t);
}

/* F241, F242, F248: what hangs and hears nothing is killed when the time is over. */
static void a_drain_ends_with_a_hung_worker(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, ONE);
    const struct test_request *running = test_submit(t, "m", "r", 0);
    const struct test_request *waiting = test_submit(t, "m", "e", 0);
    test_run_until(t, 10 * SECOND);
    t->world.ticks_stand = t->world.is_stubborn = true;
    supervisor_clock(t->supervisor, t->world.now_ms);
    supervisor_drain(t->supervisor, 5 * SECOND);
    test_run_until(t, 15 * SECOND - 1);
    assert_false(running->ended || waiting->ended);
    test_run_until(t, 15 * SECOND);
    assert_ended(running, WEIR_SHUTTING_DOWN);
    assert_ended(waiting, WEIR_SHUTTING_DOWN);
    test_run_until(t, 15 * SECOND + 300);
    assert_true(supervisor_drained(t->supervisor));
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_preloaded_model_is_loaded_once),
        cmocka_unit_test(a_preload_takes_only_what_is_free),
        cmocka_unit_test(a_pinned_model_keeps_its_last_worker),
        cmocka_unit_test(an_unloaded_minimum_stays_away_whatever_its_worker_does),
        cmocka_unit_test(keep_alive_counts_instead_of_idle),
        cmocka_unit_test(keep_alive_is_bounded),
        cmocka_unit_test(kept_for_ever_is_not_pinned),
        cmocka_unit_test(kept_not_at_all_it_leaves_after_the_last_request),
        cmocka_unit_test(kept_not_at_all_what_must_stay_stays),
        cmocka_unit_test(a_load_of_what_is_loaded_counts),
        cmocka_unit_test(a_request_during_an_eviction_is_answered),
        cmocka_unit_test(a_drain_waits_for_a_load_only_so_long),
        cmocka_unit_test(a_drain_may_be_asked_for_again),
        cmocka_unit_test(a_drain_ends_with_a_hung_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
