/* config.h — the configuration file as text: sections, names, values, and where each one stands.
 *
 * A line is `name = value`, `[section]`, or a comment that begins with '#' or ';'. Behind a value a
 * comment needs a blank before its sign; a value in double quotes is taken as it is. What stands
 * before the first section belongs to [serve]; [limits] holds limits by name; [model NAME] comes
 * once a model. What the names and values mean is the business of who reads them, by options.h. */
#ifndef CMD_CONFIG_H
#define CMD_CONFIG_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "cmd/options.h"

#include <stddef.h>

/* One [model NAME]. */
struct config_model {
    const char *name;
    const char *origin; /* "/etc/weir/weir.conf:12" */
    struct option_setting *settings;
    size_t count;
};

/* A zeroed struct is a file without a line. */
struct config {
    struct arena arena;
    const char *path;             /* NULL: no file was read */
    struct option_setting *serve; /* [serve]; a limit is here as "limit" with "NAME=VALUE" */
    size_t serve_count;
    struct option_setting *model_settings; /* of all models, in the order of the file */
    struct config_model *models;
    size_t models_count;
};

/* Reads `asked`, which must exist, or when that is NULL the file of the user, else of the system,
 * of which neither needs to. WEIR_INVALID names file and line. config_finish is due in either
 * case. */
enum weir_code config_load(struct config *c, const char *asked, struct weir_error *err);

/* The same for a text; `path` is what its lines are called by. */
enum weir_code config_parse(struct config *c, const char *path, struct str text,
                            struct weir_error *err);
void config_finish(struct config *c);

#endif
