/* timer.h — a heap of deadlines. Timers are embedded; a timer is in at most one heap. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMER_NEVER INT64_MAX

struct timer {
    int64_t at_ms;
    size_t place; /* 1-based place in the heap; 0: not set */
};

struct timer_heap {
    struct timer **timers;
    size_t count, cap;
};

void timer_heap_init(struct timer_heap *h);
void timer_heap_finish(struct timer_heap *h); /* timers still set are simply forgotten */
void timer_set(struct timer_heap *h, struct timer *t,
               int64_t at_ms);                           /* sets or moves; NEVER clears */
void timer_clear(struct timer_heap *h, struct timer *t); /* harmless when not set */
int64_t timer_next(const struct timer_heap *h);          /* TIMER_NEVER when empty */
/* Takes out and returns the earliest timer with at_ms <= now_ms, or NULL. */
struct timer *timer_take(struct timer_heap *h, int64_t now_ms);

#endif
