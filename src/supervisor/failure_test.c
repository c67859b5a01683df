/* failure_test.c — what goes wrong with a worker or a request, and who pays for it. */
#include "supervisor/state.h"
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

static void assert_refused(const struct test_request *r, enum weir_code code)
{
    assert_int_equal(r->id, 0);
    assert_int_equal(r->error.code, code);
}

/* Whether the worker waits for the bye or is gone with its last word. */
static void check_load_failure(bool exits_at_once)
{
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, (struct model_settings){ 0 });
    m->fails = true;
    m->exits_at_once = exits_at_once;
    for (int i = 0; i < 5; i++)
        test_submit(t, "m", "e", 0);
    test_run_until(t, 20 * SECOND);
    for (int i = 0; i < 5; i++) {
        assert_ended(&t->requests[i], WEIR_LOAD_FAILED);
        assert_non_null(strstr(t->requests[i].error.text, "a file is missing"));
        assert_true(t->requests[i].total_ms <= 530);
    }
    assert_string_equal(t->paths[2], "Spawning Loading Failed Dead");
    assert_int_equal(m->spawns, 1);
    assert_int_equal(test_totals(t).leased_bytes, 0);
    assert_int_equal(test_totals(t).children, 0);
    m->fails = false;
    const struct test_request *again = test_submit(t, "m", "e", 0);
    test_run_until(t, 22 * SECOND);
    assert_ended(again, WEIR_OK);
    test_close(t);
}

/* F003, F007, F050. */
static void a_load_failure_answers_all_who_wait(void **state)
{
    (void)state;
    check_load_failure(false);
}

/* F005, F006. */
static void a_load_failure_and_an_exit_in_one_turn(void **state)
{
    (void)state;
    check_load_failure(true);
}

/* It says why, its channel closes, it exits: still one failure. */
static void a_load_failure_counts_once(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    m->fails = m->exits_at_once = true;
    for (int i = 0; i < 4; i++) {
        const struct test_request *r = test_submit(t, "m", "e", 0);
        test_run_until(t, t->world.now_ms + SECOND);
        assert_ended(r, WEIR_LOAD_FAILED);
    }
    m->fails = false;
    const struct test_request *fifth = test_submit(t, "m", "e", 0);
    test_run_until(t, t->world.now_ms + 2 * SECOND);
    assert_ended(fifth, WEIR_OK);
    assert_int_equal(m->spawns, 5);
    test_close(t);
}

/* One of two died again: the other serves, and nobody is sent away until it is replaced. */
static void who_has_a_worker_left_takes_requests(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .min_workers = 2, .max_workers = 2 });
    test_run_until(t, 3 * SECOND);
    assert_true(t->world.processes[2].loaded && t->world.processes[3].loaded);
    test_exit(&t->world, 2); /* is replaced at once */
    test_run_until(t, 5 * SECOND);
    test_exit(&t->world, 4); /* only after a while */
    test_run_until(t, 5 * SECOND);
    const struct model *m = model_find(t->supervisor, "m");
    assert_int_equal(model_living(m), 1);
    assert_true(m->restart_at_ms > t->world.now_ms);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    assert_int_not_equal(r->id, 0);
    test_run_until(t, 6 * SECOND);
    assert_ended(r, WEIR_OK);
    test_close(t);
}

static void five_load_failures_open_the_breaker_for_a_minute(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    m->fails = true;
    for (int i = 0; i < 5; i++) {
        test_submit(t, "m", "e", 0);
        test_run_until(t, t->world.now_ms + SECOND);
    }
    const struct test_request *r = test_submit(t, "m", "e", 0);
    assert_refused(r, WEIR_UNAVAILABLE);
    assert_true(r->error.retry_after_ms > 55 * SECOND && r->error.retry_after_ms <= 60 * SECOND);
    m->fails = false;
    test_run_until(t, t->world.now_ms + 60 * SECOND);
    for (int i = 0; i < 3; i++) /* probes that say nothing make way for others */
        assert_true(supervisor_cancel(t->supervisor, test_submit(t, "m", "e", 0)->id));
    test_run_until(t, t->world.now_ms + 10);
    for (int i = 0; i < 5; i++)
        assert_true((test_submit(t, "m", "e", 0)->id != 0) == (i < 3));
    test_run_until(t, t->world.now_ms + 5 * SECOND);
    assert_true(test_submit(t, "m", "e", 0)->id != 0);
    assert_int_equal(m->spawns, 6);
    test_close(t);
}

/* Plan, inspection, plan, and then the answer: not for ever. */
static void a_larger_plan_is_inspected_anew_once(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    m->states_more = true;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 30 * SECOND);
    assert_ended(r, WEIR_LOAD_FAILED);
    assert_int_equal(m->spawns, 2);
    m->states_more = false;
    r = test_submit(t, "m", "e", 0);
    test_run_until(t, 40 * SECOND);
    assert_ended(r, WEIR_OK);
    test_close(t);
}

/* The neighbours of a poison input are run again; it dies alone the second time and stays out. */
static void a_poison_input_takes_nobody_with_it(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1, .slots = 4 });
    const struct test_request *poison = test_submit(t, "m", "k", 0);
    for (int i = 0; i < 3; i++)
        test_submit(t, "m", "e", 0);
    test_run_until(t, 60 * SECOND);
    assert_ended(poison, WEIR_QUARANTINED);
    assert_int_equal(poison->outputs, 0);
    for (int i = 1; i < 4; i++) {
        assert_ended(&t->requests[i], WEIR_OK);
        assert_int_equal(t->requests[i].outputs, 1);
    }
    assert_int_equal(m->runs, 8); /* four, then each once more alone */
    assert_refused(test_submit(t, "m", "k", 0), WEIR_QUARANTINED);
    const struct test_request *other = test_submit(t, "m", "e", 0);
    test_run_until(t, 62 * SECOND);
    assert_ended(other, WEIR_OK);
    test_run_until(t, 700 * SECOND);
    assert_true(test_submit(t, "m", "k", 0)->id != 0);
    test_run_until(t, 701 * SECOND);
    test_close(t);
}

/* F012. */
static void a_deadline_while_it_waits_leaves_the_load_alone(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    t->world.load_ms = 5 * SECOND;
    const struct test_request *r = test_submit(t, "m", "e", SECOND);
    test_run_until(t, 999);
    assert_false(r->ended);
    test_run_until(t, 1001);
    assert_ended(r, WEIR_DEADLINE);
    assert_int_equal(r->total_ms, 1000);
    test_run_until(t, 10 * SECOND);
    const struct test_request *warm = test_submit(t, "m", "e", SECOND);
    test_run_until(t, 11 * SECOND);
    assert_ended(warm, WEIR_OK);
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

/* F083. */
static void a_deadline_while_it_runs_cancels_it(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    const struct test_request *r = test_submit(t, "m", "r", 3 * SECOND);
    test_run_until(t, 2 * SECOND);
    assert_int_equal(m->runs, 1);
    test_run_until(t, 4 * SECOND);
    assert_ended(r, WEIR_DEADLINE);
    assert_int_equal(r->total_ms, 3000);
    assert_int_equal(r->outputs, 0);
    assert_int_equal(t->world.cancels, 1);
    const struct test_request *next = test_submit(t, "m", "e", SECOND);
    test_run_until(t, 5 * SECOND);
    assert_ended(next, WEIR_OK);
    assert_int_equal(m->spawns, 1);
    test_close(t);
}

/* F084. */
static void a_cancelled_request_is_not_run(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    for (int i = 0; i < 100; i++)
        test_submit(t, "m", "e", 0);
    test_run_until(t, 100);
    for (int i = 0; i < 100; i += 2)
        assert_true(supervisor_cancel(t->supervisor, t->requests[i].id));
    assert_false(t->requests[0].ended); /* not before the turn */
    test_run_until(t, 30 * SECOND);
    for (int i = 0; i < 100; i++)
        assert_ended(&t->requests[i], i % 2 == 0 ? WEIR_CANCELLED : WEIR_OK);
    assert_int_equal(m->runs, 50);
    assert_false(supervisor_cancel(t->supervisor, t->requests[0].id));
    test_close(t);
}

static void a_running_request_is_cancelled_where_it_runs(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, ONE);
    const struct test_request *r = test_submit(t, "m", "r", 0);
    test_run_until(t, 2 * SECOND);
    assert_true(supervisor_cancel(t->supervisor, r->id));
    assert_false(supervisor_cancel(t->supervisor, r->id));
    test_run_until(t, 3 * SECOND);
    assert_ended(r, WEIR_CANCELLED);
    assert_int_equal(t->world.cancels, 1);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready");
    test_close(t);
}

/* F116: a stream whose caller returns no credit may stand still; one that was cancelled may not. */
static void a_worker_that_hears_no_cancel_is_lost(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, ONE);
    t->world.ticks_stand = true;
    const struct test_request *r = test_submit(t, "m", "s", 0);
    test_run_until(t, 200 * SECOND);
    assert_int_equal(r->outputs, WIRE_CREDIT_EVENTS);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing");
    assert_true(supervisor_cancel(t->supervisor, r->id));
    test_run_until(t, 240 * SECOND);
    assert_ended(r, WEIR_CANCELLED);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Evicting Dead");
    assert_int_equal(test_totals(t).leased_bytes, 0);
    test_close(t);
}

/* Nor may one that ticks on and on: a slot that nobody waits for is not its own. */
static void a_worker_that_ignores_a_cancel_is_lost(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, ONE);
    const struct test_request *r = test_submit(t, "m", "s", 0);
    test_run_until(t, 200 * SECOND);
    supervisor_clock(t->supervisor, 200 * SECOND);
    assert_true(supervisor_cancel(t->supervisor, r->id));
    test_run_until(t, 229 * SECOND);
    assert_ended(r, WEIR_CANCELLED);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing");
    test_run_until(t, 240 * SECOND);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Evicting Dead");
    test_close(t);
}

static void credit_is_returned_in_portions(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, ONE);
    const struct test_request *r = test_submit(t, "m", "s", 0);
    test_run_until(t, 10 * SECOND);
    assert_int_equal(r->outputs, WIRE_CREDIT_EVENTS);
    assert_int_equal(t->world.credits, 0);
    assert_true(supervisor_credit(t->supervisor, r->id, 15, 15));
    assert_int_equal(t->world.credits, 0); /* a quarter of the window at a time */
    assert_true(supervisor_credit(t->supervisor, r->id, 1, 1));
    assert_int_equal(t->world.credits, 1);
    assert_int_equal(t->world.credit_events, 16);
    assert_int_equal(t->world.credit_bytes, 16);
    assert_true(supervisor_credit(t->supervisor, r->id, 1, WIRE_CREDIT_BYTES / 4 - 1));
    assert_int_equal(t->world.credits, 1); /* or a quarter of the bytes */
    assert_true(supervisor_credit(t->supervisor, r->id, 0, 1));
    assert_int_equal(t->world.credit_events, 17);
    assert_int_equal(t->world.credit_bytes, 16 + WIRE_CREDIT_BYTES / 4);
    assert_false(supervisor_credit(t->supervisor, r->id + 1000, 1, 1));
    test_register(t, "n", 100, 10, ONE);
    const struct test_request *other = test_submit(t, "n", "t", 0);
    test_run_until(t, 100 * SECOND);
    assert_int_equal(other->outputs, WIRE_CREDIT_EVENTS);
    assert_int_equal(t->world.credits, 2 + 4); /* nobody asked to return it himself */
    test_close(t);
}

/* F071. */
static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct limits limits = limits_default;
    limits.queue_jobs = 10;
    struct test_pool *t = test_open(1000, &limits);
    test_register(t, "m", 100, 10, ONE);
    test_run_until(t, 100);
    for (int i = 0; i < 10; i++)
        assert_true(test_submit(t, "m", "e", 0)->id != 0);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    assert_refused(r, WEIR_QUEUE_FULL);
    assert_int_equal(r->error.limit, 10);
    assert_true(r->error.retry_after_ms > 0);
    assert_non_null(strstr(r->error.text, "'m'"));
    test_run_until(t, 5 * SECOND);
    assert_true(test_submit(t, "m", "e", 0)->id != 0);
    test_close(t);
}

/* While one model is being inspected it is unregistered: the answer must not fall on the next. */
static void an_unregistered_model_does_not_spoil_the_next_inspection(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.inspect_ms = 200;
    test_register(t, "first", 100, 10, ONE);
    test_register(t, "second", 100, 10, ONE);
    test_run_until(t, 50);
    const struct test_request *r = test_submit(t, "second", "e", 0);
    test_run_until(t, 100);
    supervisor_unregister(t->supervisor, "first", NULL);
    test_run_until(t, 5 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(t->world.models[0].inspections, 1);
    assert_int_equal(t->world.models[1].inspections, 1);
    test_close(t);
}

/* Its last worker said a larger plan, so it is inspected when it is freed. */
static void an_unregistered_model_may_be_under_inspection(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    test_run_until(t, 100);
    m->states_more = true;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    supervisor_unregister(t->supervisor, "m", NULL);
    t->world.inspect_ms = 20 * SECOND;
    test_run_until(t, 200);
    supervisor_cancel(t->supervisor, r->id);
    test_run_until(t, 60 * SECOND);
    assert_ended(r, WEIR_CANCELLED);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_failure_answers_all_who_wait),
        cmocka_unit_test(a_load_failure_and_an_exit_in_one_turn),
        cmocka_unit_test(a_load_failure_counts_once),
        cmocka_unit_test(who_has_a_worker_left_takes_requests),
        cmocka_unit_test(five_load_failures_open_the_breaker_for_a_minute),
        cmocka_unit_test(a_larger_plan_is_inspected_anew_once),
        cmocka_unit_test(a_poison_input_takes_nobody_with_it),
        cmocka_unit_test(a_deadline_while_it_waits_leaves_the_load_alone),
        cmocka_unit_test(a_deadline_while_it_runs_cancels_it),
        cmocka_unit_test(a_cancelled_request_is_not_run),
        cmocka_unit_test(a_running_request_is_cancelled_where_it_runs),
        cmocka_unit_test(a_worker_that_hears_no_cancel_is_lost),
        cmocka_unit_test(a_worker_that_ignores_a_cancel_is_lost),
        cmocka_unit_test(credit_is_returned_in_portions),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(an_unregistered_model_does_not_spoil_the_next_inspection),
        cmocka_unit_test(an_unregistered_model_may_be_under_inspection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
