/* pool.h — what the rooms of lib/ share: struct weir itself. Nobody outside includes it. */
#ifndef LIB_POOL_H
#define LIB_POOL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/log.h"
#include "base/map.h"
#include "lib/inspected_file.h"
#include "lib/learned_file.h"
#include "lib/process.h"
#include "supervisor/supervisor.h"

#include "weir/weir.h"

#include <sys/types.h>

#define WORKERS_MOST 1024 /* of one model */

struct weir {
    struct supervisor *supervisor;
    struct world world;
    struct log log;
    void (*log_user)(void *context, enum weir_log_level level, const char *line);
    void *log_context;
    void (*event_user)(void *context, const char *json, size_t bytes);
    void *event_context;
    char *worker_folder; /* NULL: searched for */
    struct model_settings defaults;
    size_t words_max;
    int64_t drain_ms;
    pid_t owner; /* the process that opened it */
    int epoll, timer, wake;
    bool awake;           /* wake was written and not yet read */
    bool stepping;        /* inside weir_step: a callback may not step or close */
    bool turn_ahead;      /* the step takes in facts, and decides and flushes after them */
    bool has_unsent;      /* frames that world_flush has not seen yet */
    int64_t timer_ms;     /* what the timer is set to */
    struct map processes; /* by id */
    struct arena scratch; /* of the output being delivered */
    struct buffer answer; /* of the last weir_control */
    struct buffer events; /* not yet told, each a JSON text and a NUL */
    struct learned_file learned;
    struct inspected_file inspected;
};

/* False in a child that the host forked: it shares descriptors with the owner, and what it would do
 * to them or to the workers, the owner would meet. */
bool pool_is_own(const struct weir *w, struct weir_error *err);

/* world.c: struct world with the operating system. */
void world_init(struct weir *w);
enum weir_code world_open(struct weir *w, struct weir_error *err); /* epoll and friends */
void world_close(struct weir *w);
void world_wake(struct weir *w); /* makes weir_fd readable until the next turn */
enum weir_code world_wait(struct weir *w, int timeout_ms, struct weir_error *err);
void world_flush(struct weir *w); /* what was sent within a step leaves together */
void world_arm(struct weir *w, int64_t next_ms);
void world_kill_all(struct weir *w);

#endif
