/* child_rules.h — the life of a worker process, as two tables.
 *
 *                PLANNED            LOADED             JOB
 *     Spawning ───────────► Loading ───────► Ready ◄────────► Processing
 *        │                     │               │ ▲  DRAINED       │
 *        │ PLAN_FAILED         │ LOAD_FAILED   │ │                │
 *        │ LOST EXITED         │ LOST EXITED   │ QUIET   JOB      │
 *        ▼                     ▼               ▼                  │
 *      Failed ◄────────────────┘              Idle ───────────────┤
 *        │                                     │                  │
 *        │ EXITED           RETIRE, LOST from any living state    │
 *        ▼                                     ▼                  │
 *       Dead ◄────────────────────────────  Evicting ◄────────────┘
 *                     EXITED
 *
 * Only the reaped exit (EXITED) makes Dead, and only then is memory given back: Evicting and Failed
 * hold theirs. Ready, Processing and Idle take jobs; only Ready and Idle may be chosen as victims,
 * while shutdown, unload and unregister retire any living state. A hole in the table is a violation
 * when a worker causes it and a bug when we do. */
#ifndef SUPERVISOR_CHILD_RULES_H
#define SUPERVISOR_CHILD_RULES_H

#include <stdbool.h>
#include <stdint.h>

/*    enum        name          takes jobs  victim  living */
/* clang-format off */
#define CHILD_STATES(X)                              \
    X(SPAWNING,   "Spawning",   false, false, true)  \
    X(LOADING,    "Loading",    false, false, true)  \
    X(READY,      "Ready",      true,  true,  true)  \
    X(PROCESSING, "Processing", true,  false, true)  \
    X(IDLE,       "Idle",       true,  true,  true)  \
    X(EVICTING,   "Evicting",   false, false, false) \
    X(DEAD,       "Dead",       false, false, false) \
    X(FAILED,     "Failed",     false, false, false)
/* clang-format on */

enum child_state {
#define X(NAME, name, jobs, victim, living) NAME,
    CHILD_STATES(X)
#undef X
        CHILD_STATE_COUNT
};

/*    enum         name           caused by */
#define CHILD_EVENTS(X)                                                                            \
    X(PLANNED, "planned")         /* frame plan, no larger than what was inspected */              \
    X(PLAN_FAILED, "plan failed") /* frame failed, or a larger plan */                             \
    X(LOADED, "loaded")           /* frame loaded */                                               \
    X(LOAD_FAILED, "load failed") /* frame failed */                                               \
    X(JOB, "job")                 /* the turn gave it its first job */                             \
    X(DRAINED, "drained")         /* its last job ended */                                         \
    X(QUIET, "quiet")             /* no job for idle_label_ms */                                   \
    X(RETIRE, "retire")           /* victim, idle, unload, unregister, shutdown */                 \
    X(LOST, "lost")               /* hang, garbage, overdue, no acknowledgement */                 \
    X(EXITED, "exited")           /* the exit status was reaped */

enum child_event {
#define X(NAME, name) NAME,
    CHILD_EVENTS(X)
#undef X
        CHILD_EVENT_COUNT
};

const char *child_state_name(enum child_state state);
const char *child_event_name(enum child_event event);

bool child_state_takes_jobs(enum child_state state);
bool child_state_may_be_victim(enum child_state state);
bool child_state_is_living(enum child_state state);    /* not on its way out */
bool child_state_holds_memory(enum child_state state); /* all but Dead */

/* Where the event leads; false (and *to untouched) when the table has a hole there. */
bool child_rule(enum child_state from, enum child_event event, enum child_state *to);

#endif
