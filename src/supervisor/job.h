/* job.h — requests and jobs.
 *
 * A request is a caller: callbacks, deadline, credit. A job is work: payload, retries, the list of
 * its requests. A job is on exactly one list, its model's queue while it waits or its child's jobs
 * while it runs; a request is on its job's list until it ends, then on the pool's `ended` until its
 * on_end was delivered. Both belong to the supervisor and die there. */
#ifndef SUPERVISOR_JOB_H
#define SUPERVISOR_JOB_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/timer.h"
#include "supervisor/supervisor.h"

#define REQUEST_NAME_MAX 72 /* of clients and labels; the rest is cut off */

struct child;
struct lane;
struct model;

struct request {
    uint64_t id;
    struct link link; /* job->requests, or supervisor->ended */
    struct job *job;  /* NULL once ended */
    struct timer deadline;
    const struct request_callbacks *callbacks;
    void *context;
    bool own_credit;
    bool probe;  /* counted by the model's half-open breaker */
    bool joined; /* its job was there before it: counted by the queue until it ends */
    uint8_t priority;
    char client[REQUEST_NAME_MAX]; /* "" is the one anonymous client */
    char label[REQUEST_NAME_MAX];  /* what logs call it; else its id */
    int64_t accepted_ms, placed_ms;
    int64_t patience_ms;            /* from accepted_ms to its deadline */
    int64_t keep_alive_ms;          /* for the model, from its end on */
    struct request_outcome outcome; /* the error is there once it ended */
};

struct job {
    uint64_t id;
    struct link link; /* its client's lane or queue->alone, or child->jobs */
    struct model *model;
    struct child *child; /* NULL while it waits */
    /* While it waits and may run beside others: */
    struct lane *lane;
    struct link entered; /* queue->levels[level].entered */
    struct link arrival; /* queue->arrivals */
    uint8_t level;
    int64_t level_ms; /* when it came there */

    struct link requests;
    struct link untold; /* those of its requests that a walk has still to come to */
    enum weir_capability capability;
    enum weir_operation operation;
    uint8_t priority; /* the best that its requests asked for */
    bool alone;       /* it lost a worker: it runs by itself or not at all */
    bool accepted, cancel_sent;
    int64_t cancel_ms;             /* when it was sent */
    bool output_seen;              /* something reached the caller: never again from the start */
    bool spoiled;                  /* its worker answered nonsense, as its callers were told */
    char client[REQUEST_NAME_MAX]; /* of its first request: whose turn it takes */
    uint64_t affinity;
    uint8_t *payload; /* kept until its first output, so that a retry needs nothing of its worker */
    size_t payload_bytes;
    uint64_t hash; /* of model, capability, operation and payload */
    int64_t queued_ms, sent_ms;
    struct buffer output; /* the parts of the output under way */
    uint32_t output_want; /* its whole length, 0: none under way */
    bool output_streamed;
    uint64_t collected_bytes; /* of outputs that needed no credit */
    int64_t progress_ms;      /* since when progress is counted */
    uint32_t progress_told;
    int64_t credit_events, credit_bytes; /* what the worker may still send, by our count */
    uint32_t owed_events;                /* to be returned to the worker */
    uint64_t owed_bytes;
};

/* job.c: */
void job_end(struct supervisor *s, struct job *j, const struct weir_error *error); /* frees j */
/* Walks the requests of a job while callbacks may end them: begin, then take one after another
 * until NULL. Who joins meanwhile is not walked over. */
void job_walk(struct job *j);
struct request *job_next_request(struct job *j);
void job_deliver(struct supervisor *s, struct job *j);
/* False and err when what its worker said makes no sense to a caller, which is logged. */
bool job_makes_sense(struct supervisor *s, const struct job *j, bool ended, struct weir_error *err);
void job_return_credit(struct supervisor *s, struct job *j, uint32_t events, uint64_t bytes);
/* `blamed`: the worker did not leave because it was told to. */
void job_lost(struct supervisor *s, struct job *j, const struct child *c, bool blamed);
void job_place(struct supervisor *s, struct job *j, struct child *c);
void job_abandon(struct supervisor *s, struct job *j); /* if nobody wants it any more */
/* Ends its requests; a running job is cancelled, a waiting one freed. */
void job_give_up(struct supervisor *s, struct job *j, const struct weir_error *error);
const char *job_label(const struct job *j); /* what logs call it: its first request's label */

/* request.c: */
void request_end(struct supervisor *s, struct request *r, const struct weir_error *error);
void request_expire(struct supervisor *s, struct request *r);
void deliver_ends(struct supervisor *s);

/* merge.c: equal work is done once. */
void merge_offer(struct supervisor *s, struct job *j);    /* equal requests may join it */
void merge_withdraw(struct supervisor *s, struct job *j); /* harmless when it is not offered */
/* The job of equal work that takes the request on, or NULL. */
struct job *merge_find(const struct supervisor *s, const struct model *m,
                       const struct submission *r, uint64_t hash);

/* quarantine.c: inputs that ended two workers. */
void quarantine_add(struct supervisor *s, const struct job *j);
bool quarantine_holds(const struct supervisor *s, uint64_t hash);

#endif
