/* model_folder.h — the models that lie in a folder: NAME/config.json, OWNER/NAME/config.json (or
 * modules.json) and NAME.gguf, without opening any of them. */
#ifndef CMD_MODEL_FOLDER_H
#define CMD_MODEL_FOLDER_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

/* Tells of each, in no order; ends early when `tell` says so by false. A folder and a file may have
 * one name. WEIR_INVALID when the folder cannot be read. */
enum weir_code model_folder_list(const char *folder,
                                 bool (*tell)(void *context, struct str name, const char *path),
                                 void *context, struct weir_error *err);

#endif
