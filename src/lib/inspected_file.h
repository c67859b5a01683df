/* inspected_file.h — what inspectors said of models, kept from one life of a pool to the next, so
 * that a thousand models that did not change cost no process at start.
 *
 * A row holds for one path, one way of asking, one stamp of the files (model_stamp.h), and for the
 * build and the processor that answered: a problem that was found ends with the files that had it.
 * At most INSPECTED_ROWS_MAX rows and INSPECTED_BYTES_MAX bytes, in memory and in `inspected` of
 * the cache folder; what was used longest ago is dropped first, by an order that is written down
 * with the next new row. The file is written whole, beside itself and renamed, at most every
 * INSPECTED_EVERY_MS and at the end. It only ever saves work: a file that is damaged or of another
 * build is left out, one that cannot be written is warned of and tried again after
 * INSPECTED_AGAIN_MS, and nothing else comes of it. */
#ifndef LIB_INSPECTED_FILE_H
#define LIB_INSPECTED_FILE_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "supervisor/settings.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INSPECTED_ROWS_MAX  4096
#define INSPECTED_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define INSPECTED_PATH_MAX  4096
#define INSPECTED_EVERY_MS  5000
#define INSPECTED_AGAIN_MS  600000

struct inspected_file {
    char *folder; /* NULL: nothing is kept */
    const struct log *log;
    uint64_t processor; /* as machine_processor says it */
    struct map rows;    /* by path and way of asking */
    struct link order;  /* of the same rows, the longest unused first */
    size_t bytes;       /* of the file that they make, all but its head */
    bool changed;       /* since it was written */
    bool warned;        /* that it cannot be written: the last time it could not */
    int64_t written_ms; /* or tried, or opened */
};

/* Reads what is there. `folder` may be NULL; the log is borrowed until the close. */
void inspected_file_open(struct inspected_file *f, const char *folder, uint64_t processor,
                         const struct log *log, int64_t now_ms);
/* The answer for just these files (`what->answer` is not looked at); borrowed until the next note
 * or the close. NULL: none is known. A stamp of 0 is nobody's. */
const struct message_inspected *inspected_file_find(struct inspected_file *f,
                                                    const struct inspected *what);
/* Keeps an answer instead of an older one, unless it is about a passing lack of something. */
void inspected_file_note(struct inspected_file *f, const struct inspected *what);
/* Writes if it is time; when it wants to be called again, or INT64_MAX. */
int64_t inspected_file_step(struct inspected_file *f, int64_t now_ms);
/* Writes what is left and frees. A zeroed struct is closed. */
void inspected_file_close(struct inspected_file *f);

#endif
