#include "supervisor/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct breaker_limits limits = { .failures = 5, .open_ms = 60000, .probes = 3 };

static struct breaker opened(int64_t now_ms)
{
    struct breaker b = { .state = BREAKER_CLOSED };
    for (int i = 0; i < 5; i++)
        breaker_failure(&b, &limits, now_ms);
    return b;
}

static bool allows(struct breaker *b, int64_t now_ms)
{
    bool probe = true;
    return breaker_allows(b, &limits, now_ms, &probe);
}

static void five_in_a_row_open_it(void **state)
{
    (void)state;
    struct breaker b = { .state = BREAKER_CLOSED };
    for (int i = 0; i < 4; i++)
        breaker_failure(&b, &limits, 100);
    assert_true(allows(&b, 100));
    breaker_failure(&b, &limits, 100);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_false(allows(&b, 100));
    assert_false(allows(&b, 60099));
}

/* F088. */
static void a_success_between_failures_starts_the_count_again(void **state)
{
    (void)state;
    struct breaker b = { .state = BREAKER_CLOSED };
    for (int i = 0; i < 100; i++) {
        breaker_failure(&b, &limits, i);
        if (i % 4 == 3)
            breaker_success(&b, &limits);
    }
    assert_int_equal(b.state, BREAKER_CLOSED);
}

/* F089. */
static void half_open_lets_three_in_at_a_time(void **state)
{
    (void)state;
    struct breaker b = opened(0);
    int in = 0;
    for (int i = 0; i < 100; i++) {
        bool probe = false;
        in += breaker_allows(&b, &limits, 60000, &probe);
        assert_true(probe == (i < 3));
    }
    assert_int_equal(in, 3);
    breaker_probe_ended(&b);
    assert_true(allows(&b, 60000));
    assert_false(allows(&b, 60000));
}

static void three_successes_close_it(void **state)
{
    (void)state;
    struct breaker b = opened(0);
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(b.state, BREAKER_CLOSED);
        assert_true(allows(&b, 60000));
        breaker_probe_ended(&b);
        breaker_success(&b, &limits);
    }
    assert_int_equal(b.state, BREAKER_CLOSED);
    bool probe = true;
    assert_true(breaker_allows(&b, &limits, 60000, &probe));
    assert_false(probe);
    for (int i = 0; i < 5; i++) { /* and counts from the first again */
        assert_int_equal(b.state, BREAKER_CLOSED);
        breaker_failure(&b, &limits, 60000);
    }
    assert_int_equal(b.state, BREAKER_OPEN);
}

/* F090. */
static void one_failure_opens_it_again_for_the_whole_time(void **state)
{
    (void)state;
    struct breaker b = opened(0);
    assert_true(allows(&b, 70000));
    breaker_success(&b, &limits);
    breaker_success(&b, &limits);
    breaker_failure(&b, &limits, 70000);
    breaker_probe_ended(&b);
    assert_false(allows(&b, 129999));
    assert_true(allows(&b, 130000));
    breaker_success(&b, &limits); /* the two from before do not count */
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
}

static void late_failures_do_not_keep_it_open(void **state)
{
    (void)state;
    struct breaker b = opened(0);
    breaker_failure(&b, &limits, 59000);
    assert_true(allows(&b, 60000));
    assert_string_equal(breaker_name(b.state), "half_open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_in_a_row_open_it),
        cmocka_unit_test(a_success_between_failures_starts_the_count_again),
        cmocka_unit_test(half_open_lets_three_in_at_a_time),
        cmocka_unit_test(three_successes_close_it),
        cmocka_unit_test(one_failure_opens_it_again_for_the_whole_time),
        cmocka_unit_test(late_failures_do_not_keep_it_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
