/* serve_options.h — what `weir serve` can be told, and the checks that need more than one value.
 *
 * Turns the option table's texts into what weir.h and server.h take; the models are the matter of
 * serve_models.h. Owns the lists it makes;
 * borrows the texts of the options. */
#ifndef CMD_SERVE_OPTIONS_H
#define CMD_SERVE_OPTIONS_H

#include "cmd/options.h"
#include "server/server.h"

#include "weir/weir.h"

#include <stddef.h>
#include <stdint.h>

struct serve_options {
    const char *config, *models_folder, *api_key_file;
    struct option_list listen, models, limits, allow_hosts, allow_origins, image_roots;
    struct option_memory memory;
    int64_t threads, max_workers, min_workers, idle_ms, idle_label_ms;
    int log_format; /* 0 text, 1 json */
    int log_level;  /* enum log_level */
    bool allow_image_urls;
    bool print_config;
};

#define SERVE_OPTIONS_COUNT 19
extern const struct option serve_options_table[SERVE_OPTIONS_COUNT];

struct serve_settings {
    struct server_limits server_limits;
    struct weir_limit *pool_limits; /* what the server does not know */
    char **limit_names;             /* owns the names in pool_limits */
    size_t pool_limits_count;
    int64_t drain_ms;
};

/* How long a model may be quiet: what weir_control can be told. */
#define SERVE_IDLE_LEAST_MS 1
#define SERVE_IDLE_MOST_MS  INT32_MAX

/* Checks and converts what `o` read into `options`. WEIR_INVALID names where the value was said,
 * the value and what would be right. */
enum weir_code serve_settings_read(struct serve_settings *s, const struct options *o,
                                   const struct serve_options *options, struct weir_error *err);
void serve_settings_finish(struct serve_settings *s);

/* `limit = NAME=VALUE  (default)`, a line a limit that was not given. */
void serve_settings_print_defaults(const struct serve_settings *s, struct buffer *out);

#endif
