/* process.h — one fake process: what world_sim.c, process.c, helper.c and work.c share.
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
#define SIM_BARE      (UINT64_C(20) << 20) /* a process that has done nothing yet */
#define SIM_UNCHARGED (UINT64_C(1) << 20)  /* growth beyond that which is no model's */

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
    struct sim_entry *entry; /* NULL: an inspector or a preparer */
    enum stage stage;
    enum child_state state; /* as the pool says */
    bool dead, stuck;
    bool greeted;      /* said hello */
    bool sick;         /* something went wrong that may cost it the pool's trust */
    bool odd;          /* it said what is, or may be, against the protocol */
    bool broke;        /* what certainly is: it is not to be trusted */
    bool channel_lost; /* as the pool was told */
    bool killed;
    bool exit_unknown, deaf_to_bye, deaf_to_term, grows, thrashes;
    uint64_t stuck_ticks;
    bool may_share;         /* there were prepared weights when it was started */
    bool shares;            /* it was told to map them */
    uint64_t question;      /* an inspector's, or a preparer's */
    uint64_t planned_bytes; /* for what it was granted */
    uint64_t needs_bytes;   /* of its own, by what it was granted and what the pool was told */
    uint64_t slack_bytes;   /* it may turn out to be granted so much more */
    struct learned learned[SIM_LEARNED]; /* what was known when it was granted */
    uint32_t attempt;                    /* the how manieth of its entry */
    uint32_t threads;                    /* its share */
    int64_t load_sent_ms, ready_ms;
    int64_t born_ms, stuck_ms, bye_ms, term_ms, ping_ms;
    int64_t quiet_ms; /* since then it has nothing to do */
    uint32_t slots, works_count;
    struct work works[SIM_SLOTS_MAX];
};

/* process.c */
struct process *process_find(struct world_sim *w, uint64_t id);
void process_start(struct process *p);
void process_on_load(struct process *p, const struct frame *f);
void process_on_ping(struct process *p, const struct frame *f);
void process_on_bye(struct process *p);
void process_on_signal(struct process *p, enum world_signal signal);
void process_die(struct process *p, const char *how);
void process_stick(struct process *p);
void process_emit(struct process *p, enum frame_type type, uint64_t job, const struct buffer *body);
void process_emit_garbage(struct process *p, uint64_t job);
void process_emit_illegal(struct process *p, uint64_t job);
void process_fault(struct process *p, enum sim_fault fault);                  /* counts it */
bool process_draws(struct process *p, uint64_t one_in, enum sim_fault fault); /* and counts it */
void process_later(struct process *p, int64_t least, int64_t most, event_act *act, uint64_t detail);
uint64_t process_least_bytes(const struct sim_entry *e);  /* before it knows its grant */
uint64_t process_most_bytes(const struct sim_entry *e);   /* likewise, the whole of the plan */
uint64_t process_shrunk_bytes(const struct sim_entry *e); /* likewise, the least that is of use */
uint64_t process_private_bytes(const struct process *p);  /* as the system would tell */
void process_told(struct process *p);                     /* the pool has read its memory */

/* helper.c */
void helper_on_inspect(struct process *p, const struct frame *f);
void helper_on_prepare(struct process *p, const struct frame *f);

/* work.c */
void work_on_run(struct process *p, const struct frame *f, struct str payload);
void work_on_cancel(struct process *p, uint64_t job);
void work_on_credit(struct process *p, const struct frame *f);

#endif
