/* learned_test.c — figures of workers: when they are told, and what they change. */
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

static struct test_model *register_file(struct test_pool *t, const char *name, uint8_t digest)
{
    struct test_model *m = test_register(t, name, 100, 50, ONE);
    memset(m->plan.digest, digest, sizeof m->plan.digest);
    m->plan.tokens_max = 512;
    return m;
}

#ifdef WEIR_SANITIZED

static void sanitizers_learn_nothing(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = register_file(t, "m", 7);
    m->uses_bytes = 80 * MiB;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 20 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(t->heard.learned_count, 0);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sanitizers_learn_nothing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

/* Once after the load with its time, then for each rise that is more than noise. */
static void rises_are_told_and_noise_is_not(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = register_file(t, "m", 7);
    test_submit(t, "m", "r", 0);
    test_run_until(t, SECOND);
    assert_int_equal(t->heard.learned_count, 1);
    assert_int_equal(t->heard.learned[0].load_ms, 500);
    assert_int_equal(t->heard.learned[0].context_bytes, 0);
    assert_int_equal(t->heard.learned[0].digest[31], 7);
    assert_int_equal(t->heard.learned[0].context, 512);
    assert_int_equal(t->heard.learned[0].slots, 1);
    assert_int_equal(t->heard.learned[0].threads, 1);
    const uint64_t uses[] = { 80 * MiB, 81 * MiB, 80 * MiB + 1500 * KiB, 82 * MiB, 60 * MiB };
    for (size_t i = 0; i < ARRAY_COUNT(uses); i++) {
        m->uses_bytes = uses[i];
        test_run_until(t, t->world.now_ms + 6 * SECOND);
    }
    assert_int_equal(t->heard.learned_count, 3);
    assert_int_equal(t->heard.learned[1].context_bytes, 80 * MiB);
    assert_int_equal(t->heard.learned[2].context_bytes, 82 * MiB);
    assert_int_equal(t->heard.learned[2].load_ms, 500);
    assert_int_equal(test_totals(t).leased_bytes, 182 * MiB);
    test_close(t);
}

/* 500 ms and 520 ms are the same; twice as long is not. */
static void the_time_of_a_load_is_told_when_it_changes_much(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    register_file(t, "m", 7);
    const int64_t loads[] = { 500, 520, 1000 };
    for (size_t i = 0; i < ARRAY_COUNT(loads); i++) {
        t->world.load_ms = loads[i];
        assert_ended((test_submit(t, "m", "e", 0), test_run_until(t, t->world.now_ms + 5 * SECOND),
                      &t->requests[i]),
                     WEIR_OK);
        assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
        test_run_until(t, t->world.now_ms + 10 * SECOND);
    }
    assert_int_equal(t->heard.learned_count, 2);
    assert_int_equal(t->heard.learned[0].load_ms, 500);
    assert_int_equal(t->heard.learned[1].load_ms, 1000);
    test_close(t);
}

/* What was learned in an earlier life is what the next worker is leased, if the plan says less, and
 * a smaller figure that comes later takes nothing back. */
static void a_claim_takes_the_larger_of_plan_and_learned(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    register_file(t, "m", 7);
    register_file(t, "n", 8);
    struct learned row = {
        .context = 512, .slots = 1, .threads = 1, .context_bytes = 90 * MiB, .load_ms = 700
    };
    memset(row.digest, 7, sizeof row.digest);
    supervisor_learn(t->supervisor, &row);
    row.context_bytes = 70 * MiB;
    supervisor_learn(t->supervisor, &row);
    row.threads = 2; /* another way of loading it */
    row.context_bytes = 500 * MiB;
    supervisor_learn(t->supervisor, &row);
    memset(row.digest, 8, sizeof row.digest);
    row.threads = 1;
    row.context_bytes = 20 * MiB;
    supervisor_learn(t->supervisor, &row);
    const struct test_request *m = test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND);
    assert_ended(m, WEIR_OK);
    assert_int_equal(test_totals(t).leased_bytes, 190 * MiB);
    const struct test_request *n = test_submit(t, "n", "e", 0);
    test_run_until(t, 4 * SECOND);
    assert_ended(n, WEIR_OK);
    assert_int_equal(test_totals(t).leased_bytes, 190 * MiB + 150 * MiB);
    test_close(t);
}

/* A worker that needed more than the whole budget is not started again. */
static void what_was_learned_can_be_too_big(void **state)
{
    (void)state;
    struct test_pool *t = test_open(300, NULL);
    struct test_model *m = register_file(t, "m", 7);
    m->uses_bytes = 250 * MiB;
    const struct test_request *first = test_submit(t, "m", "e", 0);
    test_run_until(t, 20 * SECOND);
    assert_ended(first, WEIR_OK);
    assert_int_equal(test_workers(&t->world, m), 0); /* it left for the budget */
    const struct test_request *again = test_submit(t, "m", "e", 0);
    test_run_until(t, 25 * SECOND);
    assert_ended(again, WEIR_TOO_BIG);
    assert_int_equal(again->error.value, 350 * MiB);
    test_close(t);
}

/* The table is bounded: the oldest rows make room, and rows that name no file are not taken. */
static void the_table_is_bounded(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    register_file(t, "m", 7);
    struct learned row = {
        .context = 512, .slots = 1, .threads = 1, .context_bytes = 90 * MiB, .load_ms = 700
    };
    supervisor_learn(t->supervisor, &row);
    memset(row.digest, 7, sizeof row.digest);
    supervisor_learn(t->supervisor, &row);
    for (uint32_t i = 0; i < 1024; i++) {
        memcpy(row.digest, &i, sizeof i);
        supervisor_learn(t->supervisor, &row);
    }
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(test_totals(t).leased_bytes, 150 * MiB);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rises_are_told_and_noise_is_not),
        cmocka_unit_test(the_time_of_a_load_is_told_when_it_changes_much),
        cmocka_unit_test(a_claim_takes_the_larger_of_plan_and_learned),
        cmocka_unit_test(what_was_learned_can_be_too_big),
        cmocka_unit_test(the_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
