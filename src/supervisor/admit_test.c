/* admit_test.c — when one more worker is wanted, and how much of it is claimed. */
#include "supervisor/state.h"
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

/* The free slots of a worker whose job must run alone are nobody's: they hold no worker up. */
static void slots_beside_a_lone_job_are_not_free(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .slots = 4, .min_workers = 1 });
    test_run_until(t, 2 * SECOND);
    const struct test_request *alone = test_submit(t, "m", "r", 0);
    const struct request *r = map_get(&t->supervisor->requests, map_id(&alone->id));
    queue_remove(t->supervisor, r->job);
    r->job->alone = true;
    queue_push(t->supervisor, r->job, true);
    test_run_until(t, 3 * SECOND);
    assert_int_equal(m->runs, 1);
    const struct test_request *other = test_submit(t, "m", "e", 0);
    test_run_until(t, 4 * SECOND);
    assert_int_equal(m->spawns, 1); /* it could still be done soon */
    test_run_until(t, 5 * SECOND);
    assert_int_equal(m->spawns, 2);
    assert_ended(other, WEIR_OK);
    assert_false(alone->ended);
    test_close(t);
}

/* One that would have to share runs nowhere, and a third worker is not started for it. */
static void a_free_slot_is_enough(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .slots = 2, .min_workers = 1 });
    test_run_until(t, 2 * SECOND);
    test_submit(t, "m", "r", 0);
    test_run_until(t, 3 * SECOND);
    const struct test_request *alone = test_submit(t, "m", "e", 0);
    const struct request *r = map_get(&t->supervisor->requests, map_id(&alone->id));
    queue_remove(t->supervisor, r->job);
    r->job->alone = true;
    queue_push(t->supervisor, r->job, true);
    test_run_until(t, 10 * SECOND);
    assert_int_equal(m->spawns, 1);
    test_finish_jobs(&t->world);
    test_run_until(t, 11 * SECOND);
    assert_ended(alone, WEIR_OK);
    test_close(t);
}

/* A minimum is all that a burst of first requests starts when it is two already. */
static void a_minimum_of_two_has_its_second(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .min_workers = 2, .max_workers = 4 });
    test_submit(t, "m", "e", 0);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 30 * SECOND);
    assert_int_equal(m->spawns, 2);
    test_close(t);
}

/* A minimum of one that nobody asked for is one, and so is a preload. */
static void without_a_request_there_is_no_second(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct test_pool *t = test_open(1000, NULL);
        struct test_model *m = test_register(
            t, "m", 100, 10, (struct model_settings){ .min_workers = i == 0, .preload = i == 1 });
        test_run_until(t, 5 * SECOND);
        assert_int_equal(m->spawns, 1);
        const struct test_request *r = test_submit(t, "m", "e", 0);
        test_run_until(t, 10 * SECOND);
        assert_ended(r, WEIR_OK);
        assert_int_equal(m->spawns, 1);
        test_close(t);
    }
}

/* The next one is asked for a second after the last was refused, not at each look. */
static void one_more_is_asked_for_again_soon(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, (struct model_settings){ 0 });
    t->world.total_bytes = 10000 * MiB;
    t->world.available_bytes = 2500 * MiB; /* high pressure: nothing that is not needed */
    test_submit(t, "m", "r", 0);
    test_run_until(t, 3 * SECOND);
    test_submit(t, "m", "r", 0);
    test_run_until(t, 20100);
    const uint64_t asked = test_totals(t).verdicts[VERDICT_GRANT];
    test_run_until(t, 30100);
    assert_int_equal(test_totals(t).verdicts[VERDICT_GRANT] - asked, 10);
    assert_int_equal(m->spawns, 1);
    t->world.available_bytes = 6000 * MiB;
    test_run_until(t, 31200);
    assert_int_equal(m->spawns, 2);
    test_close(t);
}

/* A minimum that cannot be reached is looked at again when a machine may have changed. */
static void an_unreachable_minimum_is_tried_each_minute(void **state)
{
    (void)state;
    struct test_pool *t = test_open(0, NULL);
    t->world.total_bytes = 1024 * MiB;
    struct test_model *m =
        test_register(t, "m", 100, 300, (struct model_settings){ .min_workers = 2 });
    test_run_until(t, 10 * SECOND);
    assert_int_equal(m->spawns, 1); /* the budget is 512 MiB */
    t->world.total_bytes = 4096 * MiB;
    test_run_until(t, MINUTE);
    assert_int_equal(m->spawns, 1);
    test_run_until(t, MINUTE + 5 * SECOND);
    assert_int_equal(m->spawns, 2);
    test_close(t);
}

/* What a claim of 5000 tokens that each take 64 KiB comes to in a budget of `memory` MiB. */
static void assert_context(uint64_t memory, uint32_t context)
{
    struct test_pool *t = test_open(memory, NULL);
    struct test_model *m = test_register(t, "m", 0, 10, (struct model_settings){ 0 });
    m->plan.per_token_bytes = 64 * KiB;
    m->plan.slots = 4; /* which cost nothing */
    m->plan.tokens_max = 5000;
    test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    assert_int_equal(t->world.processes[2].load.context, context);
    assert_int_equal(t->world.processes[2].load.slots, 4);
    test_close(t);
}

/* Half of it, and half again, but never less than 2048. */
static void a_context_is_halved_down_to_a_least(void **state)
{
    (void)state;
    assert_context(330, 5000);
    assert_context(300, 2500);
    assert_context(160, 2048);
}

/* What costs nothing is not made smaller. */
static void a_context_that_costs_nothing_stays(void **state)
{
    (void)state;
    struct test_pool *t = test_open(100, NULL);
    struct test_model *m = test_register(t, "m", 0, 10, (struct model_settings){ .slots = 4 });
    m->plan.per_slot_bytes = 200 * MiB;
    m->plan.tokens_max = 8192;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    assert_ended(r, WEIR_TOO_BIG);
    assert_non_null(strstr(r->error.text, "it needs 210 MiB even with 1 slot and 8192 tokens"));
    test_close(t);
}

/* A job may wait for as long as a load takes: not a moment less. */
static void patience_is_to_the_millisecond(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .min_workers = 1, .max_workers = 2 });
    t->world.load_ms = 3 * SECOND;
    test_run_until(t, 5 * SECOND);
    test_submit(t, "m", "r", 0);
    test_submit(t, "m", "r", 0);
    test_run_until(t, 8 * SECOND - 1);
    t->world.now_ms = 8 * SECOND;
    test_submit(t, "m", "r", 0); /* so that somebody looks */
    test_run_until(t, 8 * SECOND);
    assert_int_equal(m->spawns, 1);
    test_run_until(t, 8 * SECOND + 1);
    assert_int_equal(m->spawns, 2);
    test_close(t);
}

/* What the settings ask for is no less than was wished. */
static void a_whole_claim_is_not_called_smaller(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .slots = 1, .context = 100 });
    m->plan.slots = 4;
    m->plan.tokens_max = m->plan.positions = 512;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_null(strstr(t->heard.news, "shrink"));
    assert_int_equal(t->world.processes[2].load.slots, 1);
    assert_int_equal(t->world.processes[2].load.context, 100);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_beside_a_lone_job_are_not_free),
        cmocka_unit_test(a_free_slot_is_enough),
        cmocka_unit_test(a_minimum_of_two_has_its_second),
        cmocka_unit_test(without_a_request_there_is_no_second),
        cmocka_unit_test(one_more_is_asked_for_again_soon),
        cmocka_unit_test(an_unreachable_minimum_is_tried_each_minute),
        cmocka_unit_test(a_context_is_halved_down_to_a_least),
        cmocka_unit_test(a_context_that_costs_nothing_stays),
        cmocka_unit_test(patience_is_to_the_millisecond),
        cmocka_unit_test(a_whole_claim_is_not_called_smaller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
