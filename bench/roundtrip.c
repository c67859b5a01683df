/* roundtrip — what a hop costs here and now: bench-roundtrip MILLISECONDS
 *
 * One byte goes to another process over a socket pair and back, one after another for so long.
 * Prints the median in microseconds. */
#include "echo.h"

int main(int argc, char **argv)
{
    static struct samples round_trips;
    BENCH_NEEDS(argc == 2);
    const int64_t until = bench_ns() + (int64_t)bench_number(argv[1]) * 1000000;
    const struct echo echo = echo_start();
    while (bench_ns() < until && round_trips.count < SAMPLES_MAX)
        samples_add(&round_trips, echo_round_trip(&echo));
    echo_stop(&echo);
    printf("%.1f\n", samples_quantile(&round_trips, 0.5) / 1000);
    return 0;
}
