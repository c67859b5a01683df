/* eviction_test.c — who has to leave for whom, and that nobody moves in before they are gone. */
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define ONE    ((struct model_settings){ .max_workers = 1 })
#define PINNED ((struct model_settings){ .max_workers = 1, .min_workers = 1 })

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

static void what_can_never_fit_is_too_big(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL);
    struct test_model *m = test_register(t, "m", 400, 51, ONE);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    assert_ended(r, WEIR_TOO_BIG);
    assert_int_equal(r->error.value, 451 * MiB);
    assert_int_equal(r->error.limit, 450 * MiB);
    assert_non_null(strstr(r->error.text, "451 MiB"));
    assert_non_null(strstr(r->error.text, "450 MiB"));
    assert_int_equal(m->spawns, 0);
    test_close(t);
}

static void a_victims_memory_is_given_only_after_its_exit(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL);
    struct test_model *a = test_register(t, "a", 200, 100, ONE);
    struct test_model *b = test_register(t, "b", 200, 100, ONE);
    const struct test_request *first = test_submit(t, "a", "e", 0);
    test_run_until(t, 2 * SECOND);
    assert_ended(first, WEIR_OK);
    t->world.holds_exits = true;
    const struct test_request *second = test_submit(t, "b", "e", 0);
    test_run_until(t, 4 * SECOND);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready Evicting");
    assert_int_equal(b->spawns, 0);
    assert_int_equal(test_totals(t).leased_bytes, 300 * MiB);
    t->world.holds_exits = false;
    test_run_until(t, 6 * SECOND);
    assert_ended(second, WEIR_OK);
    assert_int_equal(test_workers(&t->world, a), 0);
    assert_int_equal(test_workers(&t->world, b), 1);
    assert_int_equal(test_totals(t).leased_bytes, 300 * MiB);
    test_close(t);
}

/* F010, F018. */
static void a_busy_worker_is_waited_for(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL);
    test_register(t, "a", 200, 100, ONE);
    struct test_model *b = test_register(t, "b", 200, 100, ONE);
    const struct test_request *long_one = test_submit(t, "a", "r", 0);
    test_run_until(t, 2 * SECOND);
    const struct test_request *waits = test_submit(t, "b", "e", 0);
    const struct test_request *gives_up = test_submit(t, "b", "e", 10 * SECOND);
    test_run_until(t, 30 * SECOND);
    assert_false(waits->ended);
    assert_ended(gives_up, WEIR_NO_MEMORY);
    assert_int_equal(b->spawns, 0);
    test_finish_jobs(&t->world);
    test_run_until(t, 32 * SECOND);
    assert_ended(long_one, WEIR_OK);
    assert_ended(waits, WEIR_OK);
    test_close(t);
}

static void the_least_recently_used_leaves(void **state)
{
    (void)state;
    struct test_pool *t = test_open(700, NULL);
    struct test_model *a = test_register(t, "a", 200, 100, ONE);
    struct test_model *b = test_register(t, "b", 200, 100, ONE);
    struct test_model *c = test_register(t, "c", 200, 100, ONE);
    test_submit(t, "a", "e", 0);
    test_run_until(t, 2 * SECOND);
    test_submit(t, "b", "e", 0);
    test_run_until(t, 4 * SECOND);
    test_submit(t, "a", "e", 0);
    test_run_until(t, 6 * SECOND);
    test_submit(t, "c", "e", 0);
    test_run_until(t, 8 * SECOND);
    assert_int_equal(test_workers(&t->world, a), 1);
    assert_int_equal(test_workers(&t->world, b), 0);
    assert_int_equal(test_workers(&t->world, c), 1);
    test_close(t);
}

static void a_pinned_worker_never_leaves(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL);
    struct test_model *p = test_register(t, "p", 200, 100, PINNED);
    test_register(t, "b", 200, 100, ONE);
    test_run_until(t, 60 * SECOND);
    const struct test_request *r = test_submit(t, "b", "e", 0);
    test_run_until(t, 62 * SECOND);
    assert_ended(r, WEIR_TOO_BIG);
    assert_int_equal(test_workers(&t->world, p), 1);
    assert_int_equal(p->spawns, 1);
    test_close(t);
}

/* Two are pinned and only one fits: the first keeps its place, and nobody is refused for a worker
 * that does not exist. */
static void what_is_pinned_and_not_loaded_takes_no_room(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL);
    struct test_model *p = test_register(t, "p", 200, 100, PINNED);
    struct test_model *q = test_register(t, "q", 200, 100, PINNED);
    test_run_until(t, 10 * SECOND);
    assert_int_equal(test_workers(&t->world, p) + test_workers(&t->world, q), 1);
    const struct test_request *r =
        test_submit(t, test_workers(&t->world, p) > 0 ? "p" : "q", "e", 0);
    test_run_until(t, 12 * SECOND);
    assert_ended(r, WEIR_OK);
    test_close(t);
}

/* A minimum that can never be reached must not stand before those who could have room. */
static void an_unreachable_minimum_blocks_nobody(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL);
    struct test_model *p = test_register(
        t, "p", 100, 200, (struct model_settings){ .max_workers = 2, .min_workers = 2 });
    test_register(t, "a", 50, 50, ONE);
    test_register(t, "b", 50, 50, ONE);
    test_run_until(t, 5 * SECOND);
    assert_int_equal(test_workers(&t->world, p), 1);
    const struct test_request *a = test_submit(t, "a", "e", 20 * SECOND);
    test_run_until(t, 10 * SECOND);
    const struct test_request *b = test_submit(t, "b", "e", 20 * SECOND);
    const size_t first = t->count;
    for (int i = 0; i < 3; i++) /* it goes on with the worker that it has */
        test_submit(t, "p", "e", 20 * SECOND);
    test_run_until(t, 15 * SECOND);
    assert_ended(a, WEIR_OK);
    assert_ended(b, WEIR_OK);
    for (size_t i = first; i < t->count; i++)
        assert_ended(&t->requests[i], WEIR_OK);
    test_close(t);
}

/* The one in front gives up: who stood behind it and may evict does so now, not at the next look.
 */
static void a_claim_that_gives_up_makes_way(void **state)
{
    (void)state;
    struct test_pool *t = test_open(700, NULL);
    test_register(t, "busy", 250, 100, ONE);
    test_register(t, "idle", 100, 100, ONE);
    test_register(t, "large", 400, 100, ONE);
    test_register(t, "small", 200, 100, ONE);
    test_submit(t, "busy", "r", 0);
    test_submit(t, "idle", "e", 0);
    test_run_until(t, 2001);
    const struct test_request *front = test_submit(t, "large", "e", 0);
    const struct test_request *behind = test_submit(t, "small", "e", 0);
    test_run_until(t, 2500);
    assert_false(behind->ended);
    supervisor_cancel(t->supervisor, front->id);
    test_run_until(t, 2500 + 700);
    assert_ended(behind, WEIR_OK);
    test_close(t);
}

/* Memory that others use is not there, whatever the budget says. */
static void foreign_memory_counts(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 200, 100, ONE);
    t->world.total_bytes = 2560 * MiB;
    t->world.available_bytes = 500 * MiB; /* and 256 stay reserved */
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 20 * SECOND);
    assert_int_equal(m->spawns, 0);
    assert_false(r->ended);
    t->world.available_bytes = 600 * MiB;
    test_run_until(t, 30 * SECOND);
    assert_ended(r, WEIR_OK);
    test_close(t);
}

/* Where it takes two they leave together, not one after the other. */
static void all_who_have_to_leave_are_told_at_once(void **state)
{
    (void)state;
    struct test_pool *t = test_open(700, NULL);
    test_register(t, "a", 200, 100, ONE);
    test_register(t, "b", 200, 100, ONE);
    test_register(t, "c", 500, 100, ONE);
    test_submit(t, "a", "e", 0);
    test_run_until(t, 2 * SECOND);
    test_submit(t, "b", "e", 0);
    test_run_until(t, 4 * SECOND);
    t->world.holds_exits = true;
    test_submit(t, "c", "e", 0);
    test_run_until(t, 4 * SECOND + 10);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready Evicting");
    assert_string_equal(t->paths[3], "Spawning Loading Ready Processing Ready Evicting");
    test_close(t);
}

/* A worker that nobody asked for makes way for who waits as soon as it may: when it has loaded. */
static void a_fresh_worker_makes_way_at_once(void **state)
{
    (void)state;
    struct test_pool *t = test_open(450, NULL);
    test_register(t, "a", 200, 100, (struct model_settings){ .max_workers = 1, .preload = true });
    test_register(t, "b", 200, 100, (struct model_settings){ .max_workers = 1 });
    test_run_until(t, 100);
    const struct test_request *r = test_submit(t, "b", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Evicting Dead");
    assert_ended(r, WEIR_OK);
    assert_true(r->total_ms < 510 + 510 + 100 + 10);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_never_fit_is_too_big),
        cmocka_unit_test(a_victims_memory_is_given_only_after_its_exit),
        cmocka_unit_test(a_busy_worker_is_waited_for),
        cmocka_unit_test(the_least_recently_used_leaves),
        cmocka_unit_test(a_pinned_worker_never_leaves),
        cmocka_unit_test(what_is_pinned_and_not_loaded_takes_no_room),
        cmocka_unit_test(an_unreachable_minimum_blocks_nobody),
        cmocka_unit_test(a_claim_that_gives_up_makes_way),
        cmocka_unit_test(foreign_memory_counts),
        cmocka_unit_test(all_who_have_to_leave_are_told_at_once),
        cmocka_unit_test(a_fresh_worker_makes_way_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
