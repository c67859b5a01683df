/* forecast_test.c — what waiting callers are told, from workers and times that are given. */
#include "supervisor/test_still.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* One job in eight counts: a slow one does not make a model slow. */
static void the_time_of_a_job_is_a_moving_average(void **state)
{
    (void)state;
    struct model m = { 0 };
    forecast_ran(&m, 800);
    assert_int_equal((int64_t)m.service_ms, 800);
    forecast_ran(&m, 1600);
    assert_int_equal((int64_t)m.service_ms, 900);
    forecast_ran(&m, 100);
    assert_int_equal((int64_t)m.service_ms, 800);
}

/* Five slots, four of them taken: the first is placed now, each five more take one job's time. */
static void the_wait_is_by_rounds_of_all_slots(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 100);
    struct child *a = still_child(t, m, PROCESSING, 10), *b = still_child(t, m, READY, 10);
    struct child *lost = still_child(t, m, PROCESSING, 10);
    a->slots = 4, a->jobs_count = 3;
    b->slots = 1, b->jobs_count = 1;
    lost->slots = 50, lost->lost = true;
    m->load_ms = 7000;
    forecast_ran(m, 1000);
    assert_int_equal(forecast_wait_ms(t->s, m, 1), 0);
    assert_int_equal(forecast_wait_ms(t->s, m, 2), 200);
    assert_int_equal(forecast_wait_ms(t->s, m, 11), 2000);
    still_close(t);
}

/* Without a worker it is the load, or what is left of it, and then the slots that come of it. */
static void a_load_comes_first(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 100);
    m->load_ms = 7000;
    forecast_ran(m, 1000);
    m->plan.slots = 2;
    assert_int_equal(forecast_wait_ms(t->s, m, 2), 7000);
    assert_int_equal(forecast_wait_ms(t->s, m, 4), 8000);
    m->settings.slots = 1;
    assert_int_equal(forecast_wait_ms(t->s, m, 2), 8000);
    m->settings.slots = m->plan.slots = 0; /* it was not inspected */
    assert_int_equal(forecast_wait_ms(t->s, m, 3), 9000);
    struct child *c = still_child(t, m, SPAWNING, 10);
    c->state_since_ms = t->s->now_ms - 2000;
    assert_int_equal(forecast_wait_ms(t->s, m, 1), 7000);
    c->state = LOADING;
    assert_int_equal(forecast_wait_ms(t->s, m, 1), 5000);
    c->state_since_ms = t->s->now_ms - 6999;
    assert_int_equal(forecast_wait_ms(t->s, m, 1), 1);
    c->state_since_ms = t->s->now_ms - 9000; /* longer than the last one took */
    assert_int_equal(forecast_wait_ms(t->s, m, 1), 0);
    c->state = READY;
    assert_int_equal(forecast_wait_ms(t->s, m, 1), 0);
    still_close(t);
}

/* Retry-After is never under a second and never over ten minutes. */
static void what_callers_are_told_is_bounded(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 100);
    still_child(t, m, READY, 10);
    forecast_ran(m, 1500);
    assert_int_equal(forecast_retry_ms(t->s, m), 1000);
    m->queue.jobs = 2;
    assert_int_equal(forecast_retry_ms(t->s, m), 1500);
    m->queue.jobs = 1000;
    assert_int_equal(forecast_retry_ms(t->s, m), 600000);
    m->service_ms = 1e300; /* a sum that no time can hold */
    assert_int_equal(forecast_retry_ms(t->s, m), 600000);
    m->queue.jobs = 0;
    t->s->drain_until_ms = t->s->now_ms + 3000;
    assert_int_equal(forecast_drain_ms(t->s), 3000);
    t->s->drain_until_ms = t->s->now_ms - 3000;
    assert_int_equal(forecast_drain_ms(t->s), 1000);
    still_close(t);
}

/* Who has no memory comes back when the first of the others has run out of work. */
static void memory_comes_from_the_model_that_is_done_first(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 100), *a = still_model(t, 100), *b = still_model(t, 100);
    assert_int_equal(forecast_memory_ms(t->s, m), t->s->options.limits.pressure_ms);
    forecast_ran(m, 2000);
    still_child(t, m, PROCESSING, 10);
    forecast_ran(a, 2500); /* it holds no memory */
    still_child(t, b, PROCESSING, 10);
    assert_int_equal(forecast_memory_ms(t->s, m), t->s->options.limits.pressure_ms);
    forecast_ran(b, 9000);
    b->queue.jobs = 3;
    assert_int_equal(forecast_memory_ms(t->s, m), 27000);
    still_child(t, a, PROCESSING, 10);
    still_child(t, a, PROCESSING, 10);
    assert_int_equal(forecast_memory_ms(t->s, m), 2500);
    b->queue.jobs = 0;
    still_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_of_a_job_is_a_moving_average),
        cmocka_unit_test(the_wait_is_by_rounds_of_all_slots),
        cmocka_unit_test(a_load_comes_first),
        cmocka_unit_test(what_callers_are_told_is_bounded),
        cmocka_unit_test(memory_comes_from_the_model_that_is_done_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
