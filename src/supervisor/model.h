/* model.h — one entry of the registry: what is known of a model and how it fares.
 *
 * Children point at their entry, never at a name: an unregistered entry serves what it has accepted
 * and goes when its last child is buried, while a new one may already have its name. */
#ifndef SUPERVISOR_MODEL_H
#define SUPERVISOR_MODEL_H

#include "base/list.h"
#include "base/timer.h"
#include "supervisor/breaker.h"
#include "supervisor/queue.h"
#include "supervisor/supervisor.h"
#include "wire/plan.h"

enum inspection { INSPECTION_PENDING, INSPECTION_DONE, INSPECTION_FAILED };

struct model {
    struct link link; /* supervisor->models in order of registration */
    struct link dirty_link, inspect_link, claim_link;
    struct timer wake;
    uint32_t number; /* unique for ever: the generation that children refer to */
    char *name, *path;
    struct model_settings settings; /* name and path are those above */
    bool gone;                      /* unregistered: drains, then is freed */
    enum inspection inspection;
    struct plan plan;
    struct weir_error problem; /* inspection failed, or the last load did */
    struct queue queue;
    struct link children;  /* dead ones stay GRAVE_MS */
    uint32_t holders;      /* children that hold the weights lease: all that were not reaped */
    uint64_t weights_held; /* the weights lease, while there are holders */
    struct breaker breaker;
    uint64_t spawned;
    uint32_t load_attempts;
    uint32_t crashes;        /* in a row: drives the restart delay */
    bool replanned;          /* inspected anew for a larger plan, and not loaded since */
    bool load_crashed;       /* the last load ended in a crash: the next such ends the jobs */
    bool second_due;         /* cold start: one more worker once the first is READY */
    int64_t restart_at_ms;   /* not before, after a crash */
    int64_t refill_at_ms;    /* no worker without a request (min_workers) before */
    int64_t more_at_ms;      /* no +1 before, after one was refused for memory */
    int64_t load_ms;         /* measured, of the last load */
    int64_t last_used_ms;    /* end of the last job, or READY */
    int64_t last_retired_ms; /* idle step-down: one a time */
    bool waiting_told;       /* the event "wait" was sent for the claim under way */
};

struct model *model_find(struct supervisor *s, const char *name);
void model_free(struct supervisor *s, struct model *m);
uint32_t model_living(const struct model *m);
bool model_has_jobs(const struct model *m); /* waiting or running */
void model_load_failed(struct supervisor *s, struct model *m, const struct weir_error *error);
void model_crashed_loading(struct supervisor *s, struct model *m, const char *what);
void model_crashed(struct supervisor *s, struct model *m, const char *what, bool counts);
bool model_in_backoff(const struct supervisor *s, const struct model *m, struct weir_error *err);
void model_failure(struct supervisor *s, struct model *m); /* one more for the breaker */
void model_success(struct supervisor *s, struct model *m);
void model_inspect_anew(struct supervisor *s, struct model *m);
void model_fail_jobs(struct supervisor *s, struct model *m, const struct weir_error *error);
void model_wake_at(struct supervisor *s, struct model *m, int64_t at_ms); /* the earlier wins */

#endif
