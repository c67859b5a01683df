/* table.h — rows of text in columns as wide as they need to be. Cells are kept until all are
 * known. */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include "base/buffer.h"

#include <stddef.h>

#define TABLE_COLUMNS_MOST 16

struct table {
    struct buffer cells; /* NUL-terminated texts, row by row */
    size_t widths[TABLE_COLUMNS_MOST];
    size_t columns, count;
};

void table_init(struct table *t, size_t columns);
void table_finish(struct table *t);
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All rows so far; nothing when there was no memory for them, which `out` then shows. */
void table_print(const struct table *t, struct buffer *out);

#endif
