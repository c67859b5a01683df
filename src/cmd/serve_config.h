/* serve_config.h — everything that `weir serve` was told, read and checked as a whole.
 *
 * Reading it a second time gives what the configuration file says now, with the flags as they were:
 * that is what SIGHUP does. Nothing is applied here, so that a bad file can be refused whole. */
#ifndef CMD_SERVE_CONFIG_H
#define CMD_SERVE_CONFIG_H

#include "base/buffer.h"
#include "base/error.h"
#include "cmd/config.h"
#include "cmd/options.h"
#include "cmd/serve_models.h"
#include "cmd/serve_options.h"

/* The command line and the environment, which last as long as the program. */
struct serve_sources {
    int argc;
    char *const *argv;
    char *const *environment;
    bool without_keys; /* only the models are wanted, and the keys may be another user's secret */
};

struct api_keys;

struct serve_config {
    struct config file;
    struct options values;
    struct serve_options options;
    struct serve_settings settings;
    struct serve_models models;
    struct api_keys *keys; /* NULL: none are asked for */
};

/* WEIR_INVALID says what is wrong and where it was said. serve_config_finish is due in either case;
 * the struct must not move, for `values` points at `options`. */
enum weir_code serve_config_read(struct serve_config *c, const struct serve_sources *from,
                                 struct weir_error *err);
void serve_config_finish(struct serve_config *c);

/* Every option, limit and model, its value, and where it came from. */
void serve_config_print(const struct serve_config *c, struct buffer *out);

#endif
