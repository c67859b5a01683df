/* state.h — what the rooms of this folder share: the structures of the pool and their small helpers.
 *
 * Nobody outside includes it. Ownership: the supervisor owns models, children, requests and jobs. A
 * job is on exactly one list: its model's queue while it waits, its child's jobs while it runs. A
 * request is on its job's list until it ends, then on `ended` until its on_end was delivered. */
#ifndef SUPERVISOR_STATE_H
#define SUPERVISOR_STATE_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/map.h"
#include "base/timer.h"
#include "supervisor/breaker.h"
#include "supervisor/governor.h"
#include "supervisor/supervisor.h"
#include "wire/message.h"

#define PRIORITIES        5
#define CONTROL_SLOTS_MAX 64
#define GRAVE_MS          5000 /* dead workers stay in the status so long */
#define LEARNED_LOAD_MS   1000 /* a second worker is never thought to come quicker */

struct model;
struct child;
struct job;

struct request {
    uint64_t id;
    struct link link; /* job->requests, or supervisor->ended */
    struct job *job;  /* NULL once ended */
    struct timer deadline;
    const struct request_callbacks *callbacks;
    void *context;
    bool own_credit;
    bool probe; /* counted by the model's half-open breaker */
    int64_t accepted_ms, placed_ms;
    struct weir_error error; /* once ended */
    uint64_t input_tokens, output_tokens;
};

struct job {
    uint64_t id;
    struct link link; /* model->queue.classes[…] or child->jobs */
    struct model *model;
    struct child *child; /* NULL while it waits */
    struct link requests;
    enum weir_capability capability;
    enum weir_operation operation;
    uint8_t priority;
    uint8_t deaths; /* workers lost while it ran */
    bool alone;     /* it lost a worker: it runs by itself or not at all */
    bool accepted, cancel_sent;
    bool output_seen; /* something reached the caller: never again from the start */
    uint8_t *payload;
    size_t payload_bytes;
    uint64_t hash; /* of model, capability, operation and payload */
    int64_t queued_ms, sent_ms;
    struct buffer output; /* the parts of the output under way */
    uint32_t output_want; /* its whole length, 0: none under way */
    bool output_streamed;
    int64_t credit_events, credit_bytes; /* what the worker may still send, by our count */
    uint32_t owed_events;                /* to be returned to the worker */
    uint64_t owed_bytes;
};

/* One bounded queue a model: a list a priority, taken with ageing. */
struct queue {
    struct link classes[PRIORITIES];
    size_t jobs;
    uint64_t bytes;
};

enum inspection { INSPECTION_PENDING, INSPECTION_DONE, INSPECTION_FAILED };

struct model {
    struct link link; /* supervisor->models in order of registration */
    struct link dirty_link, inspect_link, claim_link;
    struct timer wake;
    uint32_t number; /* unique for ever: the generation that children refer to */
    char *name, *path;
    struct model_settings settings; /* name and path are those above */
    bool gone;                      /* unregistered: drains, then is freed */
    enum inspection inspection;
    struct plan plan;
    struct weir_error problem; /* inspection failed, or the last load did */
    struct queue queue;
    struct link children;  /* dead ones stay GRAVE_MS */
    uint32_t holders;      /* children that hold the weights lease: all that were not reaped */
    uint64_t weights_held; /* the weights lease, while there are holders */
    struct breaker breaker;
    uint64_t spawned;
    uint32_t load_attempts;
    uint32_t crashes;        /* in a row: drives the restart delay */
    bool load_crashed;       /* the last load ended in a crash: the next such ends the jobs */
    bool second_due;         /* cold start: one more worker once the first is READY */
    int64_t restart_at_ms;   /* not before, after a crash */
    int64_t refill_at_ms;    /* no worker without a request (min_workers) before */
    int64_t more_at_ms;      /* no +1 before, after one was refused for memory */
    int64_t load_ms;         /* measured, of the last load */
    int64_t last_used_ms;    /* end of the last job, or READY */
    int64_t last_retired_ms; /* idle step-down: one a time */
    bool waiting_told;       /* the event "wait" was sent for the claim under way */
};

enum leave_phase { STAY, LEAVE_JOBS, LEAVE_BYE, LEAVE_TERM, LEAVE_KILL };

struct child {
    uint64_t key; /* the id, for the map */
    uint32_t id;
    struct link link; /* model->children */
    struct link dirty_link;
    struct timer wake;
    struct model *model;
    enum child_state state;
    enum leave_phase phase;
    struct link jobs;
    uint32_t jobs_count, slots;
    uint64_t context_bytes; /* its private lease */
    uint64_t measured_bytes;
    int64_t state_since_ms, spawned_ms, last_used_ms, ready_ms;
    int64_t phase_until_ms;
    uint64_t ticks;
    int64_t ticks_ms; /* when they last moved */
    uint64_t ping_sequence;
    int64_t ping_ms; /* sent and not answered, 0: none */
    int64_t heard_ms;
    uint32_t threads; /* share last told */
    bool hello;
    bool exited, lost;            /* facts for the turn */
    bool replan;                  /* its plan is larger than what was inspected */
    struct weir_error load_error; /* what it said when it could not load */
    char reason[160];             /* why it was lost or left */
    char exit_text[64];
};

/* One inspector process a program, alive only while there is something to inspect. */
struct inspector {
    uint32_t id; /* 0: none runs */
    bool hello, leaving, killed;
    struct model *current;
    int64_t since_ms;
};

struct quarantine_row {
    uint64_t hash;
    int64_t until_ms;
};
#define QUARANTINE_ROWS 1024

struct supervisor {
    struct supervisor_options options;
    const struct world *world;
    int64_t now_ms;
    struct link models;
    struct map by_name, children, jobs, requests;
    struct link dirty_models, dirty_children, ended, claims, to_inspect;
    struct timer_heap request_timers, child_timers, model_timers;
    struct timer memory_timer; /* in model_timers */
    struct inspector inspectors[WORKER_PROGRAM_COUNT];
    struct quarantine_row quarantine[QUARANTINE_ROWS];
    size_t quarantine_next;
    uint64_t budget_bytes, leased_bytes;
    struct memory_facts facts;
    size_t jobs_waiting;
    uint64_t bytes_waiting;
    uint32_t last_child;
    uint32_t last_model;
    uint64_t last_id;
    bool dirty, claims_dirty, shares_dirty, draining;
    int64_t drain_until_ms;
    struct supervisor_totals totals;
    uint64_t jitter;
};

/* supervisor.c */
void event_emit(struct supervisor *s, const struct pool_event *event);
void model_touch(struct supervisor *s, struct model *m); /* look at it in this turn */
void child_touch(struct supervisor *s, struct child *c);

/* job.c */
void request_end(struct supervisor *s, struct request *r, const struct weir_error *error);
void job_end(struct supervisor *s, struct job *j, const struct weir_error *error); /* frees j */
void job_deliver(struct supervisor *s, struct job *j);
void job_return_credit(struct supervisor *s, struct job *j, uint32_t events, uint64_t bytes);
void job_lost(struct supervisor *s, struct job *j, const struct child *c);
void job_place(struct supervisor *s, struct job *j, struct child *c);
void job_detach(struct supervisor *s, struct job *j); /* from its child */
/* Ends its requests; a running job is cancelled, a waiting one freed. */
void job_give_up(struct supervisor *s, struct job *j, const struct weir_error *error);
void request_expire(struct supervisor *s, struct request *r);
void deliver_ends(struct supervisor *s);

/* queue.c */
void queue_init(struct queue *q);
void queue_push(struct supervisor *s, struct job *j, bool front);
void queue_remove(struct supervisor *s, struct job *j);
struct job *queue_peek(const struct supervisor *s, const struct queue *q);
struct job *queue_oldest(const struct queue *q);

/* child.c */
struct child *child_create(struct supervisor *s, struct model *m, const struct claim *claim);
void child_free(struct supervisor *s, struct child *c);
bool child_step(struct supervisor *s, struct child *c, enum child_event event, const char *reason);
void child_lost(struct supervisor *s, struct child *c, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void child_retire(struct supervisor *s, struct child *c, const char *reason);
void child_settle(struct supervisor *s, struct child *c);
void child_arm(struct supervisor *s, struct child *c);
void child_send(struct supervisor *s, struct child *c, enum frame_type type, uint64_t job,
                struct str body, struct str payload);

/* model.c */
struct model *model_find(struct supervisor *s, const char *name);
void model_free(struct supervisor *s, struct model *m);
uint32_t model_living(const struct model *m);
bool model_has_jobs(const struct model *m); /* waiting or running */
void model_load_failed(struct supervisor *s, struct model *m, const struct weir_error *error);
void model_crashed_loading(struct supervisor *s, struct model *m, const char *what);
void model_crashed(struct supervisor *s, struct model *m, const char *what, bool counts);
bool model_in_backoff(const struct supervisor *s, const struct model *m, struct weir_error *err);
void model_failure(struct supervisor *s, struct model *m); /* one more for the breaker */
void model_success(struct supervisor *s, struct model *m);
void model_inspect_anew(struct supervisor *s, struct model *m);
void model_fail_jobs(struct supervisor *s, struct model *m, const struct weir_error *error);
void model_wake_at(struct supervisor *s, struct model *m, int64_t at_ms); /* the earlier wins */

/* ledger.c: the one function that moves leases, and the judge's view of the pool. */
enum lease_move { LEASE_GRANT, LEASE_MEASURED, LEASE_REAPED };
void lease_move(struct supervisor *s, struct child *c, enum lease_move why, uint64_t bytes);
void memory_read(struct supervisor *s);
struct judgement ledger_judge(struct supervisor *s, struct model *m, const struct claim *claim,
                              uint32_t victims[], size_t victims_max);
struct claim ledger_claim(const struct supervisor *s, const struct model *m);

/* inspect.c */
void inspect_turn(struct supervisor *s);
bool inspect_on_frame(struct supervisor *s, uint32_t id, const struct frame *f);
bool inspect_on_gone(struct supervisor *s, uint32_t id, bool exited, const char *what);
void inspect_forget(struct supervisor *s, struct model *m);
int64_t inspect_wake(const struct supervisor *s);

/* frames.c */
void child_on_frame(struct supervisor *s, struct child *c, const struct frame *f);

/* turn.c */
void turn_place(struct supervisor *s, struct model *m);
void turn_admit(struct supervisor *s);
void turn_want(struct supervisor *s, struct model *m);
void turn_retire(struct supervisor *s, struct model *m);
void turn_share(struct supervisor *s);

#endif
