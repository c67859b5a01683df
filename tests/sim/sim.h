/* sim.h — one simulated pool: the supervisor, its fake world, its callers, and what was counted.
 *
 * callers.c plays those who submit, answers.c watches what they get; registry.c and operator.c do
 * what an operator does; watch.c watches the pool as a whole; pool.c runs the time; phases.c leads
 * it from the storm to the calm and the drain; report.c counts. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "events.h"
#include "world_sim.h"

#include "supervisor/governor.h"
#include "supervisor/supervisor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_DEADLINE_MAX_MS 110000
#define SIM_JUMP_MAX_MS     20000
#define SIM_POISONS         5
/* The pool believes no figures of a sanitizer's. */
#ifdef WEIR_SANITIZED
#define SIM_LEARNS false
#else
#define SIM_LEARNS true
#endif
#define SIM_PRIORITIES 5
#define SIM_CLIENTS    6 /* 0 does not say its name */
#define SIM_MODELS_MAX 16
#define SIM_QUIET_MS   7000 /* a model's idle_ms */
#define SIM_LABEL_MS   2000

/* One request. It outlives its end by many others, and is then used for another request under
 * another id, never freed: so a callback that comes too late, however late, is seen. */
struct caller {
    uint64_t id; /* 0 until the submit has returned */
    struct sim *sim;
    struct sim_order order;
    struct sim_entry *entry;
    struct link link; /* entry->waiting until a worker has it, sim->ended once it ended */
    uint32_t slot;    /* in sim->callers */
    uint32_t client;
    uint8_t priority;
    bool own_credit, stalls, mergeable, loads, wrong, cancelled, ended;
    uint64_t affinity;
    uint32_t outputs;             /* received */
    uint32_t runs;                /* given to a worker so often */
    uint32_t passed[SIM_CLIENTS]; /* by whom, while it was its client's next … */
    uint32_t passed_level;        /* … at this level */
    int64_t submitted_ms, deadline_at_ms, keep_alive_ms;
    enum weir_code code; /* once ended */
};

/* What a request is to be like; the rest is drawn. */
struct wish {
    size_t model;
    enum sim_order_kind kind;
    uint32_t client;
    int64_t deadline_ms, keep_alive_ms;
    bool mergeable, loads, wrong, aliased;
};

struct sim {
    struct events events;
    struct world_sim world;
    struct supervisor *supervisor;
    int64_t wake_ms;
    bool arriving;
    uint32_t turns_at_once;
    struct caller **callers;
    size_t callers_count, callers_cap, live;
    struct link ended;
    size_t ended_count;
    uint64_t last_tag, last_request;
    uint32_t last_slot;
    uint64_t turns, refused, accepted, affine_misses;
    uint64_t codes[WEIR_CODE_COUNT], refusals[WEIR_CODE_COUNT];
    uint64_t lost[CHILD_STATE_COUNT]; /* transitions for lost trust, as the pool counts them */
    uint64_t steps[CHILD_STATE_COUNT][CHILD_STATE_COUNT]; /* transitions that the pool told */
    struct sim_entry *current[SIM_MODELS_MAX]; /* registered under the model's name, or NULL */
    int64_t looked_ms, starved_since_ms;       /* watch.c */
    struct log log;
};

/* callers.c */
struct caller *caller_submit(struct sim *s, const struct wish *wish, struct weir_error *err);
void caller_draw(struct sim *s); /* a request of any kind */
void caller_cancel(struct sim *s, uint32_t slot, uint64_t id);
void callers_arrive(void *context, uint64_t id, uint64_t detail); /* an event that renews itself */
void callers_init(struct sim *s);
void callers_finish(struct sim *s);

/* answers.c */
extern const struct request_callbacks answer_callbacks;
void answer_refused(struct sim *s, const struct caller *c, const struct wish *wish,
                    const struct weir_error *err);
void answer_on_run(void *context, const struct process *p, const struct sim_order *order);

/* registry.c: the models of the pool, and what is registered of them. */
extern struct sim_model sim_models[];
size_t sim_models_count(void);
void registry_learn(struct sim *s); /* what an earlier life found out, drawn from the seed */
void registry_on_learned(void *context, const struct learned *row);
void registry_on_inspected(void *context, const struct inspected *what);
struct sim_entry *registry_add(struct sim *s, size_t model);
void registry_remove(struct sim *s, size_t model);
void registry_replace(struct sim *s, size_t model);
void registry_pin(struct sim *s, size_t model, bool pin);
void registry_unload(struct sim *s, size_t model);
void registry_on_start(struct sim *s, const struct sim_entry *e, int64_t within_ms);

/* operator.c */
void operator_act(void *context, uint64_t id, uint64_t detail); /* renews itself */
void operator_memory(void *context, uint64_t id, uint64_t detail);
void operator_configure(struct sim *s, uint64_t bytes, uint32_t percent);

/* watch.c */
void watch_on_event(void *context, const struct pool_event *event);
void watch_settled(struct sim *s); /* the pool has nothing left to decide */

/* pool.c */
void sim_open(struct sim *s, uint64_t seed, bool trace);
void sim_close(struct sim *s);
void sim_turn(struct sim *s);
void sim_advance(struct sim *s); /* the next event or turn */

/* phases.c */
void phase_storm(struct sim *s, uint64_t events);
void phase_calm(struct sim *s);
void phase_drain(struct sim *s);

/* report.c */
struct counts {
    uint64_t events, depths, turns, accepted, refused, trace;
    uint64_t codes[WEIR_CODE_COUNT], refusals[WEIR_CODE_COUNT];
    uint64_t faults[FAULT_COUNT], deeds[DEED_COUNT], verdicts[VERDICT_COUNT];
    uint64_t rules[CHILD_STATE_COUNT][CHILD_EVENT_COUNT];
};
void counts_add(struct counts *c, const struct sim *s);
bool counts_report(const struct counts *c, uint64_t least); /* did everything occur so often? */

#endif
