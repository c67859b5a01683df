/* local_models.h — models without a server: those that `weir serve` would serve with this
 * environment and configuration file, with the settings they would have there, in a pool inside
 * the command.
 *
 * Nothing is loaded before it is asked: what would stay loaded by its settings does not here. */
#ifndef CMD_LOCAL_MODELS_H
#define CMD_LOCAL_MODELS_H

#include "base/error.h"
#include "cmd/pool.h"
#include "cmd/serve_config.h"

#include <jansson.h>

/* Reads the environment and the file. serve_config_finish is due in either case. */
enum weir_code local_models_read(struct serve_config *c, struct weir_error *err);

/* The object of GET /weir/v1/status, as a server of these models would answer it. */
enum weir_code local_models_status(const struct serve_config *c, json_t **out,
                                   struct weir_error *err);

/* That of GET /weir/v1/plan for one model: a path, a name or alias of the configuration, or what
 * lies under that name where models lie. WEIR_NO_SUCH_MODEL says where it was looked for. */
enum weir_code local_models_plan(const struct serve_config *c, const char *model, json_t **out,
                                 struct weir_error *err);

/* A pool that runs one such model, inspected and found to be of use, with one worker. What
 * `settings` leave open is filled in from environment and configuration. */
enum weir_code local_models_open(const char *model, struct pool_settings *settings,
                                 struct pool **out, struct weir_error *err);

#endif
