#include "base/histogram.h"

#define BOUNDS(X)                                                                                  \
    X(1, "0.001")                                                                                  \
    X(2, "0.002")                                                                                  \
    X(5, "0.005")                                                                                  \
    X(10, "0.01")                                                                                  \
    X(25, "0.025")                                                                                 \
    X(50, "0.05")                                                                                  \
    X(100, "0.1")                                                                                  \
    X(250, "0.25")                                                                                 \
    X(500, "0.5")                                                                                  \
    X(1000, "1")                                                                                   \
    X(2500, "2.5")                                                                                 \
    X(5000, "5")                                                                                   \
    X(10000, "10")                                                                                 \
    X(30000, "30")                                                                                 \
    X(60000, "60")                                                                                 \
    X(180000, "180")                                                                               \
    X(600000, "600")

const int64_t histogram_bounds_ms[] = {
#define X(ms, text) ms,
    BOUNDS(X)
#undef X
};

const char *const histogram_bounds_s[] = {
#define X(ms, text) text,
    BOUNDS(X)
#undef X
};

_Static_assert(sizeof(histogram_bounds_ms) / sizeof(histogram_bounds_ms[0]) == HISTOGRAM_BOUNDS,
               "HISTOGRAM_BOUNDS is the number of rows");

/* The bucket of a time, by halving: the bounds are in order. */
static size_t bucket_of(int64_t ms)
{
    size_t low = 0, high = HISTOGRAM_BOUNDS;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ms <= histogram_bounds_ms[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void histogram_observe(struct histogram *h, int64_t ms)
{
    if (ms < 0)
        ms = 0;
    h->buckets[bucket_of(ms)]++;
    h->count++;
    h->sum_ms += ms;
}

void histogram_add(struct histogram *h, const struct histogram *more)
{
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        h->buckets[i] += more->buckets[i];
    h->count += more->count;
    h->sum_ms += more->sum_ms;
}
