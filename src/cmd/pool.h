/* pool.h — the pool inside a one-shot verb: one model, one worker, one request at a time.
 *
 * Owns a libuv loop that polls weir_fd, and catches SIGINT and SIGTERM while it waits, so that the
 * workers are gone before the verb is. Between calls signals have their ordinary effect. */
#ifndef CMD_POOL_H
#define CMD_POOL_H

#include "cmd/options.h"

#include "weir/weir.h"

#include <stdint.h>

struct pool;

struct pool_settings {
    struct option_memory memory;
    int64_t threads; /* 0: the cores */
};

/* Opens the pool and waits until the model at `path` was inspected. */
enum weir_code pool_open(const char *name, const char *path, const struct pool_settings *settings,
                         struct pool **out, struct weir_error *err);
void pool_close(struct pool *p);

/* Submits the operation and waits for its end. `on_output` (with `context`) sees every output.
 * WEIR_CANCELLED after a signal, whose number is then err->value. */
enum weir_code pool_run(struct pool *p, enum weir_operation operation, const void *input,
                        void (*on_output)(void *context, const struct weir_output *output),
                        void *context, struct weir_error *err);

#endif
