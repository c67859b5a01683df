/* quarantine_test.c — how long an input is refused, and what is forgotten when there are many. */
#include "supervisor/test_still.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void add(struct supervisor *s, uint64_t hash)
{
    const struct job j = { .hash = hash };
    quarantine_add(s, &j);
}

/* To the millisecond, and each from its own time on. */
static void an_input_is_refused_for_its_time(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct supervisor *s = t->s;
    const int64_t began = s->now_ms, limit = s->options.limits.quarantine_ms;
    assert_false(quarantine_holds(s, 7));
    add(s, 7);
    assert_true(quarantine_holds(s, 7));
    assert_false(quarantine_holds(s, 8));
    s->now_ms = began + 10;
    add(s, 8);
    s->now_ms = began + limit - 1;
    assert_true(quarantine_holds(s, 7));
    s->now_ms = began + limit;
    assert_false(quarantine_holds(s, 7));
    assert_true(quarantine_holds(s, 8));
    s->now_ms = began + limit + 10;
    assert_false(quarantine_holds(s, 8));
    still_close(t);
}

static void the_oldest_is_forgotten_when_there_are_too_many(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    for (uint64_t hash = 1; hash <= QUARANTINE_ROWS; hash++)
        add(t->s, hash);
    for (uint64_t hash = 1; hash <= QUARANTINE_ROWS; hash++)
        assert_true(quarantine_holds(t->s, hash));
    assert_false(quarantine_holds(t->s, QUARANTINE_ROWS + 1));
    add(t->s, QUARANTINE_ROWS + 1);
    assert_false(quarantine_holds(t->s, 1));
    assert_true(quarantine_holds(t->s, 2));
    assert_true(quarantine_holds(t->s, QUARANTINE_ROWS + 1));
    still_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_input_is_refused_for_its_time),
        cmocka_unit_test(the_oldest_is_forgotten_when_there_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
