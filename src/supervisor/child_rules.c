#include "supervisor/child_rules.h"

#include "base/check.h"

struct trait {
    const char *name;
    bool takes_jobs, may_be_victim, is_living;
};

static const struct trait traits[CHILD_STATE_COUNT] = {
#define X(NAME, name, jobs, victim, living) [NAME] = { name, jobs, victim, living },
    CHILD_STATES(X)
#undef X
};

static const char *const event_names[CHILD_EVENT_COUNT] = {
#define X(NAME, name) [NAME] = name,
    CHILD_EVENTS(X)
#undef X
};

/* 0 is a hole; GO keeps state 0 (Spawning) apart from it. */
#define GO(state) ((state) + 1)

static const uint8_t rules[CHILD_STATE_COUNT][CHILD_EVENT_COUNT] = {
    [SPAWNING] = {[PLANNED] = GO(LOADING),
                  [PLAN_FAILED] = GO(FAILED),
                  [RETIRE] = GO(EVICTING),
                  [LOST] = GO(FAILED),
                  [EXITED] = GO(FAILED) },
    [LOADING] = { [LOADED] = GO(READY),
                  [LOAD_FAILED] = GO(FAILED),
                  [RETIRE] = GO(EVICTING),
                  [LOST] = GO(FAILED),
                  [EXITED] = GO(FAILED) },
    [READY] = { [JOB] = GO(PROCESSING),
                  [QUIET] = GO(IDLE),
                  [RETIRE] = GO(EVICTING),
                  [LOST] = GO(EVICTING),
                  [EXITED] = GO(DEAD) },
    [PROCESSING] = { [DRAINED] = GO(READY),
                  [RETIRE] = GO(EVICTING),
                  [LOST] = GO(EVICTING),
                  [EXITED] = GO(DEAD) },
    [IDLE] = { [JOB] = GO(PROCESSING),
                  [RETIRE] = GO(EVICTING),
                  [LOST] = GO(EVICTING),
                  [EXITED] = GO(DEAD) },
    [EVICTING] = { [EXITED] = GO(DEAD)  },
    [FAILED] = { [EXITED] = GO(DEAD)},
};

const char *child_state_name(enum child_state state)
{
    return traits[state].name;
}

const char *child_event_name(enum child_event event)
{
    return event_names[event];
}

bool child_state_takes_jobs(enum child_state state)
{
    return traits[state].takes_jobs;
}

bool child_state_may_be_victim(enum child_state state)
{
    return traits[state].may_be_victim;
}

bool child_state_is_living(enum child_state state)
{
    return traits[state].is_living;
}

bool child_state_holds_memory(enum child_state state)
{
    return state != DEAD;
}

bool child_rule(enum child_state from, enum child_event event, enum child_state *to)
{
    CHECK(from < CHILD_STATE_COUNT && event < CHILD_EVENT_COUNT);
    uint8_t go = rules[from][event];
    if (go == 0)
        return false;
    *to = (enum child_state)(go - 1);
    return true;
}
