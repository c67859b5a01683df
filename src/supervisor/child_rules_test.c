#include "supervisor/child_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NO (-1)

/* The table of contracts.md 3, written a second time: columns as in CHILD_EVENTS. */
static const int expected[CHILD_STATE_COUNT][CHILD_EVENT_COUNT] = {
  /*               PLANNED  PLAN_F  LOADED  LOAD_F  JOB         DRAINED QUIET RETIRE    LOST      EXITED */
    [SPAWNING] = {LOADING, FAILED, NO,    NO,     NO,         NO,    NO,   EVICTING, FAILED,   FAILED},
    [LOADING] = { NO,     NO,     READY, FAILED, NO,         NO,    NO,   EVICTING, FAILED,   FAILED},
    [READY] = { NO,     NO,     NO,    NO,     PROCESSING, NO,    IDLE, EVICTING, EVICTING, DEAD  },
    [PROCESSING] = { NO,     NO,     NO,    NO,     NO,         READY, NO,   EVICTING, EVICTING, DEAD  },
    [IDLE] = { NO,     NO,     NO,    NO,     PROCESSING, NO,    NO,   EVICTING, EVICTING, DEAD  },
    [EVICTING] = { NO,     NO,     NO,    NO,     NO,         NO,    NO,   NO,       NO,       DEAD  },
    [DEAD] = { NO,     NO,     NO,    NO,     NO,         NO,    NO,   NO,       NO,       NO    },
    [FAILED] = { NO,     NO,     NO,    NO,     NO,         NO,    NO,   NO,       NO,       DEAD  },
};

static void the_table_is_that_of_the_contract(void **state)
{
    (void)state;
    for (unsigned from = 0; from < CHILD_STATE_COUNT; from++)
        for (unsigned event = 0; event < CHILD_EVENT_COUNT; event++) {
            enum child_state to = SPAWNING;
            const bool legal = child_rule((enum child_state)from, (enum child_event)event, &to);
            assert_int_equal(legal ? (int)to : NO, expected[from][event]);
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
