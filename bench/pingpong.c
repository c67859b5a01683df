/* pingpong — how far apart the CPUs are now: one cache line goes to and fro between two threads for
 * 2 ms; prints the nanoseconds of one way. What two threads reach depends on it, and on a virtual
 * machine it changes. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>

#define RUN_NS 2000000

static _Atomic long ball;
static _Atomic bool over;

static void *answer(void *unused)
{
    long seen = 0;
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        const long now = atomic_load_explicit(&ball, memory_order_acquire);
        if (now != seen && now % 2 == 1) {
            seen = now + 1;
            atomic_store_explicit(&ball, seen, memory_order_release);
        }
    }
    return unused;
}

static void turn(long number)
{
    atomic_store_explicit(&ball, 2 * number + 1, memory_order_release);
    while (atomic_load_explicit(&ball, memory_order_acquire) != 2 * number + 2)
        continue;
}

int main(void)
{
    pthread_t other;
    BENCH_NEEDS(pthread_create(&other, NULL, answer, NULL) == 0);
    turn(0); /* waits for the other thread to start */
    const int64_t began = bench_ns();
    long turns = 1;
    while (bench_ns() - began < RUN_NS)
        turn(turns++);
    const int64_t took = bench_ns() - began;
    atomic_store(&over, true);
    pthread_join(other, NULL);
    printf("%.0f\n", (double)took / (double)(turns - 1) / 2);
    return 0;
}
