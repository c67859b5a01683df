/* learned_file.h — what is known of the files' needs, kept from one life of a pool to the next.
 *
 * At most LEARNED_ROWS_MAX rows in memory and in `learned.json` of the cache folder, the oldest
 * dropped first. The file is written whole, beside itself and renamed, at most every
 * LEARNED_EVERY_MS and at the end. It only ever saves work: a file that cannot be read or is of
 * another build is left out, one that cannot be written is warned of and tried again after
 * LEARNED_AGAIN_MS, and nothing else comes of it. */
#ifndef LIB_LEARNED_FILE_H
#define LIB_LEARNED_FILE_H

#include "base/log.h"
#include "supervisor/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEARNED_ROWS_MAX 1024
#define LEARNED_EVERY_MS 5000
#define LEARNED_AGAIN_MS 600000

struct learned_file {
    char *folder; /* NULL: nothing is kept */
    const struct log *log;
    struct learned *rows; /* LEARNED_ROWS_MAX of them, the oldest first */
    size_t count;
    bool changed;       /* since it was written */
    bool warned;        /* that it cannot be written: the last time it could not */
    int64_t written_ms; /* or tried, or opened */
};

/* Reads what is there. `folder` may be NULL; the log is borrowed until the close. */
void learned_file_open(struct learned_file *f, const char *folder, const struct log *log,
                       int64_t now_ms);
/* A row of the same file and the same way of loading it is replaced, and is the newest again. */
void learned_file_note(struct learned_file *f, const struct learned *row);
/* Writes if it is time; when it wants to be called again, or INT64_MAX. */
int64_t learned_file_step(struct learned_file *f, int64_t now_ms);
/* Writes what is left and frees. A zeroed struct is closed. */
void learned_file_close(struct learned_file *f);

#endif
