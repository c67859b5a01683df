/* output_file.h — a file that is written piece by piece and takes its name when it is complete.
 *
 * The pieces go to a file beside the target: there is the old file or the whole new one. When the
 * work ends early, what was written can be kept under the target's name with ".part" behind it:
 * whole pieces only, below the head that belongs to them. */
#ifndef CMD_OUTPUT_FILE_H
#define CMD_OUTPUT_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_HEAD_ROOM 128

/* Zeroed, or with fd -1: nothing is open. */
struct output_file {
    char *path, *temporary, *part;
    int fd;
    uint8_t head[OUTPUT_HEAD_ROOM];
    size_t head_bytes;
    uint64_t bytes; /* of whole pieces, with the head */
};

/* `head_bytes` are left free at the beginning, for what f->head holds in the end. Refuses a target
 * that is there and is no regular file; a link is none. */
enum weir_code output_file_begin(struct output_file *f, const char *path, size_t head_bytes,
                                 struct weir_error *err);
/* All of it or, after an error, nothing. */
enum weir_code output_file_write(struct output_file *f, const void *data, size_t bytes,
                                 struct weir_error *err);
/* Each ends it; all but the first are harmless when nothing is open. */
enum weir_code output_file_end(struct output_file *f, struct weir_error *err);
enum weir_code output_file_keep(struct output_file *f, struct weir_error *err);
void output_file_discard(struct output_file *f);

/* Gives the temporary file the name `to`, or removes it when that fails: false with errno. May be
 * called by a signal handler; nothing is freed. */
bool output_file_settle(const struct output_file *f, const char *to);

#endif
