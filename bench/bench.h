/* bench.h — what the benches share: a clock of nanoseconds, and the figures of many samples. Only
 * libc, so that a bench may link the library as any host does. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SAMPLES_MAX 65536

/* A bench that cannot measure has failed. */
#define BENCH_NEEDS(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static inline int64_t bench_ns(void)
{
    struct timespec t;
    BENCH_NEEDS(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A whole number of the command line. */
static inline unsigned bench_number(const char *text)
{
    char *end;
    const unsigned long value = strtoul(text, &end, 10);
    BENCH_NEEDS(*text != '\0' && *end == '\0' && value <= 1000000000);
    return (unsigned)value;
}

struct samples {
    int64_t ns[SAMPLES_MAX];
    size_t count;
};

static inline void samples_add(struct samples *s, int64_t ns)
{
    BENCH_NEEDS(s->count < SAMPLES_MAX);
    s->ns[s->count++] = ns;
}

static inline int samples_compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the samples; `share` 0.5 is the median. */
static inline double samples_quantile(struct samples *s, double share)
{
    BENCH_NEEDS(s->count > 0);
    qsort(s->ns, s->count, sizeof s->ns[0], samples_compare);
    return (double)s->ns[(size_t)(share * (double)(s->count - 1) + 0.5)];
}

/* Prints the line by which a bench passes or fails. */
static inline bool bench_ratio(const char *what, double value, double base, double most)
{
    const double ratio = value / base;
    printf("%s: ratio %.2f, at most %.2f: %s\n", what, ratio, most,
           ratio <= most ? "ok" : "FAILED");
    return ratio <= most;
}

#endif
