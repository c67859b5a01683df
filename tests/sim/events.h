/* events.h — the virtual time of a simulation: a heap of things that will happen.
 *
 * Nothing happens but by an event, and events of the same seed come in the same order. An event
 * names its subject by id, never by pointer, so that it may come too late and find nobody. What has
 * happened is used again for what is to come: a run of any length needs no more memory than the
 * most that it ever waited for at once. */
#ifndef SIM_EVENTS_H
#define SIM_EVENTS_H

#include "base/timer.h"

#include <stdbool.h>
#include <stdint.h>

typedef void event_act(void *context, uint64_t id, uint64_t detail);

struct event;

struct events {
    struct timer_heap heap;
    struct event *spare;
    int64_t now_ms;
    uint64_t happened;
    uint64_t depths; /* sum over what happened: how many things were still to come */
    bool printing;   /* every note, to stdout */
    uint64_t trace;  /* hash over everything that was noted: equal for equal runs */
};

void events_init(struct events *e);
void events_finish(struct events *e); /* what has not happened is forgotten */

/* `act` will be called `delay_ms` from now. */
void events_add(struct events *e, int64_t delay_ms, event_act *act, void *context, uint64_t id,
                uint64_t detail);
int64_t events_next(const struct events *e); /* TIMER_NEVER when nothing is to come */
void events_run_one(struct events *e);       /* the earliest, which must be due */

/* Folds a fact into the trace. */
void events_note(struct events *e, const char *what, uint64_t id, uint64_t detail);

/* The yardstick: `count` events through a queue of `depth` that do nothing but renew themselves.
 * Returns the CPU seconds that it took. */
double events_empty_loop(uint64_t count, uint64_t depth);

#endif
