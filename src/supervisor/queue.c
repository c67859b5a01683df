/* queue.c — the jobs that wait for one model: a list a priority, bounded by supervisor_submit. */
#include "supervisor/state.h"

void queue_init(struct queue *q)
{
    for (size_t i = 0; i < PRIORITIES; i++)
        list_init(&q->classes[i]);
    q->jobs = 0;
    q->bytes = 0;
}

void queue_push(struct supervisor *s, struct job *j, bool front)
{
    struct queue *q = &j->model->queue;
    if (front)
        list_push_front(&q->classes[j->priority], &j->link);
    else
        list_push_back(&q->classes[j->priority], &j->link);
    q->jobs++;
    q->bytes += j->payload_bytes;
    s->jobs_waiting++;
    s->bytes_waiting += j->payload_bytes;
}

void queue_remove(struct supervisor *s, struct job *j)
{
    struct queue *q = &j->model->queue;
    list_remove(&j->link);
    q->jobs--;
    q->bytes -= j->payload_bytes;
    s->jobs_waiting--;
    s->bytes_waiting -= j->payload_bytes;
}

/* The oldest of a class that may run beside others; those that must run alone stand in front. */
static struct job *first_sociable(const struct link *class)
{
    LIST_EACH(class, at)
        if (!CONTAINER_OF(at, struct job, link)->alone)
            return CONTAINER_OF(at, struct job, link);
    return NULL;
}

/* The job whose turn it is: the best class after ageing, the older of equals. One that must run
 * alone holds nobody up: the turn finds it a worker of its own. */
struct job *queue_peek(const struct supervisor *s, const struct queue *q)
{
    struct job *best = NULL;
    int64_t best_class = 0;
    for (size_t i = 0; i < PRIORITIES; i++) {
        struct job *j = first_sociable(&q->classes[i]);
        if (j == NULL)
            continue;
        int64_t aged = (int64_t)i - (s->now_ms - j->queued_ms) / s->options.limits.ageing_ms;
        if (best == NULL || aged < best_class ||
            (aged == best_class && j->queued_ms < best->queued_ms)) {
            best = j;
            best_class = aged;
        }
    }
    return best;
}

/* The one that has waited longest, or NULL. Fronts are enough: a retried job kept its time. */
struct job *queue_oldest(const struct queue *q)
{
    struct job *oldest = NULL;
    for (size_t i = 0; i < PRIORITIES; i++) {
        if (list_empty(&q->classes[i]))
            continue;
        struct job *j = CONTAINER_OF(q->classes[i].next, struct job, link);
        if (oldest == NULL || j->queued_ms < oldest->queued_ms)
            oldest = j;
    }
    return oldest;
}
