/* world_sim.h — a struct world of fake processes, for the real supervisor.
 *
 * A process here is a stage, a few jobs and a temper: which of its duties it will neglect, drawn
 * when it starts from one seeded generator. It answers over supervisor_on_frame, _on_lost and
 * _on_exit, and only from events, never from inside a call of the supervisor. It is also the first
 * witness: whatever the supervisor orders is checked against what a process may be ordered to do.
 */
#ifndef SIM_WORLD_SIM_H
#define SIM_WORLD_SIM_H

#include "events.h"
#include "faults.h"

#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "supervisor/supervisor.h"
#include "supervisor/world.h"
#include "wire/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct process;

enum sim_temper { TEMPER_SOUND, TEMPER_CRASHES_ON_LOAD, TEMPER_FAILS_ON_LOAD };

#define SIM_CACHE   "/cache"
#define SIM_LEARNED 16 /* ways of loading one model that are kept */

struct sim_model {
    const char *name, *alias;
    struct plan plan;
    uint32_t number, min_workers, max_workers;
    uint32_t precision;
    uint8_t priority;
    int64_t load_ms;
    enum sim_temper temper;
    bool is_volatile; /* unregistered and registered again now and then */
    struct learned
        learned[SIM_LEARNED]; /* of each way of loading it, the most that was found out */
};

/* One registration of a model. What was accepted under it is served by processes of its own, also
 * after another entry took its name. */
struct sim_entry {
    uint32_t number; /* stands in the path of its processes */
    char path[32];
    struct sim_model *model;
    struct link link;
    uint32_t max_workers;
    bool begun_pinned, preload; /* as it was registered */
    bool registered, inspected, pinned;
    bool kept;                           /* somebody wished that it stays for ever */
    bool spoilt;                         /* its inspection went wrong */
    uint32_t processes;                  /* that map its weights */
    bool prepared;                       /* successfully, since its last first worker was started */
    bool unprepared;                     /* the pool has given up a preparation of its name */
    uint64_t packed_bytes, packed_slack; /* that its processes share, and that they may */
    uint32_t attempts;                   /* to start one */
    int64_t opened_ms;                   /* when the breaker of one of its name did */
    int64_t failed_ms;                   /* when one could not be started */
    int64_t lost_ms;                     /* when one was lost with work */
    int64_t load_ms;                     /* that the last load took */
    uint32_t requests;                   /* that have not ended */
    struct link waiting;                 /* callers whose request no worker was given yet */
    uint32_t homes[4];                   /* by affinity: the worker that served it last, 0: none */
};

/* What a request asks of the fake process: the head of its payload. */
enum sim_order_kind { ORDER_ECHO, ORDER_STREAM, ORDER_POISON, ORDER_FAILS, ORDER_INVALID };

struct sim_order {
    uint64_t tag; /* names the request: every output repeats it; equal requests share one */
    enum sim_order_kind kind;
    uint32_t entry;  /* number of the one that accepted it */
    uint32_t caller; /* its slot, or CALLER_SHARED */
    uint32_t outputs, output_bytes;
    uint32_t step_ms;
};
#define SIM_OUTPUT_HEAD 12 /* u64 tag, u32 number of the output */
#define CALLER_SHARED   UINT32_MAX

void sim_order_write(struct buffer *out, const struct sim_order *order);

/* Those who want to know what happens in the world. */
struct sim_witness {
    void *context;
    void (*on_spawn)(void *context, uint32_t id, struct sim_entry *entry);
    void (*on_load)(void *context, const struct sim_entry *entry);
    void (*on_run)(void *context, const struct process *p, const struct sim_order *order);
};

struct world_sim {
    struct world world; /* what the supervisor is given */
    struct supervisor *supervisor;
    struct events *events;
    struct rng rng;
    struct sim_model *models;
    size_t models_count;
    struct link entries;
    uint32_t last_entry;
    struct map processes;
    bool draining;
    bool faults; /* off: everything new behaves */
    uint64_t total_bytes, foreign_bytes;
    uint64_t asked_bytes; /* what the pool was configured to */
    uint32_t asked_percent;
    uint64_t needs_bytes;    /* of all processes by what the pool knows, shared weights once */
    uint64_t slack_bytes;    /* what those may need more that do not know their grant yet */
    int64_t told_ms;         /* when the pool last read how much memory is used */
    uint64_t told_available; /* and what it read then */
    uint64_t inspectors, inspections; /* that were started, that came to an end */
    uint64_t faults_count[FAULT_COUNT], deeds_count[DEED_COUNT];
    struct sim_witness witness;
};

void world_sim_init(struct world_sim *w, struct events *events, uint64_t seed);
void world_sim_finish(struct world_sim *w);

struct sim_entry *world_sim_entry(struct world_sim *w, struct str path); /* or NULL */
uint64_t sim_packed_bytes(const struct sim_model *m);                    /* in its precision */
struct sim_entry *world_sim_add_entry(struct world_sim *w, struct sim_model *m);
void world_sim_forget_entry(struct world_sim *w, struct sim_entry *e); /* if nobody needs it */

size_t world_sim_alive(const struct world_sim *w); /* processes whose exit was not reported */
/* What the processes that were not reported as gone may use by their plans, shared weights once. */
uint64_t world_sim_needs(const struct world_sim *w);
uint64_t world_sim_slack(const struct world_sim *w);
uint64_t world_sim_available(const struct world_sim *w);
uint64_t world_sim_budget(const struct world_sim *w); /* the most that it may be */
/* Draws memory anew: what other programs use and, now and then, what the machine has. */
void world_sim_draw_memory(struct world_sim *w);
void world_sim_calm_memory(struct world_sim *w);
void world_sim_sicken(struct world_sim *w); /* no process need be trusted any more */

/* One in n, when faults are on. */
bool sim_chance(struct world_sim *w, uint64_t n);
int64_t sim_between(struct world_sim *w, int64_t least, int64_t most);

/* A fact that must hold does not: says so and aborts. The seed and event are said by the handler.
 */
_Noreturn void sim_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define SIM_EXPECT(cond, ...) ((cond) ? (void)0 : sim_failed(__VA_ARGS__))

#endif
