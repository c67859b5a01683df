/* found_models.h — the models that nobody named: those in the folder of models and in the Hugging
 * Face cache, each under one name. What both have is the folder's.
 *
 * Whether any of them can be served is not asked here: that is what inspection says. Owns its
 * texts; touches the file system when it is made, and for revisions. */
#ifndef CMD_FOUND_MODELS_H
#define CMD_FOUND_MODELS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define FOUND_MODELS_MOST 4096 /* in one place */

enum found_place { FOUND_IN_FOLDER, FOUND_IN_HUB, FOUND_PLACES };

struct found_model {
    char *name; /* "NAME", "OWNER/NAME" */
    char *path;
    enum found_place place;
};

struct found_models {
    struct found_model *items; /* by name */
    size_t count;
    char *places[FOUND_PLACES];       /* where was looked; NULL: nowhere */
    size_t passed_over[FOUND_PLACES]; /* models that no name may lead to, and those beyond MOST */
    struct weir_error hub_problem;    /* WEIR_OK, or why the cache cannot be read */
};

/* `folder` and `hub` may be NULL. WEIR_INVALID when the folder cannot be read or has too many;
 * found_models_finish is due in either case. */
enum weir_code found_models_look(struct found_models *f, const char *folder, const char *hub,
                                 struct weir_error *err);
void found_models_finish(struct found_models *f);

const char *found_place_name(enum found_place place); /* "the folder of models" */

/* The path of that name, also of a NAME@REVISION that the Hugging Face cache has; NULL when it lies
 * nowhere. Caller frees. */
char *found_models_path(const struct found_models *f, const char *name, enum found_place *place);

#endif
