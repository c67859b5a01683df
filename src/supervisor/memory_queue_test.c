/* memory_queue_test.c — who stands in whose way while several models wait for memory. */
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

/* What other programs use cannot be had by waiting in order: who stands behind such a claim may
 * push out whom it could without it, and the one in front is served once the memory is there. */
static void a_claim_on_foreign_memory_stands_in_nobodys_way(void **state)
{
    (void)state;
    struct test_pool *t = test_open(3000, NULL);
    t->world.total_bytes = 8000 * MiB;
    t->world.available_bytes = 2400 * MiB;
    struct test_model *idle = test_register(t, "idle", 1000, 500, ONE);
    test_register(t, "large", 2000, 500, ONE);
    test_register(t, "small", 1000, 500, ONE);
    test_submit(t, "idle", "e", 0);
    test_run_until(t, 2 * SECOND);
    t->world.available_bytes = 1900 * MiB; /* the private part of it is used */
    const struct test_request *front = test_submit(t, "large", "e", 0);
    test_run_until(t, 3 * SECOND);
    const struct test_request *behind = test_submit(t, "small", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_ended(behind, WEIR_OK);
    assert_false(front->ended);
    assert_int_equal(test_workers(&t->world, idle), 0);
    assert_non_null(strstr(t->heard.news,
                           "wait large: a worker of 'large' has to wait for memory that "
                           "other programs use: it needs 2.4 GiB"));
    t->world.available_bytes = 4000 * MiB;
    test_run_until(t, 12 * SECOND);
    assert_ended(front, WEIR_OK);
    test_close(t);
}

/* Who comes later may take what is free, for a while; then it is kept for the large one that waits,
 * so that the next of many small ones does not take the place of the last. */
static void a_large_claim_is_not_passed_for_ever(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "busy", 300, 100, ONE);
    test_register(t, "large", 700, 100, ONE);
    struct test_model *early = test_register(t, "early", 200, 100, ONE);
    struct test_model *late = test_register(t, "late", 200, 100, ONE);
    struct test_model *tiny = test_register(t, "tiny", 100, 100, ONE);
    test_submit(t, "busy", "r", 0);
    test_run_until(t, 2 * SECOND);
    const struct test_request *large = test_submit(t, "large", "e", 0);
    test_run_until(t, 20 * SECOND);
    const struct test_request *passes = test_submit(t, "early", "e", 0);
    test_run_until(t, 22 * SECOND);
    assert_ended(passes, WEIR_OK);
    assert_int_equal(early->spawns, 1);
    assert_int_equal(supervisor_unload(t->supervisor, "early", NULL), WEIR_OK);
    test_run_until(t, 43 * SECOND);
    const struct test_request *behind = test_submit(t, "late", "r", 0);
    const struct test_request *besides = test_submit(t, "tiny", "e", 0);
    test_run_until(t, 50 * SECOND);
    assert_int_equal(late->spawns, 0);
    assert_int_equal(tiny->spawns, 0); /* 200 will be left over, but only when "busy" has gone */
    assert_false(large->ended);
    test_finish_jobs(&t->world);
    test_run_until(t, 52 * SECOND);
    assert_ended(large, WEIR_OK);
    test_run_until(t, 60 * SECOND);
    assert_ended(besides, WEIR_OK);
    assert_int_equal(late->spawns, 1);
    test_finish_jobs(&t->world);
    test_run_until(t, 62 * SECOND);
    assert_ended(behind, WEIR_OK);
    test_close(t);
}

/* What is leaving is for the one in front: a small one behind it may take what is free besides, but
 * not a part of that, so that nobody else has to leave in its stead. */
static void what_leaves_for_one_is_not_given_to_another(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "a", 300, 100, ONE);
    test_register(t, "b", 200, 100, ONE);
    test_register(t, "front", 500, 100, ONE);
    struct test_model *small = test_register(t, "small", 100, 50, ONE);
    struct test_model *tiny = test_register(t, "tiny", 50, 50, ONE);
    test_submit(t, "a", "e", 0);
    test_run_until(t, 2 * SECOND);
    test_submit(t, "b", "e", 0);
    test_run_until(t, 4 * SECOND);
    t->world.holds_exits = true;
    const struct test_request *front = test_submit(t, "front", "e", 0);
    test_run_until(t, 4100);
    const struct test_request *behind = test_submit(t, "small", "e", 0);
    test_run_until(t, 4200);
    const struct test_request *besides = test_submit(t, "tiny", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_int_equal(small->spawns, 0); /* 300 are free, and 200 of them are for the front */
    assert_int_equal(tiny->spawns, 1);
    assert_ended(besides, WEIR_OK);
    t->world.holds_exits = false;
    test_run_until(t, 6 * SECOND);
    assert_ended(front, WEIR_OK);
    assert_null(strstr(t->heard.news, "evict b: for 'front'"));
    test_run_until(t, 20 * SECOND);
    assert_ended(behind, WEIR_OK);
    test_close(t);
}

/* To the millisecond, and from the time on at which the large one came to the queue. */
static void after_forty_seconds_it_is_kept(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "busy", 300, 100, ONE);
    test_register(t, "large", 700, 100, ONE);
    struct test_model *early = test_register(t, "early", 200, 50, ONE);
    struct test_model *late = test_register(t, "late", 200, 50, ONE);
    const int64_t came = 100 * SECOND;
    test_submit(t, "busy", "r", 0);
    test_run_until(t, came);
    test_submit(t, "large", "e", 0);
    test_run_until(t, came + 40 * SECOND - 1);
    test_submit(t, "early", "e", 0);
    test_run_until(t, came + 40 * SECOND - 1);
    assert_int_equal(early->spawns, 1);
    test_run_until(t, came + 40 * SECOND);
    test_submit(t, "late", "e", 0);
    test_run_until(t, came + 50 * SECOND);
    assert_int_equal(late->spawns, 0);
    test_close(t);
}

/* A minimum that nobody has asked for waits for the busy one; a request need not wait for it. */
static void who_has_no_request_stands_in_nobodys_way(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "busy", 400, 100, ONE);
    struct test_model *idle = test_register(t, "idle", 100, 100, ONE);
    test_register(t, "small", 350, 100, ONE);
    test_submit(t, "busy", "r", 0);
    test_submit(t, "idle", "e", 0);
    test_run_until(t, 3 * SECOND);
    struct test_model *kept = test_register(
        t, "kept", 700, 100, (struct model_settings){ .max_workers = 1, .min_workers = 1 });
    test_run_until(t, 4 * SECOND);
    assert_non_null(strstr(t->heard.news, "wait kept: "));
    const struct test_request *r = test_submit(t, "small", "e", 0);
    test_run_until(t, 6 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(test_workers(&t->world, idle), 0);
    assert_int_equal(kept->spawns, 0);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_claim_on_foreign_memory_stands_in_nobodys_way),
        cmocka_unit_test(a_large_claim_is_not_passed_for_ever),
        cmocka_unit_test(what_leaves_for_one_is_not_given_to_another),
        cmocka_unit_test(after_forty_seconds_it_is_kept),
        cmocka_unit_test(who_has_no_request_stands_in_nobodys_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
