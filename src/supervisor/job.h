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

struct child;
struct model;

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
    int64_t patience_ms;            /* from accepted_ms to its deadline */
    int64_t keep_alive_ms;          /* for the model, from its end on */
    struct request_outcome outcome; /* the error is there once it ended */
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
    int64_t cancel_ms; /* when it was sent */
    bool output_seen;  /* something reached the caller: never again from the start */
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

void request_end(struct supervisor *s, struct request *r, const struct weir_error *error);
void job_end(struct supervisor *s, struct job *j, const struct weir_error *error); /* frees j */
/* Walks the requests of a job while callbacks may end them: move the list to `walk`, then take one
 * after another until NULL; each is back on its job before it is returned. */
struct request *job_next_request(struct job *j, struct link *walk);
void job_deliver(struct supervisor *s, struct job *j);
void job_return_credit(struct supervisor *s, struct job *j, uint32_t events, uint64_t bytes);
/* `blamed`: the worker did not leave because it was told to. */
void job_lost(struct supervisor *s, struct job *j, const struct child *c, bool blamed);
void job_place(struct supervisor *s, struct job *j, struct child *c);
void job_detach(struct supervisor *s, struct job *j); /* from its child */
/* Ends its requests; a running job is cancelled, a waiting one freed. */
void job_give_up(struct supervisor *s, struct job *j, const struct weir_error *error);
void request_expire(struct supervisor *s, struct request *r);
void deliver_ends(struct supervisor *s);

#endif
