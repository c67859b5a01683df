/* progress.h — how far a long work is, as one line of a terminal that is rewritten and wiped.
 *
 * Only on a stderr that is a terminal, at most ten times a second, and never when the terminal is
 * where the answers go too. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_ROOM 128

struct progress {
    bool shown;
    size_t total; /* of texts; 0: not known */
    int64_t start_ms, last_ms;
};

/* `wanted`: the answers go elsewhere. */
void progress_begin(struct progress *p, size_t total, bool wanted);
/* With nothing done at once, for it will take long; else when some time has passed. `share` is the
 * part of the input that is done, 0 to 1, or less than 0 when that is not known. */
void progress_show(struct progress *p, size_t done, double share);
void progress_end(struct progress *p); /* wipes the line */

/* "[######------]  50 %  512 of 1024 texts, 100 a second", without the part that is not known. */
void progress_line(const struct progress *p, size_t done, double share, int64_t elapsed_ms,
                   char out[PROGRESS_ROOM]);

#endif
