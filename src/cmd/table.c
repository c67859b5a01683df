#include "cmd/table.h"

#include "base/check.h"
#include "base/size.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CELLS_MAX (64 * MiB)
#define CELL_ROOM 256

void table_init(struct table *t, size_t columns)
{
    CHECK(columns > 0 && columns <= TABLE_COLUMNS_MOST);
    *t = (struct table){ .columns = columns };
    buffer_init(&t->cells, CELLS_MAX);
}

void table_finish(struct table *t)
{
    buffer_finish(&t->cells);
}

void table_cell(struct table *t, const char *format, ...)
{
    char text[CELL_ROOM];
    va_list args;
    va_start(args, format);
    str_vprint(text, sizeof(text), format, args);
    va_end(args);
    const size_t len = strlen(text), column = t->count++ % t->columns;
    if (len > t->widths[column])
        t->widths[column] = len;
    buffer_append(&t->cells, text, len + 1);
}

void table_print(const struct table *t, struct buffer *out)
{
    const char *at = (const char *)t->cells.data;
    if (t->cells.failed) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        const size_t column = i % t->columns;
        if (column + 1 < t->columns)
            buffer_printf(out, "%-*s  ", (int)t->widths[column], at);
        else
            buffer_printf(out, "%s\n", at);
        at += strlen(at) + 1;
    }
}
