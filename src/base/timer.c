#include "base/timer.h"

#include "base/check.h"
#include "base/mem.h"

/* A binary heap in an array: the timer at place i (from 1) is due no later than those at 2i and
 * 2i + 1. Each timer knows its place, so that moving and clearing need no search. */

enum { LEAST_CAP = 16 };

void timer_heap_init(struct timer_heap *h)
{
    *h = (struct timer_heap){ .timers = NULL };
}

void timer_heap_finish(struct timer_heap *h)
{
    if (h == NULL)
        return;
    mem_free(h->timers);
    timer_heap_init(h);
}

static void put(struct timer_heap *h, size_t place, struct timer *t)
{
    h->timers[place - 1] = t;
    t->place = place;
}

static void move_up(struct timer_heap *h, struct timer *t)
{
    size_t place = t->place;
    while (place > 1 && h->timers[place / 2 - 1]->at_ms > t->at_ms) {
        put(h, place, h->timers[place / 2 - 1]);
        place /= 2;
    }
    put(h, place, t);
}

static void move_down(struct timer_heap *h, struct timer *t)
{
    size_t place = t->place;
    while (place <= h->count / 2) {
        size_t child = place * 2;
        if (child < h->count && h->timers[child]->at_ms < h->timers[child - 1]->at_ms)
            child++;
        if (h->timers[child - 1]->at_ms >= t->at_ms)
            break;
        put(h, place, h->timers[child - 1]);
        place = child;
    }
    put(h, place, t);
}

static void make_room(struct timer_heap *h)
{
    if (h->count < h->cap)
        return;
    const size_t cap = h->cap > 0 ? h->cap * 2 : LEAST_CAP;
    struct timer **const timers = mem_resize(h->timers, cap, sizeof(struct timer *));
    CHECK(timers != NULL);
    h->timers = timers;
    h->cap = cap;
}

void timer_set(struct timer_heap *h, struct timer *t, int64_t at_ms)
{
    if (at_ms == TIMER_NEVER) {
        timer_clear(h, t);
        return;
    }
    if (t->place == 0) {
        make_room(h);
        h->count++;
        t->at_ms = at_ms;
        t->place = h->count;
        move_up(h, t);
        return;
    }
    CHECK(t->place <= h->count && h->timers[t->place - 1] == t);
    t->at_ms = at_ms;
    move_up(h, t);
    move_down(h, t);
}

void timer_clear(struct timer_heap *h, struct timer *t)
{
    if (t->place == 0)
        return;
    CHECK(t->place <= h->count && h->timers[t->place - 1] == t);
    struct timer *const last = h->timers[h->count - 1];
    h->count--;
    if (last != t) {
        put(h, t->place, last);
        move_up(h, last);
        move_down(h, last);
    }
    t->place = 0;
}

int64_t timer_next(const struct timer_heap *h)
{
    return h->count > 0 ? h->timers[0]->at_ms : TIMER_NEVER;
}

struct timer *timer_take(struct timer_heap *h, int64_t now_ms)
{
    if (h->count == 0 || h->timers[0]->at_ms > now_ms)
        return NULL;
    struct timer *const first = h->timers[0];
    timer_clear(h, first);
    return first;
}
