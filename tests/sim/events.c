#include "events.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct event {
    struct timer timer;
    struct event *next_spare;
    event_act *act;
    void *context;
    uint64_t id, detail;
};

void events_init(struct events *e)
{
    *e = (struct events){ .trace = UINT64_C(0x9e3779b97f4a7c15) };
    timer_heap_init(&e->heap);
}

void events_finish(struct events *e)
{
    for (struct timer *t; (t = timer_take(&e->heap, TIMER_NEVER)) != NULL;)
        mem_free(CONTAINER_OF(t, struct event, timer));
    timer_heap_finish(&e->heap);
    while (e->spare != NULL) {
        struct event *event = e->spare;
        e->spare = event->next_spare;
        mem_free(event);
    }
}

void events_add(struct events *e, int64_t delay_ms, event_act *act, void *context, uint64_t id,
                uint64_t detail)
{
    struct event *event = e->spare;
    if (event != NULL)
        e->spare = event->next_spare;
    else
        event = mem_new(1, sizeof *event);
    event->act = act;
    event->context = context;
    event->id = id;
    event->detail = detail;
    timer_set(&e->heap, &event->timer, e->now_ms + (delay_ms > 0 ? delay_ms : 0));
}

int64_t events_next(const struct events *e)
{
    return timer_next(&e->heap);
}

void events_run_one(struct events *e)
{
    struct timer *t = timer_take(&e->heap, e->now_ms);
    CHECK(t != NULL);
    struct event *event = CONTAINER_OF(t, struct event, timer);
    e->happened++;
    e->depths += e->heap.count;
    event->act(event->context, event->id, event->detail);
    event->next_spare = e->spare;
    e->spare = event;
}

void events_note(struct events *e, const char *what, uint64_t id, uint64_t detail)
{
    const uint64_t words[4] = { str_hash(str_of(what)), id, detail, (uint64_t)e->now_ms };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        e->trace = (e->trace ^ words[i]) * UINT64_C(0x2545f4914f6cdd1d) + (e->trace >> 29);
    if (e->printing)
        printf("%10" PRId64 " %8" PRIu64 "  %s %" PRIu64 " (%" PRIu64 ")\n", e->now_ms, e->happened,
               what, id, detail);
}

struct empty {
    struct events events;
    struct rng rng;
};

static void act_nothing(void *context, uint64_t id, uint64_t detail)
{
    struct empty *empty = context;
    events_add(&empty->events, (int64_t)rand_below(&empty->rng, 1000), act_nothing, empty, id,
               detail);
}

double events_empty_loop(uint64_t count, uint64_t depth)
{
    struct empty empty;
    events_init(&empty.events);
    rand_seed(&empty.rng, 1);
    for (uint64_t i = 0; i < depth; i++)
        act_nothing(&empty, i, 0);
    const clock_t begun = clock();
    while (empty.events.happened < count) {
        if (events_next(&empty.events) > empty.events.now_ms)
            empty.events.now_ms = events_next(&empty.events);
        events_run_one(&empty.events);
    }
    const clock_t ended = clock();
    events_finish(&empty.events);
    return (double)(ended - begun) / CLOCKS_PER_SEC;
}
