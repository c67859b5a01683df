/* fairness_test.c — nobody starves: clients take turns, and waiting is worth priority. */
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define ONE    ((struct model_settings){ .max_workers = 1 })

static struct test_request *submit_as(struct test_pool *t, const char *client, uint8_t priority)
{
    t->next.client = client;
    t->priority = priority;
    return test_submit(t, "m", "e", 0);
}

/* A pool whose one worker is ready and runs one job at a time, 100 ms each. */
static struct test_pool *warm_pool(struct model_settings settings)
{
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, settings);
    const struct test_request *first = submit_as(t, NULL, 2);
    test_run_until(t, SECOND);
    CHECK(first->ended);
    return t;
}

/* F139: behind a thousand of another client, one waits for that client's turn and no more. */
static void a_flood_costs_others_one_turn(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(ONE);
    for (int i = 0; i < 1000; i++)
        assert_true(submit_as(t, "a", 2)->id != 0);
    test_run_until(t, 3 * SECOND);
    const struct test_request *b = submit_as(t, "b", 2), *anonymous = submit_as(t, NULL, 2);
    test_run_until(t, 4 * SECOND);
    assert_true(b->ended && b->queued_ms <= 200);
    assert_true(anonymous->ended && anonymous->queued_ms <= 300);
    test_run_until(t, 6 * SECOND);
    for (int i = 1; i < 40; i++)
        assert_true(t->requests[i].ended);
    assert_false(t->requests[1000].ended);
    test_close(t);
}

/* The flood is old when the other comes: its age does not outweigh the turn. */
static void an_old_flood_does_not_outweigh_a_newcomer_for_ever(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(ONE);
    for (int i = 0; i < 1000; i++)
        submit_as(t, "a", 4);
    test_run_until(t, 50 * SECOND); /* by now all of it is as good as critical */
    const struct test_request *normal = submit_as(t, "b", 2), *critical = submit_as(t, "c", 0);
    test_run_until(t, 51 * SECOND);
    assert_true(critical->ended && critical->queued_ms <= 200);
    assert_false(normal->ended);
    test_run_until(t, 72 * SECOND); /* two levels later it has its turn */
    assert_true(normal->ended && normal->queued_ms <= 20 * SECOND + 200);
    test_close(t);
}

/* F140: normal work for ever, more than the worker can do, of many clients and of one. */
static void check_batch_is_served(bool many_clients)
{
    static const char *const clients[] = { "a", "b", "c", "d", "e", "f", "g" };
    struct test_pool *t = warm_pool(ONE);
    for (int i = 0; i < 20; i++)
        submit_as(t, clients[many_clients ? i % 7 : 0], 2);
    const struct test_request *batch = submit_as(t, "z", 4);
    for (int i = 0; i < 500 && !batch->ended; i++) {
        submit_as(t, clients[many_clients ? i % 7 : 0], 2);
        test_run_until(t, t->world.now_ms + 90);
    }
    assert_true(batch->ended);
    assert_true(batch->queued_ms > 15 * SECOND && batch->queued_ms <= 40 * SECOND + 900);
    test_close(t);
}

static void batch_work_is_served_under_normal_load(void **state)
{
    (void)state;
    check_batch_is_served(false);
    check_batch_is_served(true);
}

static void the_models_priority_is_that_of_normal_requests(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool((struct model_settings){ .max_workers = 1, .priority = 4 });
    submit_as(t, NULL, 0);
    test_run_until(t, t->world.now_ms + 10);
    const struct test_request *normal = submit_as(t, NULL, 2), *low = submit_as(t, NULL, 3),
                              *high = submit_as(t, NULL, 1);
    test_run_until(t, t->world.now_ms + SECOND);
    assert_true(high->queued_ms < low->queued_ms && low->queued_ms < normal->queued_ms);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_costs_others_one_turn),
        cmocka_unit_test(an_old_flood_does_not_outweigh_a_newcomer_for_ever),
        cmocka_unit_test(batch_work_is_served_under_normal_load),
        cmocka_unit_test(the_models_priority_is_that_of_normal_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
