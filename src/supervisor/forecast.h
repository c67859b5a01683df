/* forecast.h — how long a request will wait, from how long the jobs of its model run.
 *
 * Arithmetic over what was measured; nothing is decided by it. Where nothing was measured yet the
 * answer is the least that can be said, not a guess. */
#ifndef SUPERVISOR_FORECAST_H
#define SUPERVISOR_FORECAST_H

#include <stddef.h>
#include <stdint.h>

#define FORECAST_LEAST_MS 1000 /* of what callers are told to wait before they come again */
#define FORECAST_MOST_MS  600000

struct model;
struct supervisor;

void forecast_ran(struct model *m, int64_t ran_ms); /* one of its jobs ended well */
/* Until the job that is the place-th of those that wait (from 1) is given to a worker. */
int64_t forecast_wait_ms(const struct supervisor *s, const struct model *m, size_t place);
/* Retry-After: until all that waits for the model now is with a worker. */
int64_t forecast_retry_ms(const struct supervisor *s, const struct model *m);
/* Retry-After of one for whom there is no memory: until another model's work is done. */
int64_t forecast_memory_ms(const struct supervisor *s, const struct model *m);
/* Retry-After of one who comes while the pool shuts down: until it has. */
int64_t forecast_drain_ms(const struct supervisor *s);

#endif
