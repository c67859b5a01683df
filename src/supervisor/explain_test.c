/* explain_test.c — plans of loads that are not made, refusals, and claims made smaller to fit. */
#include "supervisor/test_pool.h"
#include "supervisor/test_still.h"

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
    assert_int_equal(b.data[b.len - 1], '}');
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

/* Two workers of one model: the weights come with the second. Each is told with its idle time. */
static void a_plan_says_what_each_victim_frees(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "a", 300, 100, (struct model_settings){ 0 });
    test_register(t, "b", 100, 100, ONE);
    test_register(t, "c", 600, 100, ONE);
    test_submit(t, "b", "e", 0);
    test_run_until(t, 3 * SECOND);
    test_submit(t, "a", "e", 0);
    test_submit(t, "a", "e", 0);
    test_run_until(t, 6 * SECOND);
    const struct model *a = model_find(t->supervisor, "a");
    assert_int_equal(a->holders, 2);
    CONTAINER_OF(a->children.next, struct child, link)->last_used_ms = 4 * SECOND;
    CONTAINER_OF(a->children.prev, struct child, link)->last_used_ms = 5 * SECOND;
    ASSERT_PLAN(t, "a", "\"verdict\":\"loaded\",\"needed\":104857600",
                "'a' has 2 workers, for which 300 MiB of weights and 200 MiB of context are");
    ASSERT_PLAN(t, "c", "\"verdict\":\"evict\"",
                "\"victims\":["
                "{\"model\":\"a\",\"worker\":3,\"frees\":104857600,\"idle_ms\":2000},"
                "{\"model\":\"a\",\"worker\":4,\"frees\":419430400,\"idle_ms\":1000}],"
                "\"freed\":524288000",
                "when 2 idle workers have left, which frees 500 MiB");
    test_close(t);
}

/* What it has learned is what it would be leased; a time alone is no use of memory. */
static void a_plan_says_what_was_learned(void **state)
{
    (void)state;
#ifndef WEIR_SANITIZED
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 300, 100, ONE);
    memset(m->plan.digest, 7, sizeof m->plan.digest);
    struct learned row = { .slots = 1, .threads = 1, .load_ms = 700 };
    memset(row.digest, 7, sizeof row.digest);
    supervisor_learn(t->supervisor, &row);
    test_run_until(t, SECOND);
    ASSERT_PLAN(t, "m", "\"needed\":419430400", "\"learned\":null");
    row.context_bytes = 1;
    supervisor_learn(t->supervisor, &row);
    ASSERT_PLAN(t, "m", "\"needed\":419430400", "\"learned\":1,");
    row.context_bytes = 120 * MiB;
    supervisor_learn(t->supervisor, &row);
    ASSERT_PLAN(t, "m", "\"needed\":440401920", "\"context\":125829120", "\"learned\":125829120");
    test_close(t);
#endif
}

static void a_plan_of_what_cannot_be_loaded_says_why(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *bad = test_register(t, "bad", 300, 100, ONE);
    test_register(t, "good", 300, 100, ONE);
    bad->kills_inspector = true;
    test_run_until(t, 10 * SECOND);
    ASSERT_PLAN(t, "bad", "\"verdict\":\"never\",\"needed\":0",
                "'bad' cannot be used: ", "\"victims\":[],\"freed\":0");
    test_submit(t, "good", "r", 0);
    test_run_until(t, 12 * SECOND);
    supervisor_drain(t->supervisor, 5 * SECOND);
    test_run_until(t, 20 * SECOND);
    ASSERT_PLAN(t, "good", "\"verdict\":\"never\"", "the pool is shutting down.");
    test_close(t);
}

static void assert_source(const struct test_still *t, const char *text)
{
    struct budget_text source;
    assert_string_equal(explain_budget(t->s, &source), text);
}

static void configure(struct test_still *t, uint64_t total, uint64_t bytes, uint32_t percent)
{
    t->s->facts.total_bytes = total;
    t->s->options.memory_bytes = bytes;
    t->s->options.memory_percent = percent;
    t->s->budget_bytes = governor_budget(total, bytes, percent);
}

/* What was asked for is named unless the machine allows less. */
static void a_budget_has_a_source(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    configure(t, 20 * GiB, 0, 0);
    assert_source(t, "80 % of the machine's 20 GiB less 2 GiB");
    configure(t, 4 * GiB, 0, 0);
    assert_source(t, "half of the machine's 4 GiB");
    configure(t, 512 * MiB, 0, 0); /* half is the ceiling too, and was not asked for */
    assert_source(t, "half of the machine's 512 MiB");
    configure(t, 4 * GiB, 1, 0);
    assert_source(t, "as configured");
    configure(t, 4 * GiB, 0, 1);
    assert_source(t, "1 % of the machine's 4 GiB");
    configure(t, 4 * GiB, 4 * GiB - GOVERNOR_RESERVE_BYTES, 0);
    assert_source(t, "as configured");
    configure(t, 4 * GiB, 4 * GiB, 0);
    assert_source(t, "the machine's 4 GiB less a reserve of 256 MiB");
    configure(t, 4 * GiB, 0, 100);
    assert_source(t, "the machine's 4 GiB less a reserve of 256 MiB");
    configure(t, 100 * MiB, GiB, 0); /* smaller than the reserve itself */
    assert_source(t, "the machine's 100 MiB less a reserve of 256 MiB");
    still_close(t);
}

static void assert_refused(const struct test_still *t, const struct model *m,
                           const struct claim *claim, uint64_t pinned, const char *text)
{
    struct weir_error err;
    explain_refusal(t->s, m, claim, pinned, &err);
    assert_int_equal(err.code, WEIR_TOO_BIG);
    assert_int_equal(err.value, claim->weights_bytes + claim->context_bytes);
    assert_int_equal(err.limit, t->s->budget_bytes);
    assert_string_equal(err.text, text);
}

/* "even with" is said of models that could be made smaller, and has what they came to. */
static void a_refusal_says_how_small_it_tried(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 0);
    char name[] = "m";
    m->name = name;
    struct claim c = {
        .weights_bytes = 5 * GiB, .context_bytes = GiB, .slots = 1, .context = 2048
    };
    configure(t, 20 * GiB, 2 * GiB, 0);
    assert_refused(t, m, &c, 0,
                   "cannot start 1 worker of 'm': it needs 6 GiB; leased are 0 B, the budget is "
                   "2 GiB (as configured)");
    m->plan.per_slot_bytes = 1;
    assert_refused(t, m, &c, 0,
                   "cannot start 1 worker of 'm': it needs 6 GiB even with 1 slot and 2048 tokens; "
                   "leased are 0 B, the budget is 2 GiB (as configured)");
    m->plan.per_slot_bytes = 0, m->plan.per_token_bytes = 1;
    c.slots = 2;
    assert_refused(t, m, &c, 1,
                   "cannot start 1 worker of 'm': it needs 6 GiB even with 2 slots and 2048 "
                   "tokens; leased are 0 B (1 B pinned), the budget is 2 GiB (as configured)");
    still_close(t);
}

/* A verdict has the numbers that it was made on, and what pressure withholds is one of them. */
static void a_verdict_has_its_numbers(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 0);
    char name[] = "m";
    m->name = name;
    configure(t, 20 * GiB, 2 * GiB, 0);
    t->s->leased_bytes = 3 * GiB;
    t->s->facts.available_bytes = 7 * GiB;
    const struct claim c = { .weights_bytes = 5 * GiB, .context_bytes = GiB };
    const struct judgement j = { .verdict = VERDICT_GRANT, .need_bytes = 6 * GiB };
    struct verdict_text said;
    assert_string_equal(explain_verdict(t->s, m, &c, &j, &said),
                        "a worker of 'm' can start now: it needs 6 GiB (weights 5 GiB, context "
                        "1 GiB); leased are 3 GiB of a budget of 2 GiB (as configured), and 7 GiB "
                        "are available.");
    t->s->withheld_bytes = 1;
    assert_non_null(strstr(explain_verdict(t->s, m, &c, &j, &said),
                           "of a budget of 2 GiB (as configured), of which pressure withholds 1 B, "
                           "and 7 GiB are available."));
    still_close(t);
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
        cmocka_unit_test(a_plan_says_what_each_victim_frees),
        cmocka_unit_test(a_plan_says_what_was_learned),
        cmocka_unit_test(a_plan_of_what_cannot_be_loaded_says_why),
        cmocka_unit_test(a_budget_has_a_source),
        cmocka_unit_test(a_refusal_says_how_small_it_tried),
        cmocka_unit_test(a_verdict_has_its_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
