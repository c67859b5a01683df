/* leave_test.c — how workers leave: what they are told and when, to the millisecond. The model "m"
 * has one worker, process 2, that is ready at READY_MS unless a test says otherwise. */
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND   INT64_C(1000)
#define MINUTE   (60 * SECOND)
#define READY_MS 521 /* two hellos, the inspection and the load, after its registration at 0 */
#define FOREVER                                                                                    \
    {                                                                                              \
        .max_workers = 1, .min_workers = 1                                                         \
    }

static struct test_pool *open_with(struct test_model **m, struct model_settings settings)
{
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *added = test_register(t, "m", 100, 10, settings);
    if (m != NULL)
        *m = added;
    return t;
}

static struct test_pool *open_ready(void)
{
    struct test_pool *t = open_with(NULL, (struct model_settings)FOREVER);
    test_run_until(t, READY_MS - 1);
    assert_string_equal(t->paths[2], "Spawning Loading");
    test_run_until(t, READY_MS);
    assert_string_equal(t->paths[2], "Spawning Loading Ready");
    return t;
}

static void assert_told(const struct test_pool *t, uint32_t byes, uint32_t terms, uint32_t kills)
{
    const struct test_world *w = &t->world;
    if (w->byes != byes + 1 || w->terms != terms || w->kills != kills) /* one to the inspector */
        fail_msg("%u byes, %u SIGTERM, %u SIGKILL; expected %u, %u, %u", w->byes - 1, w->terms,
                 w->kills, byes, terms, kills);
}

/* It goes from `path` to `path` and `next` at that time and not a millisecond before. */
static void assert_steps(struct test_pool *t, int64_t at_ms, const char *next)
{
    char expected[sizeof t->paths[2] + 20];
    snprintf(expected, sizeof expected, "%s %.12s", t->paths[2], next);
    test_run_until(t, at_ms - 1);
    if (strlen(t->paths[2]) >= strlen(expected))
        fail_msg("\"%s\" before %lld ms", t->paths[2], (long long)at_ms);
    test_run_until(t, at_ms);
    assert_string_equal(t->paths[2], expected);
}

static void tell_unload(struct test_pool *t)
{
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    test_run_until(t, t->world.now_ms);
}

static void who_stays_is_asked_then_told_then_killed(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    t->world.is_stubborn = true;
    tell_unload(t);
    assert_told(t, 1, 0, 0);
    test_run_until(t, READY_MS + 2 * SECOND - 1);
    assert_told(t, 1, 0, 0);
    test_run_until(t, READY_MS + 2 * SECOND);
    assert_told(t, 1, 1, 0);
    test_run_until(t, READY_MS + 7 * SECOND - 1);
    assert_told(t, 1, 1, 0);
    assert_steps(t, READY_MS + 7 * SECOND + 1, "Dead");
    assert_told(t, 1, 1, 1);
    test_close(t);
}

/* It has nothing to put in order. */
static void what_has_not_loaded_is_killed_at_once(void **state)
{
    (void)state;
    struct test_pool *t = open_with(NULL, (struct model_settings)FOREVER);
    test_run_until(t, 100);
    tell_unload(t);
    assert_told(t, 0, 0, 1);
    test_run_until(t, 101);
    assert_string_equal(t->paths[2], "Spawning Loading Evicting Dead");
    test_close(t);
}

/* Who said himself that he cannot load, or that his plan is larger, is let go in peace. */
static void what_could_not_load_is_told_to_go(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct test_model *m;
        struct test_pool *t = open_with(&m, (struct model_settings)FOREVER);
        m->fails = i == 0;
        m->states_more = i == 1;
        test_run_until(t, SECOND);
        assert_int_equal(t->world.terms + t->world.kills, 0);
        assert_string_equal(t->paths[2],
                            i == 0 ? "Spawning Loading Failed Dead" : "Spawning Failed Dead");
        assert_true((m->inspections > 1) == (i == 1));
        test_close(t);
    }
}

static void who_closes_his_channel_is_killed_at_once(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    supervisor_on_lost(t->supervisor, 2, "its channel was closed");
    test_run_until(t, READY_MS);
    assert_told(t, 0, 0, 1);
    /* Once more, and once more by its exit: one loss. */
    supervisor_on_lost(t->supervisor, 2, "its channel was closed again");
    test_run_until(t, READY_MS + 1);
    assert_told(t, 0, 0, 1);
    supervisor_on_exit(t->supervisor, 2, "exit status 0", NULL);
    supervisor_on_lost(t->supervisor, 2, "its channel was closed");
    test_run_until(t, READY_MS + 1);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Evicting Dead");
    test_close(t);
}

/* A channel that is closed after the bye is no loss. */
static void who_was_told_to_go_may_close_his_channel(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    t->world.holds_exits = true;
    tell_unload(t);
    assert_told(t, 1, 0, 0);
    supervisor_on_lost(t->supervisor, 2, "its channel was closed");
    test_run_until(t, READY_MS + 10);
    assert_told(t, 1, 0, 0);
    t->world.holds_exits = false;
    test_run_until(t, READY_MS + 20);
    assert_told(t, 1, 0, 0);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Evicting Dead");
    test_close(t);
}

static void who_says_nothing_is_lost_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_with(NULL, (struct model_settings)FOREVER);
    test_run_until(t, 11);
    assert_string_equal(t->paths[2], "Spawning");
    t->world.processes[2].hello_ms = TEST_NEVER;
    assert_steps(t, 11 + 5 * SECOND, "Failed");
    assert_told(t, 0, 0, 1);
    test_close(t);
}

static void a_load_without_progress_is_lost_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_with(NULL, (struct model_settings)FOREVER);
    t->world.load_ms = 10 * MINUTE;
    t->world.ticks_stand = true;
    t->world.ticks = 7;
    test_run_until(t, 21);
    assert_steps(t, 21 + MINUTE, "Failed");
    test_close(t);
}

/* Given to process 2 now, and by it as it is told. */
static struct test_job *submit(struct test_pool *t, const char *payload, bool accepts)
{
    CHECK(test_submit(t, "m", payload, 10 * MINUTE)->id != 0);
    t->wake_ms = supervisor_turn(t->supervisor, t->world.now_ms);
    struct test_job *slot = &t->world.processes[2].jobs[0];
    CHECK(slot->job != 0);
    slot->accepted = !accepts; /* as if it had been said */
    slot->due_ms = TEST_NEVER;
    return slot;
}

static void a_job_is_acknowledged_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    submit(t, "r", false);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing");
    assert_steps(t, READY_MS + 2 * SECOND, "Evicting");
    assert_told(t, 0, 0, 1);
    test_close(t);
}

static void a_job_without_progress_is_lost_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    t->world.ticks_stand = true;
    submit(t, "r", true);
    test_run_until(t, READY_MS);
    /* The first look found a new count. */
    assert_steps(t, READY_MS + 30 * SECOND, "Evicting");
    test_close(t);
}

/* A new job does not put off what the others have to answer for. */
static void a_new_job_hides_no_hung_one(void **state)
{
    (void)state;
    struct test_pool *t =
        open_with(NULL, (struct model_settings){ .max_workers = 1, .min_workers = 1, .slots = 2 });
    test_run_until(t, READY_MS);
    t->world.ticks_stand = true;
    submit(t, "r", true);
    test_run_until(t, READY_MS + 29 * SECOND);
    submit(t, "r", false);
    t->world.processes[2].jobs[1].accepted = true; /* as if it had been said */
    t->world.processes[2].jobs[1].due_ms = TEST_NEVER;
    assert_steps(t, READY_MS + 30 * SECOND, "Evicting");
    test_close(t);
}

static void a_cancelled_job_ends_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    submit(t, "s", true);
    test_run_until(t, 10 * SECOND);
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_true(supervisor_cancel(t->supervisor, t->requests[0].id));
    assert_steps(t, 40 * SECOND, "Evicting");
    assert_told(t, 0, 0, 1);
    test_close(t);
}

/* A stream whose credit is used up to the last byte stands as long as its caller does. */
static void who_waits_for_credit_is_not_lost(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    const struct test_job *slot = submit(t, "s", true);
    t->world.ticks_stand = true;
    test_run_until(t, SECOND);
    struct buffer body;
    buffer_init(&body, WIRE_PAYLOAD_MAX);
    message_output_write(&body, &(struct message_output){ WIRE_CREDIT_BYTES, true });
    test_emit(&t->world, 2, FRAME_OUTPUT, slot->job, &body);
    for (size_t i = 0; i < WIRE_CREDIT_BYTES; i += FRAME_PART_MAX) {
        for (size_t k = 0; k < FRAME_PART_MAX && i + k < WIRE_CREDIT_BYTES; k++)
            buffer_u8(&body, 'x');
        test_emit(&t->world, 2, FRAME_PART, slot->job, &body);
    }
    buffer_finish(&body);
    assert_int_equal(t->requests[0].output_bytes, WIRE_CREDIT_BYTES);
    test_run_until(t, 5 * MINUTE);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing");
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_true(supervisor_credit(t->supervisor, t->requests[0].id, 16, 1000));
    assert_steps(t, 5 * MINUTE + 30 * SECOND, "Evicting"); /* it could move again */
    test_close(t);
}

/* Nor one whose events are used up; but one that has a single one left could go on. */
static void the_last_event_counts(void **state)
{
    (void)state;
    for (uint32_t left = 0; left < 2; left++) {
        struct test_pool *t = open_ready();
        const struct test_job *slot = submit(t, "s", true);
        t->world.ticks_stand = true;
        test_run_until(t, SECOND);
        struct buffer body;
        buffer_init(&body, FRAME_BODY_MAX);
        for (uint32_t i = left; i < WIRE_CREDIT_EVENTS; i++) {
            message_output_write(&body, &(struct message_output){ 1, true });
            test_emit(&t->world, 2, FRAME_OUTPUT, slot->job, &body);
            buffer_u8(&body, 'x');
            test_emit(&t->world, 2, FRAME_PART, slot->job, &body);
        }
        buffer_finish(&body);
        test_run_until(t, 2 * MINUTE);
        assert_true((strstr(t->paths[2], "Evicting") != NULL) == (left == 1));
        test_close(t);
    }
}

static void a_quiet_worker_is_asked_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    test_run_until(t, READY_MS + 10 * SECOND - 1);
    assert_int_equal(t->world.pings, 0);
    test_run_until(t, READY_MS + 10 * SECOND);
    assert_int_equal(t->world.pings, 1);
    test_run_until(t, READY_MS + 20 * SECOND - 1);
    assert_int_equal(t->world.pings, 1);
    t->world.is_deaf = true;
    test_run_until(t, READY_MS + 20 * SECOND);
    assert_int_equal(t->world.pings, 2);
    assert_steps(t, READY_MS + 22 * SECOND, "Evicting");
    assert_told(t, 0, 0, 1);
    test_close(t);
}

static void a_worker_is_called_idle_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    assert_steps(t, READY_MS + 30 * SECOND, "Idle");
    test_close(t);
}

/* Whoever has jobs may finish them for a minute. */
static void a_leaving_worker_may_finish_for_so_long(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    submit(t, "r", true);
    test_run_until(t, 10 * SECOND);
    tell_unload(t);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Evicting");
    test_run_until(t, 10 * SECOND + MINUTE - 1);
    assert_told(t, 0, 0, 0);
    test_run_until(t, 10 * SECOND + MINUTE);
    assert_told(t, 1, 0, 0);
    assert_steps(t, 10 * SECOND + MINUTE + 1, "Dead");
    test_close(t);
}

/* What kills it meanwhile is to blame, though it was told to go. */
static void who_kills_a_leaving_worker_is_blamed(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    const struct test_request *r = test_submit(t, "m", "k", 0); /* in 100 ms */
    test_run_until(t, READY_MS + 50);
    tell_unload(t);
    test_run_until(t, 10 * SECOND);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Evicting Dead");
    assert_int_equal(r->error.code, WEIR_QUARANTINED);
    assert_int_equal(t->world.models[0].runs, 2);
    test_close(t);
}

/* The time a drain has is all the time: then SIGTERM, and SIGKILL a quarter of a second later. */
static void a_drain_leaves_no_time_to_the_busy(void **state)
{
    (void)state;
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        struct test_pool *t = open_ready();
        submit(t, "s", true);
        test_run_until(t, 10 * SECOND);
        if (cancelled) /* which it does not hear */
            assert_true(supervisor_cancel(t->supervisor, t->requests[0].id));
        t->world.is_stubborn = true;
        supervisor_clock(t->supervisor, t->world.now_ms);
        supervisor_drain(t->supervisor, 3 * SECOND);
        test_run_until(t, 13 * SECOND - 1);
        assert_told(t, 0, 0, 0);
        test_run_until(t, 13 * SECOND);
        assert_told(t, 0, 1, 0);
        test_run_until(t, 13 * SECOND + 249);
        assert_told(t, 0, 1, 0);
        test_run_until(t, 13 * SECOND + 250);
        assert_told(t, 0, 1, 1);
        test_close(t);
    }
}

static void the_dead_are_shown_for_five_seconds(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct test_pool *t = open_ready();
        tell_unload(t);
        test_run_until(t, READY_MS + 1 + 5 * SECOND - (i == 0 ? 1 : 0));
        struct buffer text;
        struct jsonw out;
        buffer_init(&text, 10000);
        jsonw_init(&out, &text);
        supervisor_status(t->supervisor, &out);
        buffer_u8(&text, 0);
        assert_true((strstr((const char *)text.data, "\"state\":\"Dead\"") != NULL) == (i == 0));
        buffer_finish(&text);
        test_close(t);
    }
}

static void a_worker_is_named_after_what_it_does(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = open_with(&m, (struct model_settings)FOREVER);
    test_run_until(t, SECOND);
    assert_string_equal(t->world.processes[2].title, "weir:text_embedding:m:2");
    struct test_model *painter =
        test_register(t, "painter", 100, 10, (struct model_settings)FOREVER);
    painter->plan.capabilities = 1u << WEIR_TEXT_TO_IMAGE;
    test_run_until(t, 2 * SECOND);
    assert_string_equal(t->world.processes[4].title, "weir:text_to_image:painter:4");
    test_close(t);
}

/* "attempt" counts loads since the registration. */
static void a_load_is_told_which_one_it_is(void **state)
{
    (void)state;
    struct test_pool *t = open_ready();
    assert_int_equal(t->world.processes[2].load.attempt, 1);
    assert_int_equal(t->world.processes[2].load.threads, 1);
    assert_int_equal(t->world.processes[2].load.slots, 1);
    test_exit(&t->world, 2);
    test_run_until(t, 2 * SECOND);
    assert_int_equal(t->world.processes[3].load.attempt, 2);
    test_close(t);
}

static void a_program_that_is_missing_is_a_failure_to_load(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = open_with(&m, (struct model_settings){ .max_workers = 1 });
    t->world.no_workers = 2;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    assert_true(r->ended);
    assert_int_equal(r->error.code, WEIR_LOAD_FAILED);
    assert_string_equal(r->error.text, "a worker of model 'm' died while loading: "
                                       "could not be started; no such program");
    assert_int_equal(m->spawns, 0);
    assert_int_equal(test_totals(t).leased_bytes, 0);
    assert_string_equal(t->paths[2], "Spawning Failed Dead");
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_stays_is_asked_then_told_then_killed),
        cmocka_unit_test(what_has_not_loaded_is_killed_at_once),
        cmocka_unit_test(what_could_not_load_is_told_to_go),
        cmocka_unit_test(who_closes_his_channel_is_killed_at_once),
        cmocka_unit_test(who_was_told_to_go_may_close_his_channel),
        cmocka_unit_test(who_says_nothing_is_lost_in_time),
        cmocka_unit_test(a_load_without_progress_is_lost_in_time),
        cmocka_unit_test(a_job_is_acknowledged_in_time),
        cmocka_unit_test(a_job_without_progress_is_lost_in_time),
        cmocka_unit_test(a_new_job_hides_no_hung_one),
        cmocka_unit_test(a_cancelled_job_ends_in_time),
        cmocka_unit_test(who_waits_for_credit_is_not_lost),
        cmocka_unit_test(the_last_event_counts),
        cmocka_unit_test(a_quiet_worker_is_asked_in_time),
        cmocka_unit_test(a_worker_is_called_idle_in_time),
        cmocka_unit_test(a_leaving_worker_may_finish_for_so_long),
        cmocka_unit_test(who_kills_a_leaving_worker_is_blamed),
        cmocka_unit_test(a_drain_leaves_no_time_to_the_busy),
        cmocka_unit_test(the_dead_are_shown_for_five_seconds),
        cmocka_unit_test(a_worker_is_named_after_what_it_does),
        cmocka_unit_test(a_load_is_told_which_one_it_is),
        cmocka_unit_test(a_program_that_is_missing_is_a_failure_to_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
