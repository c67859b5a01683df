/* model.h — one entry of the registry: what is known of a model and how it fares.
 *
 * Children point at their entry, never at a name: an entry that lost its name serves what it has
 * accepted and goes when its last child is buried, while a new one may already have that name. */
#ifndef SUPERVISOR_MODEL_H
#define SUPERVISOR_MODEL_H

#include "base/list.h"
#include "base/timer.h"
#include "supervisor/breaker.h"
#include "supervisor/prepare.h"
#include "supervisor/queue.h"
#include "supervisor/supervisor.h"
#include "wire/plan.h"

enum inspection { INSPECTION_PENDING, INSPECTION_DONE, INSPECTION_FAILED };

struct model {
    struct link link; /* supervisor->models in order of registration */
    struct link dirty_link, inspect_link, claim_link;
    struct timer wake;
    uint32_t number; /* unique for ever: the generation that children refer to */
    char *name, *path, **aliases;
    struct model_settings settings; /* in force; its strings are those above */
    uint32_t context_asked;         /* before the plan bounded it */
    uint32_t workers_most;          /* max_workers, or more where that was lowered lately */
    bool pin_asked;                 /* by its settings; an operator may have changed it since */
    bool gone, end_told;            /* lost its name: drains, then is freed */
    const char *gone_reason;
    enum inspection inspection;
    struct plan plan;
    struct weir_error problem; /* inspection failed, or the last load did */
    struct queue queue;
    struct link children;  /* dead ones stay GRAVE_MS */
    uint32_t holders;      /* children that hold the weights lease: all that were not reaped */
    uint64_t weights_held; /* the weights lease, while there are holders */
    enum preparation preparation;
    int64_t prepared_ms, prepare_again_ms;   /* when that ended; not before, after a failure */
    uint32_t granted_slots, granted_context; /* to each of its living workers */
    struct breaker breaker;
    uint64_t spawned;
    uint64_t merged;           /* requests that joined an equal job */
    struct model_stats *stats; /* NULL: nobody ever used it */
    uint32_t load_attempts;
    uint32_t crashes;        /* in a row: drives the restart delay */
    bool replanned;          /* inspected anew for a larger plan, and not loaded since */
    bool load_crashed;       /* the last load ended in a crash: the next such ends the jobs */
    bool second_due;         /* cold start: one more worker once the first is READY */
    bool preload_due;        /* one worker without a request, if memory is free for it */
    bool hurried;            /* inspected before those that nobody waits for */
    bool unload_told;        /* the event "unloaded" is owed … */
    uint32_t unloading;      /* … once so many children are reaped */
    int64_t keep_alive_ms;   /* of the request that ended last; 0: settings.idle_ms */
    int64_t restart_at_ms;   /* not before, after a crash */
    int64_t refill_at_ms;    /* no worker without a request (min_workers) before */
    int64_t more_at_ms;      /* no +1 before, after one was refused for memory */
    int64_t load_ms;         /* measured, of the last load */
    double service_ms;       /* a moving average of how long its jobs run */
    bool jobs_timed;         /* at least one of them was measured */
    int64_t last_used_ms;    /* end of the last request, or READY */
    int64_t last_retired_ms; /* idle step-down: one a time */
    int64_t claim_ms;        /* since when it is in the queue for memory */
    bool waiting_told;       /* the event "wait" was sent for the claim under way */
};

uint32_t model_living(const struct model *m);
uint64_t model_packed_bytes(const struct model *m); /* in the precision of its settings */
/* Once it was inspected; false with WEIR_INVALID. */
bool model_can(const struct model *m, enum weir_capability capability, struct weir_error *err);
uint32_t model_least(const struct model *m); /* workers that stay, however long nobody asks */
int64_t model_idle_ms(
    const struct model *m); /* quiet time for a worker to leave; INT64_MAX: none */
/* A request with that keep-alive ended: it says how long the workers stay from now on. */
void model_keep_alive(struct supervisor *s, struct model *m, int64_t keep_alive_ms, bool succeeded);
/* No memory is free for its first worker, and nobody waits for it. */
void model_skip_preload(struct supervisor *s, struct model *m);
bool model_has_jobs(const struct model *m); /* waiting or running */
void model_load_failed(struct supervisor *s, struct model *m, const struct weir_error *error);
void model_crashed_loading(struct supervisor *s, struct model *m, const char *what);
/* What was prepared for it was gone when a worker came to map it. */
void model_lost_preparation(struct supervisor *s, struct model *m, const struct weir_error *error);
void model_crashed(struct supervisor *s, struct model *m, const char *what, bool counts);
bool model_in_backoff(const struct supervisor *s, const struct model *m, struct weir_error *err);
void model_failure(struct supervisor *s, struct model *m); /* one more for the breaker */
/* It failed on a request, which says how. */
void model_failed_on(struct supervisor *s, struct model *m, const struct weir_error *error);
void model_success(struct supervisor *s, struct model *m);
void model_inspect_anew(struct supervisor *s, struct model *m);
void model_fail_jobs(struct supervisor *s, struct model *m, const struct weir_error *error);
void model_wake_at(struct supervisor *s, struct model *m, int64_t at_ms); /* the earlier wins */

#endif
