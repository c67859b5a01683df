#include "base/timer.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void takes_in_order(void **state)
{
    (void)state;
    struct timer_heap h;
    struct timer a = { 0 }, b = { 0 }, c = { 0 };
    timer_heap_init(&h);
    assert_true(timer_next(&h) == TIMER_NEVER);
    assert_null(timer_take(&h, INT64_MAX));
    timer_set(&h, &a, 30);
    timer_set(&h, &b, 10);
    timer_set(&h, &c, 20);
    assert_int_equal(timer_next(&h), 10);
    assert_null(timer_take(&h, 9));
    assert_ptr_equal(timer_take(&h, 10), &b);
    assert_int_equal(b.place, 0);
    assert_ptr_equal(timer_take(&h, 100), &c);
    assert_ptr_equal(timer_take(&h, 100), &a);
    assert_null(timer_take(&h, 100));
    timer_heap_finish(&h);
    timer_heap_finish(NULL);
}

static void moves_and_clears(void **state)
{
    (void)state;
    struct timer_heap h;
    struct timer a = { 0 }, b = { 0 };
    timer_heap_init(&h);
    timer_clear(&h, &a);
    timer_set(&h, &a, 10);
    timer_set(&h, &b, 20);
    timer_set(&h, &a, 30);
    assert_int_equal(h.count, 2);
    assert_int_equal(timer_next(&h), 20);
    timer_set(&h, &b, TIMER_NEVER);
    assert_int_equal(b.place, 0);
    assert_int_equal(timer_next(&h), 30);
    timer_clear(&h, &a);
    timer_clear(&h, &a);
    assert_int_equal(h.count, 0);
    timer_set(&h, &a, INT64_MIN);
    assert_ptr_equal(timer_take(&h, INT64_MIN), &a);
    timer_heap_finish(&h);
}

static int64_t earliest(const struct timer *timers, size_t count)
{
    int64_t at_ms = TIMER_NEVER;
    for (size_t i = 0; i < count; i++) {
        if (timers[i].place != 0 && timers[i].at_ms < at_ms)
            at_ms = timers[i].at_ms;
    }
    return at_ms;
}

static void check_heap(const struct timer_heap *h)
{
    for (size_t place = 1; place <= h->count; place++) {
        assert_int_equal(h->timers[place - 1]->place, place);
        if (place > 1)
            assert_true(h->timers[place / 2 - 1]->at_ms <= h->timers[place - 1]->at_ms);
    }
}

/* Random setting, moving, clearing and taking, against a search through all timers. */
static void agrees_with_a_search(void **state)
{
    (void)state;
    enum { COUNT = 100, STEPS = 20000 };
    static struct timer timers[COUNT];
    struct timer_heap h;
    struct rng r;
    timer_heap_init(&h);
    rand_seed(&r, 3);
    for (int step = 0; step < STEPS; step++) {
        struct timer *const t = &timers[rand_below(&r, COUNT)];
        switch (rand_below(&r, 4)) {
        case 0:
        case 1: timer_set(&h, t, (int64_t)rand_below(&r, 1000)); break;
        case 2: timer_clear(&h, t); break;
        default: {
            const int64_t now_ms = (int64_t)rand_below(&r, 400);
            const int64_t expected = earliest(timers, COUNT);
            const struct timer *const taken = timer_take(&h, now_ms);
            assert_int_equal(taken != NULL, expected <= now_ms);
            if (taken != NULL)
                assert_int_equal(taken->at_ms, expected);
        }
        }
        check_heap(&h);
        assert_true(timer_next(&h) == earliest(timers, COUNT));
    }
    timer_heap_finish(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_in_order),
        cmocka_unit_test(moves_and_clears),
        cmocka_unit_test(agrees_with_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
