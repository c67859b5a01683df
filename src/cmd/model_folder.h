/* model_folder.h — the models that lie in a folder: NAME/config.json, OWNER/NAME/config.json and
 * NAME.gguf, without opening any of them. */
#ifndef CMD_MODEL_FOLDER_H
#define CMD_MODEL_FOLDER_H

#include "base/error.h"

#include <stddef.h>

struct model_folder_item {
    char *name; /* "NAME", "OWNER/NAME" */
    char *path;
};

struct model_folder {
    struct model_folder_item *items; /* by name */
    size_t count;
    size_t passed_over; /* models whose names a model may not have */
};

/* WEIR_INVALID when the folder cannot be read or holds too many. model_folder_finish is due in
 * either case. */
enum weir_code model_folder_list(struct model_folder *f, const char *path, struct weir_error *err);
void model_folder_finish(struct model_folder *f);

#endif
