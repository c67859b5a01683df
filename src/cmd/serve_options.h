/* serve_options.h — what `weir serve` can be told, and the checks that need more than one value.
 *
 * Turns the option table's texts into what weir.h and server.h take. Owns the lists it makes;
 * borrows the texts of the options. */
#ifndef CMD_SERVE_OPTIONS_H
#define CMD_SERVE_OPTIONS_H

#include "cmd/options.h"
#include "server/server.h"

#include "weir/weir.h"

#include <stddef.h>
#include <stdint.h>

struct serve_options {
    struct option_list listen, models, limits, allow_hosts, allow_origins;
    struct option_memory memory;
    int64_t threads, max_workers, min_workers, idle_ms, idle_label_ms;
    int log_format; /* 0 text, 1 json */
    int log_level;  /* enum log_level */
    bool print_config;
};

#define SERVE_OPTIONS_COUNT 14
extern const struct option serve_options_table[SERVE_OPTIONS_COUNT];

struct serve_model {
    char *name;
    char *path;
};

struct serve_settings {
    struct serve_model *models;
    size_t models_count;
    struct server_limits server_limits;
    struct weir_limit *pool_limits; /* what the server does not know */
    char **limit_names;             /* owns the names in pool_limits */
    size_t pool_limits_count;
    int64_t drain_ms;
};

#define SERVE_DRAIN_MS 5000 /* the default of drain_ms */

/* Checks and converts. WEIR_INVALID names the flag, the value and what would be right. */
enum weir_code serve_settings_read(struct serve_settings *s, const struct serve_options *options,
                                   struct weir_error *err);
void serve_settings_finish(struct serve_settings *s);

#endif
