/* explain_test.c — plans of loads that are not made, refusals, and claims made smaller to fit. */
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

/* The plan has each of `wanted`, and asking for it decides nothing. */
static void assert_plan(struct test_pool *t, const char *model, const char *const wanted[])
{
    const struct supervisor_totals before = test_totals(t);
    struct buffer b;
    struct jsonw j;
    buffer_init(&b, 65536);
    jsonw_init(&j, &b);
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_int_equal(supervisor_plan(t->supervisor, model, &j, NULL), WEIR_OK);
    buffer_u8(&b, 0);
    for (; *wanted != NULL; wanted++)
        if (strstr((const char *)b.data, *wanted) == NULL)
            fail_msg("%s is not in %s", *wanted, (const char *)b.data);
    buffer_finish(&b);
    const struct supervisor_totals after = test_totals(t);
    assert_memory_equal(&before, &after, sizeof before);
    assert_false(supervisor_is_dirty(t->supervisor));
}

#define ASSERT_PLAN(t, model, ...) assert_plan(t, model, (const char *const[]){ __VA_ARGS__, NULL })

static void a_plan_foresees_the_decision(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "a", 300, 100, ONE);
    test_register(t, "b", 300, 100, ONE);
    test_register(t, "c", 400, 100, ONE);
    test_register(t, "d", 900, 101, ONE);
    struct weir_error err;
    assert_int_equal(supervisor_plan(t->supervisor, "x", NULL, &err), WEIR_NO_SUCH_MODEL);
    test_run_until(t, SECOND);
    ASSERT_PLAN(t, "a", "\"model\":\"a\",\"verdict\":\"grant\",\"needed\":419430400",
                "\"weights\":314572800,\"context\":104857600,\"leased\":0,\"budget\":1048576000",
                "\"budget_source\":\"as configured\"", "\"reserve\":268435456",
                "\"pressure\":\"Low\",\"slots\":1,\"context_tokens\":0,\"learned\":null",
                "\"victims\":[],\"freed\":0",
                "it needs 400 MiB (weights 300 MiB, context 100 MiB)");
    test_submit(t, "a", "e", 0);
    test_run_until(t, 3 * SECOND);
    test_submit(t, "b", "e", 0);
    test_run_until(t, 5 * SECOND);
    ASSERT_PLAN(t, "a", "\"verdict\":\"loaded\"", "'a' has 1 worker, for which 300 MiB of weights");
    ASSERT_PLAN(t, "c", "\"verdict\":\"evict\",\"needed\":524288000",
                "\"victims\":[{\"model\":\"a\",\"worker\":2,\"frees\":419430400,\"idle_ms\":",
                "\"freed\":419430400", "when 1 idle worker has left, which frees 400 MiB");
    ASSERT_PLAN(t, "d", "\"verdict\":\"never\"", "can never start: it needs 1001 MiB");
    test_submit(t, "a", "r", 0);
    test_submit(t, "b", "r", 0);
    test_run_until(t, 6 * SECOND);
    ASSERT_PLAN(t, "c", "\"verdict\":\"wait\"", "has to wait for workers that may not leave yet",
                "leased are 800 MiB of a budget of 1000 MiB (as configured)");
    test_close(t);
}

/* Another one waits already and comes first. */
static void a_plan_stands_in_the_queue(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "busy", 400, 100, ONE);
    test_register(t, "idle", 100, 100, ONE);
    test_register(t, "large", 700, 100, ONE);
    test_register(t, "small", 350, 100, ONE);
    test_submit(t, "busy", "r", 0);
    test_submit(t, "idle", "e", 0);
    test_run_until(t, 3 * SECOND);
    ASSERT_PLAN(t, "small", "\"verdict\":\"evict\"");
    test_submit(t, "large", "e", 0);
    test_run_until(t, 4 * SECOND);
    ASSERT_PLAN(t, "small", "\"verdict\":\"wait\"", "has to wait for those before it");
    test_close(t);
}

static void a_model_that_is_not_known_yet_says_so(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.inspect_ms = 5000;
    test_register(t, "m", 300, 100, ONE);
    test_run_until(t, SECOND);
    ASSERT_PLAN(t, "m", "\"verdict\":\"wait\",\"needed\":0", "still to be inspected");
    test_run_until(t, 6 * SECOND);
    ASSERT_PLAN(t, "m", "\"verdict\":\"grant\"");
    test_close(t);
}

static void a_refusal_says_how_the_budget_came_about(void **state)
{
    (void)state;
    struct test_pool *t = test_open(0, NULL);
    t->world.total_bytes = 20 * GiB;
    test_register(t, "pinned", 1024, 1024,
                  (struct model_settings){ .max_workers = 1, .pin = true });
    test_submit(t, "pinned", "e", 0);
    test_run_until(t, 3 * SECOND);
    test_register(t, "m", 13 * 1024, 0, ONE);
    struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 6 * SECOND);
    assert_ended(r, WEIR_TOO_BIG);
    assert_string_equal(r->error.text,
                        "cannot start 1 worker of 'm': it needs 13 GiB; leased are 2 GiB (2 GiB "
                        "pinned), the budget is 14 GiB (80 % of the machine's 20 GiB less 2 GiB)");
    supervisor_configure(t->supervisor, 0, 50);
    r = test_submit(t, "m", "e", 0);
    test_run_until(t, 9 * SECOND);
    assert_non_null(strstr(r->error.text, "10 GiB (50 % of the machine's 20 GiB)"));
    supervisor_configure(t->supervisor, 100 * GiB, 0);
    test_run_until(t, 10 * SECOND);
    ASSERT_PLAN(t, "m", "\"budget_source\":\"the machine's 20 GiB less a reserve of 256 MiB\"");
    t->world.total_bytes = 3 * GiB;
    supervisor_configure(t->supervisor, 0, 0);
    test_run_until(t, 11 * SECOND);
    ASSERT_PLAN(t, "m", "\"budget_source\":\"half of the machine's 3 GiB\"");
    test_close(t);
}

/* 10 MiB and 4 slots of 100 MiB and 8192 tokens of 64 KiB, 922 MiB together. */
static struct test_model *register_text(struct test_pool *t)
{
    struct test_model *m = test_register(t, "m", 0, 10, (struct model_settings){ 0 });
    m->plan.per_slot_bytes = 100 * MiB;
    m->plan.per_token_bytes = 64 * KiB;
    m->plan.slots = 4;
    m->plan.tokens_max = 8192;
    return m;
}

static void assert_granted(uint64_t budget, uint32_t slots, uint32_t context)
{
    struct test_pool *t = test_open(budget, NULL);
    register_text(t);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(t->world.processes[2].load.slots, slots);
    assert_int_equal(t->world.processes[2].load.context, context);
    assert_true(test_totals(t).leased_bytes <= budget * MiB);
    assert_int_equal(
        strstr(t->heard.news, "shrink m: 4 slots and 8192 tokens of context need 922 MiB") != NULL,
        slots < 4);
    test_run_until(t, 3 * SECOND); /* a second worker is as the first, or is not */
    if (t->world.processes[3].alive)
        assert_int_equal(t->world.processes[3].load.slots, slots);
    test_close(t);
}

/* Slots first, then context, until it could fit; and not when it only has to wait. */
static void what_can_never_fit_is_made_smaller(void **state)
{
    (void)state;
    assert_granted(2000, 4, 8192);
    assert_granted(922, 4, 8192);
    assert_granted(921, 2, 8192);
    assert_granted(721, 1, 8192);
    assert_granted(621, 1, 4096);
    assert_granted(365, 1, 2048);
    assert_granted(238, 1, 2048);
    struct test_pool *t = test_open(237, NULL);
    const struct test_model *m = register_text(t);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    assert_ended(r, WEIR_TOO_BIG);
    assert_non_null(strstr(r->error.text, "it needs 238 MiB even with 1 slot and 2048 tokens"));
    assert_int_equal(m->spawns, 0);
    test_close(t);
}

static void what_only_has_to_wait_stays_whole(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "busy", 100, 100, ONE);
    register_text(t);
    test_submit(t, "busy", "r", 0);
    test_run_until(t, SECOND);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_false(r->ended);
    test_finish_jobs(&t->world);
    test_run_until(t, 10 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_null(strstr(t->heard.news, "shrink"));
    assert_int_equal(test_totals(t).leased_bytes, 922 * MiB);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_foresees_the_decision),
        cmocka_unit_test(a_plan_stands_in_the_queue),
        cmocka_unit_test(a_model_that_is_not_known_yet_says_so),
        cmocka_unit_test(a_refusal_says_how_the_budget_came_about),
        cmocka_unit_test(what_can_never_fit_is_made_smaller),
        cmocka_unit_test(what_only_has_to_wait_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
