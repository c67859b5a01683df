/* model_ref.h — what a MODEL on the command line means: a path, or a name.
 *
 * A path begins with "/", "./", "../", "~" or "fake:"; everything else is a name, of at most 200
 * letters, digits and ". _ / : -", with an optional "@revision", as the pool takes them. Touches
 * the file system only to look names up. */
#ifndef CMD_MODEL_REF_H
#define CMD_MODEL_REF_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

bool model_ref_is_path(const char *text);
bool model_ref_is_name(struct str text);

/* What model_ref_is_name wants, for messages. */
#define MODEL_REF_NAME_RULE                                                                        \
    "at most 200 letters, digits and . _ / : -, with an @revision or without"

/* The path with a leading "~/" replaced by $HOME. Caller frees with mem_free. */
char *model_ref_expand(const char *path);

/* What the Hugging Face cache at `hub` has of NAME or NAME@REVISION, or NULL. Caller frees. */
char *model_ref_in_hub(const char *hub, const char *name);

/* Where the name's model lies: in the folder of models (folders_models), as it is or with .gguf
 * behind it, else in the Hugging Face cache (folders_hub). WEIR_NO_SUCH_MODEL names the places that
 * were tried. Caller frees *out. */
enum weir_code model_ref_find(const char *name, char **out, struct weir_error *err);

#endif
