/* queue.c — turns within levels, and the rise from level to level. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

static struct job *job_of(struct link *link)
{
    return CONTAINER_OF(link, struct job, link);
}

static struct job *entered_of(struct link *link)
{
    return CONTAINER_OF(link, struct job, entered);
}

static struct job *arrival_of(struct link *link)
{
    return CONTAINER_OF(link, struct job, arrival);
}

void queue_init(struct queue *q)
{
    *q = (struct queue){ 0 };
    for (size_t i = 0; i < PRIORITIES; i++) {
        list_init(&q->levels[i].lanes);
        list_init(&q->levels[i].entered);
    }
    list_init(&q->alone);
    list_init(&q->arrivals);
    map_init(&q->clients);
}

void queue_finish(struct queue *q)
{
    CHECK(q->jobs == 0 && q->joined == 0 && q->clients.count == 0);
    map_finish(&q->clients);
}

static struct queue_client *client_of(struct queue *q, const char *name)
{
    struct queue_client *c = map_get(&q->clients, str_of(name));
    if (c != NULL)
        return c;
    c = mem_new(1, sizeof *c);
    c->name = mem_copy_text(name, strlen(name));
    for (size_t i = 0; i < PRIORITIES; i++) {
        list_init(&c->lanes[i].jobs);
        c->lanes[i].client = c;
    }
    map_put(&q->clients, str_of(c->name), c);
    return c;
}

static void client_leaves(struct queue *q, struct queue_client *c)
{
    map_remove(&q->clients, str_of(c->name));
    mem_free(c->name);
    mem_free(c);
}

static void lane_enter(struct queue *q, struct lane *lane, struct job *j, bool front)
{
    struct link *lanes = &q->levels[j->level].lanes;
    j->lane = lane;
    if (front) {
        list_push_front(&lane->jobs, &j->link);
        list_remove(&lane->turn);
        list_push_front(lanes, &lane->turn);
    } else {
        list_push_back(&lane->jobs, &j->link);
        if (lane->count == 0)
            list_push_back(lanes, &lane->turn);
    }
    lane->count++;
}

/* A lane that is empty has no turn; its client starts again at the end. */
static void lane_leave(struct job *j)
{
    struct lane *lane = j->lane;
    list_remove(&j->link);
    j->lane = NULL;
    if (--lane->count == 0)
        list_remove(&lane->turn);
}

static int64_t ageing(const struct supervisor *s)
{
    const int64_t most = INT64_MAX / 4; /* sums with times of day stay in range */
    return s->options.limits.ageing_ms < most ? s->options.limits.ageing_ms : most;
}

/* The level of its priority and its waiting, and since when it is there. */
static void find_level(const struct supervisor *s, struct job *j)
{
    const int64_t rises = (s->now_ms - j->queued_ms) / ageing(s);
    const int64_t risen = rises < j->priority ? rises : j->priority;
    j->level = (uint8_t)(j->priority - risen);
    j->level_ms = j->queued_ms + risen * ageing(s);
}

/* Almost always the last to come: what is younger is passed over one by one. */
static void level_enter(struct queue *q, struct job *j)
{
    struct link *entered = &q->levels[j->level].entered, *at = entered;
    while (at->prev != entered && entered_of(at->prev)->level_ms > j->level_ms)
        at = at->prev;
    list_insert_before(at, &j->entered);
}

/* Those that have waited long enough at `from` go one level up, behind all that is there: whoever
 * came to it, came before. */
static void rise(struct queue *q, size_t from, int64_t now_ms, int64_t ageing_ms)
{
    struct link *entered = &q->levels[from].entered;
    while (!list_empty(entered) && now_ms - entered_of(entered->next)->level_ms >= ageing_ms) {
        struct job *j = entered_of(entered->next);
        struct queue_client *c = j->lane->client;
        lane_leave(j);
        list_remove(&j->entered);
        j->level--;
        j->level_ms += ageing_ms;
        lane_enter(q, &c->lanes[j->level], j, false);
        list_push_back(&q->levels[j->level].entered, &j->entered);
    }
}

/* Done before a job comes to the queue and before one is chosen, so that levels stay in order. It
 * costs a job's few rises, once in its life. */
static void age(const struct supervisor *s, struct queue *q)
{
    for (size_t i = PRIORITIES - 1; i > 0; i--) /* from the last: a late rise may be of several */
        rise(q, i, s->now_ms, ageing(s));
}

/* A retried job stands among the oldest, a new one behind all. */
static void arrive(struct queue *q, struct job *j, bool front)
{
    struct link *at = &q->arrivals;
    if (front)
        for (at = at->next; at != &q->arrivals && arrival_of(at)->queued_ms < j->queued_ms;)
            at = at->next;
    list_insert_before(at, &j->arrival);
}

static void stand_aside(struct queue *q, struct job *j)
{
    struct link *at = q->alone.next;
    while (at != &q->alone && job_of(at)->queued_ms < j->queued_ms)
        at = at->next;
    list_insert_before(at, &j->link);
}

void queue_push(struct supervisor *s, struct job *j, bool front)
{
    struct queue *q = &j->model->queue;
    if (j->alone) {
        stand_aside(q, j);
    } else {
        struct queue_client *c = client_of(q, j->client);
        c->jobs++;
        age(s, q);
        find_level(s, j);
        lane_enter(q, &c->lanes[j->level], j, front);
        level_enter(q, j);
        arrive(q, j, front);
    }
    q->jobs++;
    q->bytes += j->payload_bytes;
    s->jobs_waiting++;
    s->bytes_waiting += j->payload_bytes;
}

void queue_remove(struct supervisor *s, struct job *j)
{
    struct queue *q = &j->model->queue;
    if (j->lane == NULL) {
        list_remove(&j->link);
    } else {
        struct queue_client *c = j->lane->client;
        lane_leave(j);
        list_remove(&j->entered);
        list_remove(&j->arrival);
        if (--c->jobs == 0)
            client_leaves(q, c);
    }
    q->jobs--;
    q->bytes -= j->payload_bytes;
    s->jobs_waiting--;
    s->bytes_waiting -= j->payload_bytes;
}

void queue_take(struct supervisor *s, struct job *j)
{
    if (j->lane != NULL) {
        list_remove(&j->lane->turn);
        list_push_back(&j->model->queue.levels[j->level].lanes, &j->lane->turn);
    }
    queue_remove(s, j);
}

void queue_raise(struct supervisor *s, struct job *j, uint8_t priority)
{
    if (priority >= j->priority)
        return;
    j->priority = priority;
    if (j->lane == NULL)
        return;
    struct queue *q = &j->model->queue;
    struct queue_client *c = j->lane->client;
    age(s, q);
    lane_leave(j);
    list_remove(&j->entered);
    find_level(s, j);
    lane_enter(q, &c->lanes[j->level], j, false);
    level_enter(q, j);
}

struct job *queue_peek(struct supervisor *s, struct queue *q)
{
    age(s, q);
    for (size_t i = 0; i < PRIORITIES; i++)
        if (!list_empty(&q->levels[i].lanes)) {
            struct lane *next = CONTAINER_OF(q->levels[i].lanes.next, struct lane, turn);
            return job_of(next->jobs.next);
        }
    return NULL;
}

struct job *queue_first_alone(const struct queue *q)
{
    return list_empty(&q->alone) ? NULL : job_of(q->alone.next);
}

struct job *queue_oldest(const struct queue *q)
{
    struct job *alone = queue_first_alone(q);
    struct job *other = list_empty(&q->arrivals) ? NULL : arrival_of(q->arrivals.next);
    if (alone == NULL || other == NULL)
        return alone != NULL ? alone : other;
    return alone->queued_ms <= other->queued_ms ? alone : other;
}

static size_t count_before(const struct link *head, const struct link *link)
{
    size_t count = 0;
    for (const struct link *at = head->next; at != link; at = at->next)
        count++;
    return count;
}

/* As things stand now: who comes or rises later may still pass it. */
size_t queue_place(const struct queue *q, const struct job *j)
{
    if (j->lane == NULL)
        return count_before(&q->alone, &j->link) + 1;
    const size_t own = count_before(&j->lane->jobs, &j->link);
    size_t ahead = count_before(&q->alone, &q->alone) + own;
    for (size_t i = 0; i < j->level; i++)
        LIST_EACH(&q->levels[i].lanes, at)
            ahead += CONTAINER_OF(at, struct lane, turn)->count;
    bool before = true; /* those whose turn is before this client's are one round ahead */
    LIST_EACH(&q->levels[j->level].lanes, at) {
        const struct lane *lane = CONTAINER_OF(at, struct lane, turn);
        const size_t rounds = own + before;
        if (lane == j->lane)
            before = false;
        else
            ahead += lane->count < rounds ? lane->count : rounds;
    }
    return ahead + 1;
}
