/* process.h — one fake process: what world_sim.c, process.c and work.c share.
 *
 *   spawn ──► hello, plan ──► LOAD ──► loaded ──► RUN … END ──► bye, signal ──► dead ──► reported
 *
 * A dead process is silent at once; the supervisor learns of it a little later, when it is
 * reported. */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "world_sim.h"

#define SIM_THREADS   4
#define SIM_SLOTS_MAX 8

enum stage { STAGE_STARTING, STAGE_LOADING, STAGE_FAILED, STAGE_SERVING };

struct work {
    uint64_t job; /* 0: free */
    struct sim_order order;
    bool accepted, cancelled, deaf, slow_to_cancel, parked;
    int64_t credit_events, credit_bytes;
    uint32_t sent;
};

struct process {
    uint64_t key;
    struct world_sim *world;
    enum spawn_kind kind;
    struct sim_model *model; /* NULL: an inspector */
    enum stage stage;
    bool dead, stuck;
    bool greeted; /* said hello */
    bool exit_unknown, dying_late;
    bool deaf_to_bye, deaf_to_term, grows;
    uint64_t stuck_ticks;
    uint64_t question; /* an inspector's */
    uint32_t slots, works_count;
    uint64_t context_bytes; /* what it was told to use, from the load on */
    struct work works[SIM_SLOTS_MAX];
};

/* process.c */
struct process *process_find(struct world_sim *w, uint64_t id);
void process_start(struct process *p);
void process_on_load(struct process *p, const struct frame *f);
void process_on_inspect(struct process *p, const struct frame *f);
void process_on_ping(struct process *p, const struct frame *f);
void process_on_bye(struct process *p);
void process_on_signal(struct process *p, enum world_signal signal);
void process_die(struct process *p, const char *how);
void process_stick(struct process *p);
void process_emit(struct process *p, enum frame_type type, uint64_t job, const struct buffer *body);
void process_emit_garbage(struct process *p, uint64_t job);
void process_emit_illegal(struct process *p, uint64_t job);
void process_fault(struct process *p, enum sim_fault fault); /* counts it */

/* work.c */
void work_on_run(struct process *p, const struct frame *f, struct str payload);
void work_on_cancel(struct process *p, uint64_t job);
void work_on_credit(struct process *p, const struct frame *f);

#endif
