/* governor.h — the memory ledger's judge.
 *
 * Answers one question: may this worker be started now, and if not, who should leave first? It is
 * arithmetic over values: processes, files and the clock stay with the caller, so that every
 * verdict can be tested with a struct literal. A judgement costs n log n of the residents. */
#ifndef SUPERVISOR_GOVERNOR_H
#define SUPERVISOR_GOVERNOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kept free for everybody else, and below which no budget may reach under the machine's memory. */
#define GOVERNOR_RESERVE_BYTES ((uint64_t)256 << 20)

struct ledger {
    uint64_t budget_bytes;
    uint64_t withheld_bytes;  /* of the budget, while pressure is critical */
    uint64_t leased_bytes;    /* by every child that was not reaped, leaving ones too */
    uint64_t leaving_bytes;   /* of these, what comes back when the leaving ones are reaped */
    uint64_t pinned_bytes;    /* of these, what may never be evicted */
    uint64_t held_bytes;      /* what claims before this one are to get, in their turn */
    uint64_t available_bytes; /* A, as read now */
    /* Leased and still counted in A: the context of those that load, which A will fall by, and all
     * weights, which are file cache to the kernel even while they are used. */
    uint64_t untouched_bytes;
};

struct claim {
    uint64_t weights_bytes; /* 0 when the model already holds its weights lease */
    uint64_t context_bytes;
    uint32_t model;          /* its own workers do not leave for it; 0: no model's */
    uint32_t slots, context; /* what the bytes pay for: jobs together, and tokens (0: its limit) */
};

struct resident {
    uint32_t id;
    uint32_t model;         /* the same number for workers that share weights */
    uint64_t weights_bytes; /* of the model, freed with its last worker */
    uint64_t context_bytes;
    int64_t last_used_ms;
    uint32_t model_holders; /* children of the model that hold the weights lease, in any state */
    bool may_leave;         /* Ready or Idle, without a job, not pinned, stayed long enough */
};

#define VERDICTS(X) X(GRANT, "grant") X(WAIT, "wait") X(EVICT, "evict") X(NEVER, "never")
enum verdict {
#define X(NAME, name) VERDICT_##NAME,
    VERDICTS(X)
#undef X
        VERDICT_COUNT
};

/* What a claim waits for, as the end of "has to wait for …". */
#define WAITS(X)                                                                                   \
    X(NOTHING, "nothing")                                                                          \
    X(TURN, "those before it")                                                                     \
    X(LEAVING, "workers that are leaving")                                                         \
    X(BUSY, "workers that may not leave yet")                                                      \
    X(OTHERS, "memory that other programs use")
enum waits {
#define X(NAME, text) WAITS_##NAME,
    WAITS(X)
#undef X
};

const char *verdict_name(enum verdict v);
const char *waits_text(enum waits w);

struct judgement {
    enum verdict verdict;
    enum waits waits; /* WAIT: for what */
    uint64_t need_bytes;
    uint64_t freed_bytes; /* EVICT: what the victims give back together */
    size_t victims_count; /* EVICT: at the front of `victims` */
};

/* True when no departure of those that may ever leave could make room for the claim. */
bool judge_never(const struct ledger *ledger, const struct claim *claim);

/* `victims` has room for `count` indexes into `residents`. EVICT names a set that suffices and of
 * which no member can be left out; surplus replicas before last workers, least recently used first.
 */
struct judgement judge(const struct ledger *ledger, const struct claim *claim,
                       const struct resident *residents, size_t count, size_t *victims);

/* More is leased than may be: who leaves, chosen as for a claim of what is too much. GRANT: it is
 * not so, WAIT: nobody (more) may leave. Here a set that does not suffice is better than none:
 * what it gives back is memory that the machine is short of now, not a promise to a claim. */
struct judgement judge_surplus(const struct ledger *ledger, const struct resident *residents,
                               size_t count, size_t *victims);

/* The budget of a machine with `total_bytes`: max(80 % - 2 GiB, 50 %), never above total less the
 * reserve; the same ceiling for a budget that was asked for. */
uint64_t governor_budget(uint64_t total_bytes, uint64_t asked_bytes, uint32_t asked_percent);

#define PRESSURES(X) X(LOW, "Low") X(NORMAL, "Normal") X(HIGH, "High") X(CRITICAL, "Critical")
enum pressure {
#define X(NAME, name) PRESSURE_##NAME,
    PRESSURES(X)
#undef X
};

/* What critical pressure withholds of the budget: it falls to what is leased now less
 * (p - 0.85) T. */
uint64_t governor_withheld(uint64_t total_bytes, uint64_t available_bytes, uint64_t leased_bytes,
                           uint64_t budget_bytes);

/* p = 1 - A/T: Low < 0.5 <= Normal < 0.7 <= High < 0.85 <= Critical. */
enum pressure governor_pressure(uint64_t total_bytes, uint64_t available_bytes);
const char *pressure_name(enum pressure p);

#endif
