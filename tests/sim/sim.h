/* sim.h — one simulated pool: the supervisor, its fake world, its callers, and what was counted.
 *
 * callers.c plays those who submit and watches what they get; pool.c runs the time and watches the
 * pool as a whole; phases.c leads it from the storm to the calm and the drain; main.c counts. */
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

/* One request. It outlives its end, so that a callback that comes too late is seen. */
struct caller {
    uint64_t id; /* 0 until the submit has returned */
    struct sim *sim;
    struct sim_order order;
    const struct sim_model *model;
    bool own_credit, stalls, ended;
    uint32_t outputs; /* received */
    int64_t deadline_at_ms;
    enum weir_code code; /* once ended */
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
    uint64_t turns, refused, accepted;
    uint64_t codes[WEIR_CODE_COUNT], refusals[WEIR_CODE_COUNT];
    bool registered[16], spoilt[16]; /* spoilt: its inspection went wrong */
    struct log log;
};

/* callers.c */
struct caller *caller_submit(struct sim *s, struct sim_model *m, enum sim_order_kind kind,
                             int64_t deadline_ms, struct weir_error *err);
void callers_arrive(void *context, uint64_t id, uint64_t detail); /* an event that renews itself */
void callers_finish(struct sim *s);

/* pool.c */
void sim_open(struct sim *s, uint64_t seed, bool trace);
void sim_close(struct sim *s);
void sim_turn(struct sim *s);
void sim_advance(struct sim *s); /* the next event or turn */
void sim_register(struct sim *s, size_t model);
void sim_unregister(struct sim *s, size_t model);

/* phases.c */
void phase_storm(struct sim *s, uint64_t events);
void phase_calm(struct sim *s);
void phase_drain(struct sim *s);

#endif
