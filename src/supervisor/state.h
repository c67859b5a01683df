/* state.h — the pool itself, as the rooms of this folder share it. Nobody outside includes it. */
#ifndef SUPERVISOR_STATE_H
#define SUPERVISOR_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/timer.h"
#include "supervisor/child.h"
#include "supervisor/explain.h"
#include "supervisor/forecast.h"
#include "supervisor/inspect.h"
#include "supervisor/job.h"
#include "supervisor/learned.h"
#include "supervisor/ledger.h"
#include "supervisor/model.h"
#include "supervisor/prepare.h"
#include "supervisor/pressure.h"
#include "supervisor/queue.h"
#include "supervisor/registry.h"
#include "supervisor/stats.h"
#include "supervisor/supervisor.h"
#include "wire/message.h"

struct quarantine_row {
    uint64_t hash;
    int64_t until_ms;
};
#define QUARANTINE_ROWS 1024

struct supervisor {
    struct supervisor_options options;
    const struct world *world;
    int64_t now_ms;
    struct link models;
    struct map by_name, children, jobs, requests;
    struct link dirty_models, dirty_children, ended, claims;
    struct link busy; /* children with jobs, by id */
    uint32_t busy_count;
    struct map mergeable; /* jobs that equal requests may join, by their hash */
    /* Models, by program; those that requests wait for are inspected first. */
    struct link to_inspect[WORKER_PROGRAM_COUNT], waited_for[WORKER_PROGRAM_COUNT];
    struct timer_heap request_timers, child_timers, model_timers;
    struct timer memory_timer; /* in model_timers */
    struct inspector inspectors[WORKER_PROGRAM_COUNT];
    struct preparer preparers[WORKER_PROGRAM_COUNT];
    struct quarantine_row quarantine[QUARANTINE_ROWS];
    size_t quarantine_next;
    int64_t quarantine_until_ms; /* of the last row to go */
    uint64_t budget_bytes, leased_bytes;
    uint64_t withheld_bytes; /* of the budget, by the pressure at the last reading */
    enum pressure pressure_told;
    bool thrashing; /* a worker reads its weights from disk all the time */
    struct learned_table learned;
    struct memory_facts facts;
    size_t jobs_waiting;
    uint64_t bytes_waiting;
    uint32_t last_child;
    uint32_t last_model;
    uint64_t last_id;
    bool dirty, claims_dirty, shares_dirty, draining;
    int64_t drain_until_ms;
    bool drain_over;          /* it was reached, and every model knows */
    size_t turns_since_check; /* of the whole state, in checked builds */
    struct supervisor_totals totals;
    struct pool_stats stats;
    uint64_t jitter;
};

void event_emit(struct supervisor *s, const struct pool_event *event);
void model_touch(struct supervisor *s, struct model *m); /* look at it in this turn */
void child_touch(struct supervisor *s, struct child *c);

/* Everything that is known of a model whether it is loaded or not, as one object: what inspection
 * found, its plan in bytes, its settings. */
void status_describe(const struct model *m, struct jsonw *out);

/* The steps of the turn, for one model or for all. place.c: */
void turn_place(struct supervisor *s, struct model *m);
void child_remember(struct child *c, uint64_t affinity);
bool child_takes_jobs(const struct child *c); /* now, if it has a free slot */
bool child_runs_alone(const struct child *c); /* a job that shares its worker with no other */
/* share.c: */
void turn_share(struct supervisor *s);
void share_join(struct supervisor *s, struct child *c);  /* it has a job now */
void share_leave(struct supervisor *s, struct child *c); /* it has none any more */
/* admit.c: */
void turn_want(struct supervisor *s, struct model *m);
void turn_admit(struct supervisor *s);
/* What turn_admit would decide on one more worker of `m`; `*claim` is what it would be granted. The
 * victims are in `view`, which is the caller's to finish. */
struct judgement admit_foresee(const struct supervisor *s, const struct model *m,
                               struct pool_view *view, struct claim *claim);
/* pressure.c: */
void turn_press(struct supervisor *s);
/* evict.c: the victims of a judgement on the view leave. */
void evict_victims(struct supervisor *s, const struct pool_view *view, const struct judgement *j,
                   enum eviction why, const char *for_whom);
/* retire.c: */
void turn_trim(struct supervisor *s, struct model *m); /* before new jobs are placed */
void turn_retire(struct supervisor *s, struct model *m);

#endif
