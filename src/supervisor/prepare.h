/* prepare.h — packed weights made once for all workers of a model, before the first one starts.
 *
 *     none ──cold start──► running ──prepared──► ready ──grant──► shared ──last worker left──► none
 *                             │
 *                             └──failed, or no memory for it──► failed ──after a while──► none
 *
 * A process of its own packs the weights into a file of the cache, or finds that file there; the
 * workers map it. One such preparer runs at a time for each program, in the order in which models
 * come to their first worker; the jobs wait. It leases memory like a worker, and what is not free
 * for it is not made free: a model that could not be prepared runs all the same, and each of its
 * workers packs its weights for itself. */
#ifndef SUPERVISOR_PREPARE_H
#define SUPERVISOR_PREPARE_H

#include "supervisor/helper.h"
#include "supervisor/ledger.h"
#include "supervisor/supervisor.h"

struct model;

#define PREPARE_BYTES ((uint64_t)64 << 20) /* leased by a preparer, which works in bands */

#define PREPARATIONS(X)                                                                            \
    X(NONE, "none")                                                                                \
    X(RUNNING, "running")                                                                          \
    X(READY, "ready")   /* and no worker was granted since */                                      \
    X(SHARED, "shared") /* by the workers that live; a cold start asks again */                    \
    X(FAILED, "failed") /* not asked for again before prepare_again_ms */
enum preparation {
#define X(NAME, name) PREPARATION_##NAME,
    PREPARATIONS(X)
#undef X
};
const char *preparation_name(enum preparation p);

struct preparer {
    struct helper helper;
    struct model *model; /* that waits for it; NULL: none does (any more) */
    struct lease lease;
    uint64_t ticks;
    int64_t since_ms; /* since when that model is prepared */
    bool wanted;      /* another model waits for its turn */
};

/* Will the model's next worker share packed weights, as far as can be said now? */
bool prepare_shares(const struct supervisor *s, const struct model *m);
/* The model is to get its first worker and has to be prepared before. */
bool prepare_is_due(const struct supervisor *s, const struct model *m);
/* True: the preparation is under way, or waits for its turn. False: there will be none now. */
bool prepare_start(struct supervisor *s, struct model *m, const struct pool_view *view);
void prepare_granted(struct model *m, bool shares); /* a worker starts */

void prepare_turn(struct supervisor *s);
void prepare_on_frame(struct supervisor *s, uint32_t id, const struct frame *f);
void prepare_on_gone(struct supervisor *s, uint32_t id, bool exited, const char *what);
void prepare_stop(struct supervisor *s, struct model *m, const char *why); /* if it is under way */
uint64_t prepare_leased_bytes(const struct supervisor *s);
int64_t prepare_wake(const struct supervisor *s);

#endif
