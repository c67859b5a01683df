/* clock.h — time. Monotonic for every decision; wall-clock only to be shown. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);      /* monotonic milliseconds */
int64_t clock_ns(void);      /* monotonic nanoseconds */
int64_t clock_wall_ms(void); /* since 1970, UTC */
void clock_sleep_ms(int64_t ms);

#endif
