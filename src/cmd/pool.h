/* pool.h — the pool inside a one-shot verb: one request at a time, of one model, by one worker.
 *
 * Owns a libuv loop that polls weir_fd, and catches SIGINT and SIGTERM while it waits, so that the
 * workers are gone before the verb is. Between calls the signals are whose they were before. */
#ifndef CMD_POOL_H
#define CMD_POOL_H

#include "base/str.h"
#include "cmd/options.h"

#include "weir/weir.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct pool;

struct pool_settings {
    struct option_memory memory;
    int64_t threads; /* 0: the cores */
};

/* The rows of a verb's option table for a `struct pool_settings pool` in its struct. */
#define POOL_OPTIONS(STRUCT)                                                                       \
    OPTION(.name = "memory", .type = OPTION_MEMORY, .offset = offsetof(STRUCT, pool.memory),       \
           .argument = "SIZE", .environment = "WEIR_MEMORY", .fallback_says = "as for weir serve", \
           .help = "Budget when the model runs inside this command."),                             \
        OPTION(.name = "threads", .type = OPTION_INTEGER,                                          \
               .offset = offsetof(STRUCT, pool.threads), .argument = "N",                          \
               .environment = "WEIR_THREADS", .fallback_says = "as for weir serve", .least = 1,    \
               .most = 1024, .help = "Compute threads when the model runs inside this command.")

/* A pool without models; its workers are never more than one a model. */
enum weir_code pool_start(const struct pool_settings *settings, struct pool **out,
                          struct weir_error *err);
/* weir_control. *out (NULL: not wanted) is the caller's, json_decref. */
enum weir_code pool_ask(struct pool *p, struct str order, json_t **out, struct weir_error *err);
/* Until it is known of every model what it is, or what is wrong with it. */
enum weir_code pool_wait_inspected(struct pool *p, struct weir_error *err);

void pool_close(struct pool *p); /* NULL is fine */

/* Waits until the one model that was registered is inspected, and takes it for what is run. */
enum weir_code pool_take_model(struct pool *p, const char *name, struct weir_error *err);

/* What inspection found of the model. */
struct pool_model {
    bool embeds;              /* texts to vectors */
    uint64_t tokens_max;      /* of one text; 0: not stated */
    uint64_t flops_per_token; /* of the matrix products with weights; 0: not stated */
};
const struct pool_model *pool_model(const struct pool *p); /* borrowed until pool_close */

/* Submits the operation and waits for its end. `on_output` (with `context`) sees every output.
 * WEIR_CANCELLED after a signal, whose number is then err->value. */
enum weir_code pool_run(struct pool *p, enum weir_operation operation, const void *input,
                        void (*on_output)(void *context, const struct weir_output *output),
                        void *context, struct weir_error *err);

#endif
