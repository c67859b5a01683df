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
#include "base/log.h"
#include "base/str.h"
#include "supervisor/child_rules.h"
#include "supervisor/limits.h"
#include "supervisor/world.h"
#include "wire/frame.h"
#include "wire/plan.h"

#include "weir/capability.h"
#include "weir/error.h"

#include <stdbool.h>
#include <stdint.h>

struct supervisor;

/* One transition or decision. Texts are borrowed for the call; NULL where there is none. */
struct pool_event {
    const char *kind; /* "state", "registered", "inspected", "grant", "wait", "evict", "never", … */
    const char *model;
    uint32_t worker; /* 0: none */
    const char *from, *to;
    const char *reason;
};

struct supervisor_options {
    struct limits limits;
    uint64_t memory_bytes; /* asked budget, 0: derived */
    uint32_t memory_percent;
    uint32_t threads; /* of all workers together, at least 1 */
    const struct log *log;
    void (*on_event)(void *context, const struct pool_event *event);
    void *event_context;
};

/* Strings are copied. Times and counts are as given: the caller fills in defaults. */
struct model_settings {
    const char *name;
    const char *path;
    enum worker_program program;
    uint32_t max_workers; /* at least 1 */
    uint32_t min_workers; /* kept loaded; at most max_workers */
    int64_t idle_ms, idle_label_ms;
    uint32_t slots;   /* 0: the plan's */
    uint32_t context; /* 0: the model's own limit */
};

struct request_callbacks {
    void (*on_output)(void *context, uint64_t id, struct str payload);
    void (*on_progress)(void *context, uint64_t id, uint32_t step, uint32_t steps);
    void (*on_end)(void *context, uint64_t id, const struct weir_error *error,
                   uint64_t input_tokens, uint64_t output_tokens, int64_t queued_ms,
                   int64_t total_ms);
};

/* `payload` is given: allocated by base/mem.h, and the supervisor's from a successful submit on. */
struct submission {
    const char *model;
    enum weir_capability capability;
    enum weir_operation operation;
    uint8_t priority;    /* 0 critical … 4 batch */
    bool own_credit;     /* the caller returns credit itself */
    int64_t deadline_ms; /* from now, 0: the limit */
    uint64_t affinity;
    uint8_t *payload;
    size_t payload_bytes;
    const struct request_callbacks *callbacks;
    void *context;
};

struct supervisor *supervisor_create(const struct supervisor_options *options,
                                     const struct world *world, int64_t now_ms);
/* Every child must have exited. Requests still there get no callback. */
void supervisor_destroy(struct supervisor *s);

enum weir_code supervisor_register(struct supervisor *s, const struct model_settings *m,
                                   struct weir_error *err);
enum weir_code supervisor_unregister(struct supervisor *s, const char *name,
                                     struct weir_error *err);
enum weir_code supervisor_unload(struct supervisor *s, const char *name, struct weir_error *err);

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

/* The object of GET /weir/v1/status, and {"models":[…]} with what inspection found. */
void supervisor_status(struct supervisor *s, struct jsonw *out);
void supervisor_models(struct supervisor *s, struct jsonw *out);

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
