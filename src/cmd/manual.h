/* manual.h — what this program says of itself, written from its own tables: the forms of
 * `weir help --format`.
 *
 * A row that is added to a table of verbs, options, keys, limits, routes, fields, codes or metrics
 * is in all of them from then on. Nothing depends on the machine or on the time. */
#ifndef CMD_MANUAL_H
#define CMD_MANUAL_H

#include "base/buffer.h"
#include "base/error.h"

void manual_man(struct buffer *out);  /* weir.1, for groff's man macros */
void manual_bash(struct buffer *out); /* completion */
void manual_zsh(struct buffer *out);

/* docs/reference.md. What /metrics offers is asked of a pool and a server, opened for it. */
enum weir_code manual_markdown(struct buffer *out, struct weir_error *err);

#endif
