/* supervisor.h — the pool: models, their waiting jobs, their worker processes, one ledger.
 *
 * Callbacks record facts; supervisor_turn, run once per loop turn, makes every decision. It does no
 * I/O, reads no clock and takes no lock: what it needs from outside is world.h, time is what the
 * caller passes. It knows nothing of texts, tensors or pixels: payloads are bytes.
 *
 * Requests are callers, jobs are work (contracts.md 1). Every accepted request gets exactly one
 * on_end, from within supervisor_turn, and nothing after it. */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "base/jsonw.h"
#include "supervisor/child_rules.h"
#include "supervisor/settings.h"
#include "supervisor/world.h"
#include "wire/frame.h"

#include "weir/error.h"

#include <stdbool.h>
#include <stdint.h>

struct supervisor;

struct supervisor *supervisor_create(const struct supervisor_options *options,
                                     const struct world *world, int64_t now_ms);
/* Every child must have exited. Requests still there get no callback. */
void supervisor_destroy(struct supervisor *s);

enum weir_code supervisor_register(struct supervisor *s, const struct model_settings *m,
                                   struct weir_error *err);
enum weir_code supervisor_unregister(struct supervisor *s, const char *name,
                                     struct weir_error *err);
enum weir_code supervisor_unload(struct supervisor *s, const char *name, struct weir_error *err);
enum weir_code supervisor_pin(struct supervisor *s, const char *name, bool pin,
                              struct weir_error *err);
/* The model's setting `truncate`, which the caller puts into requests that do not say; the pool
 * never looks into a payload. */
bool supervisor_truncates(struct supervisor *s, const char *name);
/* Another budget from now on; what is too much leaves as far as it may. 0 and 0: the default. */
void supervisor_configure(struct supervisor *s, uint64_t memory_bytes, uint32_t memory_percent);
/* Before the first turn: a figure of an earlier life. */
void supervisor_learn(struct supervisor *s, const struct learned *row);

/* The request's id, or 0 and err: then no callback comes and the payload is still the caller's. */
uint64_t supervisor_submit(struct supervisor *s, const struct submission *r,
                           struct weir_error *err);
bool supervisor_cancel(struct supervisor *s, uint64_t request);
bool supervisor_credit(struct supervisor *s, uint64_t request, uint32_t events, uint64_t bytes);

/* Refuses new requests; those accepted may go on for limit_ms, then end with SHUTTING_DOWN; workers
 * leave as they run out of work. Calling it again can only shorten the limit. */
void supervisor_drain(struct supervisor *s, int64_t limit_ms);
bool supervisor_drained(const struct supervisor *s); /* no request, no child, no end undelivered */

/* Time goes on between turns: what is submitted or heard now happens now. Never runs backwards. */
void supervisor_clock(struct supervisor *s, int64_t now_ms);

/* Facts. An id that is not known (any more) is ignored. */
void supervisor_on_frame(struct supervisor *s, uint32_t child, const struct frame *f);
void supervisor_on_lost(struct supervisor *s, uint32_t child, const char *reason);
/* The process is gone: `status` says how, in words ("exit status 1", "signal 9", "status unknown"),
 * `last_words` is the end of its stderr, or NULL. */
void supervisor_on_exit(struct supervisor *s, uint32_t child, const char *status,
                        const char *last_words);

/* Makes every decision that is due, delivers ends, and returns when it wants to run next: a time,
 * now_ms itself when something is left to do, or INT64_MAX. */
int64_t supervisor_turn(struct supervisor *s, int64_t now_ms);
bool supervisor_is_dirty(const struct supervisor *s); /* a fact was recorded since the last turn */

/* The object of GET /weir/v1/status, and {"models":[…]} with what inspection found: of all that
 * have a name, or of the one that `name` names, if any. */
void supervisor_status(struct supervisor *s, struct jsonw *out);
void supervisor_models(struct supervisor *s, const char *name, struct jsonw *out);
const char *supervisor_priority_name(unsigned priority); /* "normal"; "unknown" out of range */
/* {"models":N,"inspected":N,"first":the name of one that is not, or null}. */
void supervisor_inspection(const struct supervisor *s, struct jsonw *out);
/* {"models":N,"inspected":N,"able":how many have the capability,"name":one that has it, else the
 * first there is, or null}. */
void supervisor_able(const struct supervisor *s, unsigned capability, struct jsonw *out);
/* The memory that there is, the budget and where it came from, and the build. */
void supervisor_machine(struct supervisor *s, struct jsonw *out);
/* What a load of the model would do now, and why: changes nothing. */
enum weir_code supervisor_plan(struct supervisor *s, const char *name, struct jsonw *out,
                               struct weir_error *err);
/* Where a request stands; false when there is none of that id (any more). */
bool supervisor_request(struct supervisor *s, uint64_t request, struct jsonw *out);
/* {"metrics":[{"name","type","help","samples":[{"labels":{…},"value":N} or, for a histogram,
 * {"labels":{…},"buckets":[[le,count],…],"sum":N,"count":N}]}]}; counts of buckets are cumulative,
 * the last le is null and stands for infinity. */
void supervisor_metrics(struct supervisor *s, struct jsonw *out);

/* Every invariant of the whole state; aborts on the first that does not hold. */
void supervisor_check(const struct supervisor *s);

struct supervisor_totals {
    uint64_t accepted, succeeded, failed; /* requests; accepted = the others + those not ended */
    uint64_t requests, queued_jobs, running_jobs;
    uint64_t leased_bytes, budget_bytes;
    uint64_t children;    /* not reaped */
    uint64_t decisions;   /* orders to the world, transitions and ends, ever */
    uint64_t verdicts[4]; /* by enum verdict, ever */
    uint64_t rules[CHILD_STATE_COUNT][CHILD_EVENT_COUNT]; /* transitions, ever */
};
void supervisor_totals(const struct supervisor *s, struct supervisor_totals *out);

#endif
