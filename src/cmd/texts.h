/* texts.h — the texts of a verb, in batches: from its arguments, or line by line from a descriptor.
 *
 * A batch is given as soon as it is full or nothing more can be read without waiting, so that
 * answers begin while the input is still being made. A line that is blank, too long or not UTF-8 is
 * an error naming its number, reported after the texts before it. */
#ifndef CMD_TEXTS_H
#define CMD_TEXTS_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXTS_BATCH     256
#define TEXTS_BYTES_MAX (8 * 1024 * 1024) /* of one line; several lines stop at 1 MiB together */

struct texts {
    struct str items[TEXTS_BATCH]; /* the batch, borrowed until the next call */
    size_t count;
    size_t first; /* number of items[0] among all texts, from 0 */
    bool are_lines;
    /* Private. */
    const char *const *arguments;
    size_t arguments_count;
    int fd;
    struct buffer in;
    size_t used;           /* bytes of `in` that the batch borrows */
    uint64_t passed, size; /* bytes of the lines before the batch, and of a file; 0: not known */
    size_t next;           /* number of the next text */
    bool ended;
    struct weir_error problem;
};

void texts_of_arguments(struct texts *t, const char *const *arguments, size_t count);
void texts_of_lines(struct texts *t, int fd);
void texts_finish(struct texts *t);

/* Texts that will come in all, 0 when that is not known; and what part of the input was given with
 * the batch, 0 to 1, or less than 0. */
size_t texts_total(const struct texts *t);
double texts_share(const struct texts *t);

/* Makes an error of a request say which of all texts it is about: "line 151 has 602 tokens …". The
 * request had `count` texts of the batch, from items[from] on; the pool counts them from 0. False
 * when the error is of none of them. */
bool texts_name_error(const struct texts *t, size_t from, size_t count, struct weir_error *err);

/* Makes the next batch; count 0 at the end. */
enum weir_code texts_next(struct texts *t, struct weir_error *err);

#endif
