/* score.h — the number that a piece's score is.
 *
 * A path through a text is chosen by sums of scores, and ids are only those of the reference
 * library when the sums are. That library does not round a decimal text to the nearest double: it
 * takes as many digits as 64 bits hold for one integer and divides it by a power of ten, which is
 * a unit off for every eighth score. So does this. */
#ifndef TEXT_SCORE_H
#define TEXT_SCORE_H

#include "base/str.h"

#include <stdbool.h>

/* `number` is a JSON number; false when it is out of a double's range. */
bool score_read(struct str number, double *out);

#endif
