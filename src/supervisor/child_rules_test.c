#include "supervisor/child_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The table of contracts.md 3, written a second time: a letter an event, in the order of
 * CHILD_EVENTS, for the state that it leads to; a dot where it is not legal. */
static const char letters[] = "SLRPIEDF";
static const char *const expected[CHILD_STATE_COUNT] = {
    [SPAWNING] = "LF.....EFF",   [LOADING] = "..RF...EFF", [READY] = "....P.IEED",
    [PROCESSING] = ".....R.EED", [IDLE] = "....P..EED",    [EVICTING] = ".........D",
    [DEAD] = "..........",       [FAILED] = ".........D",
};

static void the_table_is_that_of_the_contract(void **state)
{
    (void)state;
    for (unsigned from = 0; from < CHILD_STATE_COUNT; from++) {
        assert_int_equal(strlen(expected[from]), CHILD_EVENT_COUNT);
        for (unsigned event = 0; event < CHILD_EVENT_COUNT; event++) {
            enum child_state to = SPAWNING;
            const bool legal = child_rule((enum child_state)from, (enum child_event)event, &to);
            assert_int_equal(legal ? letters[to] : '.', expected[from][event]);
        }
    }
}

static void numbers_and_names_are_those_of_the_specification(void **state)
{
    (void)state;
    static const char *const names[] = { "Spawning", "Loading",  "Ready", "Processing",
                                         "Idle",     "Evicting", "Dead",  "Failed" };
    assert_int_equal(CHILD_STATE_COUNT, 8);
    for (unsigned i = 0; i < CHILD_STATE_COUNT; i++)
        assert_string_equal(child_state_name((enum child_state)i), names[i]);
    for (unsigned i = 0; i < CHILD_EVENT_COUNT; i++)
        assert_true(strlen(child_event_name((enum child_event)i)) > 0);
}

static void traits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CHILD_STATE_COUNT; i++) {
        const enum child_state s = (enum child_state)i;
        assert_int_equal(child_state_takes_jobs(s), s == READY || s == PROCESSING || s == IDLE);
        assert_int_equal(child_state_may_be_victim(s), s == READY || s == IDLE);
        assert_int_equal(child_state_holds_memory(s), s != DEAD);
        assert_int_equal(child_state_is_living(s), s != EVICTING && s != DEAD && s != FAILED);
    }
}

/* Whatever happens, only a reaped exit leads to Dead, and from everywhere an exit does. */
static void only_the_exit_makes_dead(void **state)
{
    (void)state;
    for (unsigned from = 0; from < CHILD_STATE_COUNT; from++) {
        enum child_state to = SPAWNING;
        for (unsigned event = 0; event < CHILD_EVENT_COUNT; event++)
            if (child_rule((enum child_state)from, (enum child_event)event, &to) && to == DEAD)
                assert_int_equal(event, EXITED);
        if (from == DEAD)
            continue;
        assert_true(child_rule((enum child_state)from, EXITED, &to));
        if (to == FAILED) /* in one settle step */
            assert_true(child_rule(to, EXITED, &to));
        assert_int_equal(to, DEAD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_that_of_the_contract),
        cmocka_unit_test(numbers_and_names_are_those_of_the_specification),
        cmocka_unit_test(traits),
        cmocka_unit_test(only_the_exit_makes_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
