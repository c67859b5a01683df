/* learned.h — what workers of a file were seen to need, in this life and in earlier ones.
 *
 * A bounded table of figures, one for each way of loading a file: digest, context, slots, threads,
 * precision, and whether the packed weights were prepared.
 * The use of memory only rises; the time of a load is that of the last one. What changes so much
 * that it matters is told to options.on_learned, who keeps it for the next life. */
#ifndef SUPERVISOR_LEARNED_H
#define SUPERVISOR_LEARNED_H

#include "supervisor/settings.h"

#include <stddef.h>

struct child;
struct model;
struct supervisor;

#define LEARNED_ROWS 1024 /* then the one learned longest ago is forgotten */

struct learned_table {
    struct learned *rows; /* room for LEARNED_ROWS from the first one on */
    size_t count, next;
};

void learned_finish(struct learned_table *t);
/* Of the model's next worker; NULL when nothing is known. Borrowed until the next call below. */
const struct learned *learned_find(const struct supervisor *s, const struct model *m,
                                   uint32_t context, uint32_t slots);
void learned_use(struct supervisor *s, const struct child *c); /* it was measured */
void learned_load(struct supervisor *s, const struct child *c, int64_t load_ms);

#endif
