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

#include "base/map.h"
#include "base/rand.h"
#include "supervisor/supervisor.h"
#include "supervisor/world.h"
#include "wire/plan.h"

#include <stdbool.h>
#include <stdint.h>

/* What goes wrong. Each is counted where it shows, not where it is drawn. */
#define SIM_FAULTS(X)                                                                              \
    X(SPAWN_FAILS, "spawn fails")                                                                  \
    X(SPAWN_CRASHES, "crash while spawning")                                                       \
    X(SPAWN_HANGS, "hang while spawning")                                                          \
    X(OTHER_BUILD, "hello of another build")                                                       \
    X(PLAN_LARGER, "plan larger than inspected")                                                   \
    X(PLAN_FAILS, "failed before the plan")                                                        \
    X(LOAD_FAILS, "stated load failure")                                                           \
    X(LOAD_CRASHES, "crash while loading")                                                         \
    X(LOAD_HANGS, "hang while loading")                                                            \
    X(LOAD_SLOW, "slow load")                                                                      \
    X(GARBAGE, "frame that cannot be read")                                                        \
    X(ILLEGAL, "frame that is not legal")                                                          \
    X(OVERSENT, "output without credit")                                                           \
    X(WORK_CRASHES, "crash while working")                                                         \
    X(WORK_HANGS, "hang while working")                                                            \
    X(WORK_SLOW, "slow step")                                                                      \
    X(NOT_ACCEPTED, "job not acknowledged")                                                        \
    X(POISON, "input that ends its worker")                                                        \
    X(CANCEL_LATE, "cancel honoured late")                                                         \
    X(CANCEL_IGNORED, "cancel not honoured")                                                       \
    X(QUIET_CRASHES, "crash while quiet")                                                          \
    X(PING_IGNORED, "ping unanswered")                                                             \
    X(BYE_IGNORED, "bye ignored")                                                                  \
    X(TERM_IGNORED, "SIGTERM ignored")                                                             \
    X(EXIT_LATE, "late exit after a kill")                                                         \
    X(CHANNEL_FIRST, "channel closed before the exit")                                             \
    X(FRAME_AFTER_EXIT, "frame after the exit")                                                    \
    X(STATUS_UNKNOWN, "exit status unknown")                                                       \
    X(INSPECT_CRASHES, "crash while inspecting")                                                   \
    X(INSPECT_HANGS, "hang while inspecting")                                                      \
    X(INSPECT_PROBLEM, "inspection finds a problem")                                               \
    X(INSPECT_GARBAGE, "inspection that cannot be read")                                           \
    X(MEASURED_HIGH, "process larger than its lease")                                              \
    X(MEMORY_TAKEN, "other programs take memory")                                                  \
    X(TOTAL_CHANGES, "the machine's memory changes")                                               \
    X(CLOCK_JUMPS, "clock jumps forward")

enum sim_fault {
#define X(NAME, says) FAULT_##NAME,
    SIM_FAULTS(X)
#undef X
        FAULT_COUNT
};

enum sim_temper { TEMPER_SOUND, TEMPER_CRASHES_ON_LOAD, TEMPER_FAILS_ON_LOAD };

struct sim_model {
    const char *name;
    struct plan plan;
    uint32_t min_workers, max_workers;
    int64_t load_ms;
    enum sim_temper temper;
    bool is_volatile;      /* unregistered and registered again now and then */
    uint32_t weights_held; /* processes that map its weights */
};

/* What a request asks of the fake process: the head of its payload. */
enum sim_order_kind { ORDER_ECHO, ORDER_STREAM, ORDER_POISON, ORDER_FAILS, ORDER_INVALID };

struct sim_order {
    uint64_t tag; /* names the request: every output repeats it */
    enum sim_order_kind kind;
    uint32_t outputs, output_bytes;
    uint32_t step_ms;
};
#define SIM_ORDER_BYTES 24
#define SIM_OUTPUT_HEAD 12 /* u64 tag, u32 number of the output */

void sim_order_write(struct buffer *out, const struct sim_order *order);

struct world_sim {
    struct world world; /* what the supervisor is given */
    struct supervisor *supervisor;
    struct events *events;
    struct rng rng;
    struct sim_model *models;
    size_t models_count;
    struct map processes;
    bool faults; /* off: everything new behaves */
    uint64_t total_bytes, foreign_bytes;
    uint64_t fault_counts[FAULT_COUNT];
    uint32_t slots_max;
    void (*on_start)(void *context, const struct sim_model *model, bool loading);
    void *on_start_context;
};

void world_sim_init(struct world_sim *w, struct events *events, uint64_t seed);
void world_sim_finish(struct world_sim *w);

const char *sim_fault_name(enum sim_fault fault);
size_t world_sim_alive(const struct world_sim *w); /* processes whose exit was not reported */
/* What the processes that were not reported as gone may use by their plans, shared weights once. */
uint64_t world_sim_needs(const struct world_sim *w);
void world_sim_witness(struct world_sim *w, const struct sim_model *m, const char *what);
/* Draws memory anew: what other programs use and, now and then, what the machine has. */
void world_sim_draw_memory(struct world_sim *w);
void world_sim_calm_memory(struct world_sim *w);

/* One in n, when faults are on. */
bool sim_chance(struct world_sim *w, uint64_t n);
int64_t sim_between(struct world_sim *w, int64_t least, int64_t most);

/* A fact that must hold does not: says so and aborts. The seed and event are said by the handler.
 */
_Noreturn void sim_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define SIM_EXPECT(cond, ...) ((cond) ? (void)0 : sim_failed(__VA_ARGS__))

#endif
