/* serve_models.h — the models that a server should have: from --model, from the sections of the
 * configuration file, and from what was found (found_models.h).
 *
 * A model's path comes from --model NAME=PATH, else from `path` of its section, else from where it
 * was found. Whatever its section leaves open is what the flags of the server say for all models.
 * Owns all its texts; touches the file system only to find models. */
#ifndef CMD_SERVE_MODELS_H
#define CMD_SERVE_MODELS_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/map.h"
#include "cmd/config.h"
#include "cmd/found_models.h"
#include "cmd/options.h"
#include "cmd/serve_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The keys of [model NAME], and where their values go. */
extern const struct option serve_models_keys[];
extern const size_t serve_models_keys_count;

struct model_options {
    const char *path, *capability, *alias;
    int64_t max_workers, min_workers, idle_ms, idle_label_ms, context, slots;
    int priority, precision;
    bool pin, preload, truncate;
};

struct serve_model {
    char *name;
    char *path;
    const char *path_origin;            /* "flag", "weir.conf:3"; borrowed from who said it */
    const struct config_model *section; /* NULL: it has none */
    struct options values;
    struct model_options options;
    struct buffer order; /* {"op":"register",…}, which also tells whether two are the same */
};

struct serve_models {
    struct serve_model *items; /* those of flags, then of the file, then those found */
    size_t count;
    struct map names, aliases; /* to the place in items, plus one */
    struct found_models found;
};

/* WEIR_INVALID names the flag or the line, and what would be right. serve_models_finish is due in
 * either case; `o`, `options` and `file` outlive it. */
enum weir_code serve_models_read(struct serve_models *m, const struct options *o,
                                 const struct serve_options *options, const struct config *file,
                                 struct weir_error *err);
void serve_models_finish(struct serve_models *m);

const struct serve_model *serve_models_find(const struct serve_models *m, const char *name);
/* By its name or an alias. */
const struct serve_model *serve_models_called(const struct serve_models *m, const char *name);

/* `[model NAME]` and a line a setting, with where each came from. */
void serve_models_print(const struct serve_models *m, struct buffer *out);

#endif
