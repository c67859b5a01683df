/* histogram.h — how long things took: counts in fixed ranges of time.
 *
 * A value of a fixed size; zero is empty. Bucket i counts what took no longer than bound i and
 * longer than the bound before, the last what took longer than every bound. One table of bounds
 * serves all, from a millisecond to ten minutes, so that any two can be added. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 17

struct histogram {
    uint64_t buckets[HISTOGRAM_BOUNDS + 1];
    uint64_t count;
    int64_t sum_ms;
};

extern const int64_t histogram_bounds_ms[HISTOGRAM_BOUNDS];    /* ascending */
extern const char *const histogram_bounds_s[HISTOGRAM_BOUNDS]; /* the same in seconds, decimal */

void histogram_observe(struct histogram *h, int64_t ms); /* a negative time counts as 0 */
void histogram_add(struct histogram *h, const struct histogram *more);

#endif
