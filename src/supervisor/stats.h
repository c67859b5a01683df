/* stats.h — what the pool counts of its own doing, for supervisor_metrics.
 *
 * Counters only rise; whatever can be read off the state of the pool is not counted but looked at.
 * A model's are allocated with its first request or worker, so that an entry nobody uses costs
 * nothing. They stay when an entry gives way to another of its name. */
#ifndef SUPERVISOR_STATS_H
#define SUPERVISOR_STATS_H

#include "base/histogram.h"
#include "supervisor/child_rules.h"

#include "weir/error.h"

#include <stdint.h>

struct child;
struct job;
struct message_end;
struct model;
struct request;
struct supervisor;

/* Why a worker had to leave. */
#define EVICTIONS(X)                                                                               \
    X(IDLE, "idle")         /* nobody needed it any more */                                        \
    X(MEMORY, "memory")     /* another model did */                                                \
    X(PRESSURE, "pressure") /* the machine did */                                                  \
    X(UNLOAD, "unload")     /* it was asked to */                                                  \
    X(UNREGISTER, "unregister")                                                                    \
    X(SHUTDOWN, "shutdown")                                                                        \
    X(SETTINGS, "settings") /* its model may have fewer now */                                     \
    X(LOST, "lost")         /* it hung, or broke the protocol */

enum eviction {
#define X(NAME, name) EVICTION_##NAME,
    EVICTIONS(X)
#undef X
        EVICTION_COUNT
};

/* How a worker's process ended. */
#define EXITS(X)                                                                                   \
    X(LEFT, "left")       /* it was told to */                                                     \
    X(FAILED, "failed")   /* it said that it cannot load */                                        \
    X(CRASHED, "crashed") /* nobody told it to */                                                  \
    X(LOST, "lost")       /* it hung, or broke the protocol: killed */

enum exit_kind {
#define X(NAME, name) EXIT_##NAME,
    EXITS(X)
#undef X
        EXIT_COUNT
};

enum token_direction { TOKENS_INPUT, TOKENS_OUTPUT, TOKENS_COUNT };

struct model_stats {
    uint64_t outcomes[WEIR_CODE_COUNT]; /* requests by their end, refusals too */
    uint64_t evictions[EVICTION_COUNT];
    uint64_t exits[EXIT_COUNT];
    uint64_t tokens[TOKENS_COUNT];
    uint64_t spawned, restarts, merged;
    bool restart_due; /* a worker died and none was started since */
    struct histogram queue_wait, duration, load;
};

struct pool_stats {
    uint64_t retries, quarantined, breaker_opened;
};

const char *eviction_name(enum eviction e);
const char *exit_kind_name(enum exit_kind e);

/* One line each, where the fact happens. */
void stats_accepted(struct supervisor *s, struct model *m);
void stats_refused(struct model *m, enum weir_code code);
void stats_ended(struct supervisor *s, const struct request *r, enum weir_code code);
void stats_tokens(struct model *m, const struct message_end *end);
void stats_spawned(struct model *m);
void stats_step(struct supervisor *s, const struct child *c, enum child_event event); /* before */

/* Of m and, when it is unregistered and another has its name, for that one. Frees m's. */
void stats_leave(struct supervisor *s, struct model *m);
/* The sum of two entries of one name. */
void stats_add(struct model_stats *stats, const struct model_stats *more);

#endif
