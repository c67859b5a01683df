/* queue.h — the jobs that wait for one model.
 *
 *     level 0 ──► client a: j j j ──► client c: j      the clients of a level take turns,
 *     level 1                                          a client is served first come, first
 *     level 2 ──► client b: j j                        served
 *
 * A job enters at its priority and rises by one level for each ageing_ms that it waits, so that
 * nobody starves: at level 0 all that is ahead of it is one job a client and turn. Those that must
 * run alone stand aside, in front of all. Taking the next job costs the levels, not the jobs; what
 * a client needs here is freed with its last waiting job.
 *
 * The bounds are checked where jobs come in (submit.c); the pool's sums move with the queue. */
#ifndef SUPERVISOR_QUEUE_H
#define SUPERVISOR_QUEUE_H

#include "base/list.h"
#include "base/map.h"
#include "supervisor/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;
struct queue_client;
struct supervisor;

/* The jobs of one client at one level, oldest first. */
struct lane {
    struct link turn; /* level->lanes while it has jobs */
    struct link jobs;
    size_t count;
    struct queue_client *client;
};

struct queue_client {
    char *name; /* the key in queue->clients */
    size_t jobs;
    struct lane lanes[PRIORITIES];
};

struct level {
    struct link lanes;   /* in the order of their turns */
    struct link entered; /* its jobs in the order in which they came to it */
};

struct queue {
    struct level levels[PRIORITIES];
    struct link alone;    /* those that must run alone, the oldest first */
    struct link arrivals; /* all others, the oldest first */
    struct map clients;
    size_t jobs;
    size_t joined; /* requests that share another's job, waiting or running: they count too */
    uint64_t bytes;
};

void queue_init(struct queue *q);
void queue_finish(struct queue *q); /* it must be empty */
/* `front`: before all others of its client, and its client before all others. */
void queue_push(struct supervisor *s, struct job *j, bool front);
void queue_remove(struct supervisor *s, struct job *j);
/* Likewise, because it was its client's turn: the next client is on. */
void queue_take(struct supervisor *s, struct job *j);
/* A better priority, now if it waits or when it is to wait again; a worse one changes nothing. */
void queue_raise(struct supervisor *s, struct job *j, uint8_t priority);
/* The job whose turn it is, or NULL. One that must run alone holds nobody up and is not meant. */
struct job *queue_peek(struct supervisor *s, struct queue *q);
struct job *queue_first_alone(const struct queue *q);           /* or NULL */
struct job *queue_oldest(const struct queue *q);                /* waits the longest, or NULL */
size_t queue_place(const struct queue *q, const struct job *j); /* 1: it is the next; O(jobs) */

#endif
