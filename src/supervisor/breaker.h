/* breaker.h — stops asking a model that keeps failing.
 *
 *     Closed ──failures in a row──► Open ──open_ms──► HalfOpen ──probes succeed──► Closed
 *                                     ▲──────────one failure─────────┘
 *
 * A value; the clock comes in. Callers count only failures of the model: mistakes of the client,
 * cancels, deadlines and refusals for memory are none. */
#ifndef SUPERVISOR_BREAKER_H
#define SUPERVISOR_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    enum breaker_state state;
    uint32_t failures;  /* in a row, while closed */
    uint32_t probing;   /* let through and not yet ended, while half open */
    uint32_t successes; /* while half open */
    int64_t open_until_ms;
};

struct breaker_limits {
    int64_t failures, open_ms, probes;
};

const char *breaker_name(enum breaker_state state); /* "closed", "open", "half_open" */

/* May a request go in? Half open lets `probes` in at a time; *probe says that this is one, and
 * breaker_probe_ended must follow. */
bool breaker_allows(struct breaker *b, const struct breaker_limits *l, int64_t now_ms, bool *probe);
void breaker_probe_ended(struct breaker *b);
void breaker_success(struct breaker *b, const struct breaker_limits *l);
void breaker_failure(struct breaker *b, const struct breaker_limits *l, int64_t now_ms);

#endif
