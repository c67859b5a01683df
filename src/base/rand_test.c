#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The published first numbers of the two generators: splitmix64 with seed 1234567 is the state
 * after seeding, xoshiro256** with the state 1, 2, 3, 4 is what follows. */
static void gives_the_published_numbers(void **state)
{
    (void)state;
    struct rng r;
    rand_seed(&r, 1234567);
    assert_true(r.s[0] == UINT64_C(6457827717110365317));
    assert_true(r.s[1] == UINT64_C(3203168211198807973));
    assert_true(r.s[2] == UINT64_C(9817491932198370423));
    assert_true(r.s[3] == UINT64_C(4593380528125082431));
    static const uint64_t expected[] = { 11520, 0, 1509978240, UINT64_C(1215971899390074240) };
    r = (struct rng){
        {1, 2, 3, 4}
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_true(rand_u64(&r) == expected[i]);
}

static void a_seed_says_everything(void **state)
{
    (void)state;
    struct rng a, b, other;
    rand_seed(&a, 0);
    rand_seed(&b, 0);
    rand_seed(&other, 1);
    assert_int_not_equal(a.s[0] | a.s[1] | a.s[2] | a.s[3], 0);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        const uint64_t v = rand_u64(&a);
        assert_true(v == rand_u64(&b));
        same += v == rand_u64(&other);
    }
    assert_int_equal(same, 0);
}

static void below_stays_below_and_reaches_all(void **state)
{
    (void)state;
    struct rng r;
    rand_seed(&r, 5);
    unsigned seen[7] = { 0 };
    for (int i = 0; i < 70000; i++) {
        const uint64_t v = rand_below(&r, 7);
        assert_true(v < 7);
        seen[v]++;
    }
    /* 10000 expected; 500 is more than five standard deviations. */
    for (size_t i = 0; i < 7; i++)
        assert_in_range(seen[i], 9500, 10500);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rand_below(&r, 1), 0);
}

/* With n = 3 × 2^62 a plain remainder would land in the lowest third half of the time. */
static void below_is_unbiased_for_large_ranges(void **state)
{
    (void)state;
    struct rng r;
    rand_seed(&r, 6);
    const uint64_t third = UINT64_C(1) << 62;
    unsigned low = 0;
    for (int i = 0; i < 30000; i++)
        low += rand_below(&r, 3 * third) < third;
    assert_in_range(low, 9500, 10500);
}

static void unit_is_in_its_interval(void **state)
{
    (void)state;
    struct rng r;
    rand_seed(&r, 7);
    double sum = 0;
    double least = 1;
    double most = 0;
    for (int i = 0; i < 100000; i++) {
        const double v = rand_unit(&r);
        assert_true(v >= 0 && v < 1);
        sum += v;
        least = v < least ? v : least;
        most = v > most ? v : most;
    }
    assert_true(sum > 49500 && sum < 50500);
    assert_true(least < 0.001 && most > 0.999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_numbers),
        cmocka_unit_test(a_seed_says_everything),
        cmocka_unit_test(below_stays_below_and_reaches_all),
        cmocka_unit_test(below_is_unbiased_for_large_ranges),
        cmocka_unit_test(unit_is_in_its_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
