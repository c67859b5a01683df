/* queue.h — the jobs that wait for one model: a list a priority, taken with ageing.
 *
 * Its bounds are checked where jobs come in (supervisor_submit); the pool's sums move with it. */
#ifndef SUPERVISOR_QUEUE_H
#define SUPERVISOR_QUEUE_H

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

#define PRIORITIES 5

struct job;
struct supervisor;

struct queue {
    struct link classes[PRIORITIES];
    size_t jobs;
    uint64_t bytes;
};

void queue_init(struct queue *q);
void queue_push(struct supervisor *s, struct job *j, bool front);
void queue_remove(struct supervisor *s, struct job *j);
struct job *queue_peek(const struct supervisor *s, const struct queue *q);
struct job *queue_oldest(const struct queue *q);

#endif
