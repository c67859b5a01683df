/* folder.h — the small files of a model folder in Hugging Face layout.
 *
 * Each file is read once, whole and bounded, and kept as text and as JSON until the folder is
 * finished; their bytes and names, in the order of reading, go into the model's digest. What cannot
 * be read is WEIR_LOAD_FAILED and names the file. */
#ifndef MODEL_FOLDER_H
#define MODEL_FOLDER_H

#include "base/buffer.h"
#include "base/error.h"
#include "text/field.h"

#include <stdbool.h>
#include <stddef.h>

#define FOLDER_FILES_MAX  32
#define FOLDER_CONFIG_MAX (4 * 1024 * 1024)

struct folder_file {
    char *name; /* below the folder */
    struct buffer text;
    json_t *json; /* NULL for a file that was read as text */
};

struct folder {
    const char *path; /* borrowed */
    struct folder_file files[FOLDER_FILES_MAX];
    size_t count;
};

enum folder_need {
    FOLDER_REQUIRED,
    FOLDER_OPTIONAL,
    FOLDER_OPTIONAL_REALS, /* and its integers are read as fractions, however long they are */
};

void folder_init(struct folder *f, const char *path);
void folder_finish(struct folder *f);

/* *out has a NULL value when an optional file is not there. Borrowed from the folder; a file asked
 * for again is not read again. */
enum weir_code folder_json(struct folder *f, const char *name, enum folder_need need,
                           struct field *out, struct weir_error *err);
enum weir_code folder_text(struct folder *f, const char *name, size_t bytes_max, struct str *out,
                           struct weir_error *err);

/* Whether a name that a file gives leads to a place inside the folder. */
bool folder_is_inside(const char *name);
/* Whether this is what a clone without Git LFS leaves in the place of a file. */
#define FOLDER_POINTER_SAYS "it is a pointer of Git LFS, the file itself was not fetched"
bool folder_is_pointer(struct str data);
/* A link that leads nowhere counts, and what may not be looked at: such a file is not one that the
 * model does without. */
bool folder_has(const struct folder *f, const char *name);

/* "folder/name", as file_join; WEIR_LOAD_FAILED when the folder or the file is not there. */
enum weir_code folder_path(const struct folder *f, const char *name, char **out,
                           struct weir_error *err);

#endif
