#include "base/histogram.h"

#include "base/rand.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void bounds_ascend(void **state)
{
    (void)state;
    for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bounds_ms[i - 1] < histogram_bounds_ms[i]);
    assert_true(histogram_bounds_ms[0] > 0);
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        double seconds;
        assert_true(str_to_double(str_of(histogram_bounds_s[i]), &seconds));
        assert_true(seconds == (double)histogram_bounds_ms[i] / 1000);
    }
}

/* A bound belongs to its own bucket, one more to the next. */
static void every_edge(void **state)
{
    (void)state;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        struct histogram h = { .count = 0 };
        histogram_observe(&h, histogram_bounds_ms[i]);
        assert_int_equal(h.buckets[i], 1);
        histogram_observe(&h, histogram_bounds_ms[i] + 1);
        assert_int_equal(h.buckets[i + 1], 1);
        assert_int_equal(h.count, 2);
        assert_true(h.sum_ms == 2 * histogram_bounds_ms[i] + 1);
    }
    struct histogram h = { .count = 0 };
    histogram_observe(&h, 0);
    histogram_observe(&h, -7);
    histogram_observe(&h, INT64_MAX / 2);
    assert_int_equal(h.buckets[0], 2);
    assert_int_equal(h.buckets[HISTOGRAM_BOUNDS], 1);
    assert_true(h.sum_ms == INT64_MAX / 2);
}

/* Against a walk along the table, and two halves added against the whole. */
static void random_times(void **state)
{
    struct rng r;
    struct histogram all = { .count = 0 }, halves[2] = { { .count = 0 }, { .count = 0 } };
    uint64_t expected[HISTOGRAM_BOUNDS + 1] = { 0 };
    (void)state;
    rand_seed(&r, 7);
    for (size_t n = 0; n < 20000; n++) {
        int64_t ms = (int64_t)(rand_u64(&r) >> (40 + rand_u64(&r) % 24));
        size_t at = 0;
        while (at < HISTOGRAM_BOUNDS && ms > histogram_bounds_ms[at])
            at++;
        expected[at]++;
        histogram_observe(&all, ms);
        histogram_observe(&halves[n % 2], ms);
    }
    histogram_add(&halves[0], &halves[1]);
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        assert_int_equal(all.buckets[i], expected[i]);
        assert_int_equal(halves[0].buckets[i], expected[i]);
        assert_true(expected[i] > 0);
    }
    assert_int_equal(halves[0].count, 20000);
    assert_true(halves[0].sum_ms == all.sum_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_ascend),
        cmocka_unit_test(every_edge),
        cmocka_unit_test(random_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
