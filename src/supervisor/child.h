/* child.h — one worker process, from its grant to its grave.
 *
 * Facts are recorded as they come; child_settle, run by the turn, acts on them. Its state changes
 * in child_step alone, by the rules of child_rules.h. */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include "base/list.h"
#include "base/timer.h"
#include "supervisor/child_rules.h"
#include "supervisor/ledger.h"
#include "supervisor/stats.h"
#include "supervisor/supervisor.h"

#define GRAVE_MS   5000 /* dead workers stay in the status so long */
#define AFFINITIES 64   /* conversations that a worker is known for */

struct claim;
struct model;

enum leave_phase { STAY, LEAVE_JOBS, LEAVE_BYE, LEAVE_TERM, LEAVE_KILL };

struct child {
    uint64_t key; /* the id, for the map */
    uint32_t id;
    struct link link; /* model->children */
    struct link dirty_link;
    struct link busy_link; /* supervisor->busy while it has jobs */
    struct timer wake;
    struct model *model;
    enum child_state state;
    enum leave_phase phase;
    struct link jobs;
    uint32_t jobs_count, slots;
    uint32_t context; /* tokens, as granted; 0: the model's limit */
    struct lease lease;
    uint64_t measured_bytes; /* private, beyond the bare process */
    uint64_t bare_bytes;     /* private at its hello */
    uint64_t faults;         /* major ones, at faults_ms */
    int64_t faults_ms;
    bool thrashes; /* it had too many of them in the last period */
    int64_t pid;   /* to be shown */
    int64_t state_since_ms, spawned_ms, last_used_ms, ready_ms;
    int64_t phase_until_ms;
    uint64_t ticks;
    int64_t ticks_ms; /* when they last moved */
    uint64_t ping_sequence;
    int64_t ping_ms; /* sent and not answered, 0: none */
    int64_t heard_ms;
    uint32_t threads;              /* share last told */
    uint64_t affinity[AFFINITIES]; /* served last first; 0 is none */
    bool hello;
    bool exited, lost;            /* facts for the turn */
    bool unloads;                 /* the end of an unload waits for its reap */
    bool replan;                  /* its plan is larger than what was inspected */
    struct weir_error load_error; /* what it said when it could not load */
    enum eviction eviction;       /* why it was retired, once it was */
    char reason[160];             /* why it was lost or left */
    char exit_text[64];
};

struct child *child_create(struct supervisor *s, struct model *m, const struct claim *claim);
void child_free(struct supervisor *s, struct child *c);
void child_step(struct supervisor *s, struct child *c, enum child_event event, const char *reason);
void child_lost(struct supervisor *s, struct child *c, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* `reason` says `why` in words, for people. */
void child_retire(struct supervisor *s, struct child *c, enum eviction why, const char *reason);
void child_settle(struct supervisor *s, struct child *c);
void child_arm(struct supervisor *s, struct child *c);
void child_send(struct supervisor *s, struct child *c, enum frame_type type, uint64_t job,
                struct str body, struct str payload);

/* frames.c: a whole frame from the worker. */
void child_on_frame(struct supervisor *s, struct child *c, const struct frame *f);

#endif
