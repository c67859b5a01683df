/* main.c — sim [--events N] [--seed S] [--runs R] [--trace]
 *
 * Drives the real supervisor through N random events of each of R seeds, from S on, in virtual
 * time; a tenth of the first seed twice, as the same seed must do the same. A failure says its seed
 * and event; `--seed` of that seed with the same `--events` replays it. A run fails unless
 * everything that can happen happened often enough, over all seeds together. */
#include "heap.h"
#include "sim.h"

#include "base/str.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Of each thing that can happen so many, or one for so many events in a run that is short. */
#define TIMES_LEAST    100
#define EVENTS_FOR_ONE 30000
#define EMPTY_EVENTS   3000000

static const struct sim *running;
static uint64_t running_seed, running_events;

static void on_abort(int signal_number)
{
    char line[200];
    (void)signal_number;
    int length =
        snprintf(line, sizeof line,
                 "sim: failed at event %" PRIu64 ", %" PRId64 " ms; again with --seed %" PRIu64
                 " --events %" PRIu64 " --trace\n",
                 running->events.happened, running->events.now_ms, running_seed, running_events);
    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
        _exit(3);
    fflush(stdout);
    _exit(2);
}

#ifdef WEIR_SANITIZED
/* What the sanitizer finds ends in on_abort too, so that it says the seed. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}
#endif

static void run(uint64_t seed, uint64_t events, bool trace, struct counts *c)
{
    static struct sim s;
    const int64_t used = heap_blocks();
    running = &s;
    running_seed = seed;
    running_events = events;
    sim_open(&s, seed, trace);
    phase_storm(&s, events);
    phase_calm(&s);
    phase_drain(&s);
    counts_add(c, &s);
    sim_close(&s);
    SIM_EXPECT(heap_blocks() == used, "%" PRId64 " blocks were not given back",
               heap_blocks() - used);
}

static bool is_repeatable(uint64_t seed, uint64_t events)
{
    struct counts first = { 0 }, second = { 0 };
    run(seed, events, false, &first);
    run(seed, events, false, &second);
    if (first.trace != second.trace)
        fprintf(stderr, "sim: seed %" PRIu64 " went another way the second time\n", seed);
    return first.trace == second.trace;
}

/* How fast it was, beside a loop that does nothing over a queue as long. */
static void report_speed(const struct counts *c, double seconds)
{
    const double empty = events_empty_loop(EMPTY_EVENTS, c->depths / c->events + 1);
    printf("  %9.0f  events a second of CPU time\n  %9.0f  of an empty loop over the same queue\n",
           (double)c->events / seconds, EMPTY_EVENTS / empty);
}

static uint64_t number(const char *text)
{
    uint64_t value = 0;
    if (text == NULL || !str_to_u64(str_of(text), &value)) {
        fprintf(stderr, "sim: '%s' is no number\n", text != NULL ? text : "");
        exit(1);
    }
    return value;
}

int main(int argc, char **argv)
{
    uint64_t events = 100000, seed = 1, runs = 1;
    bool trace = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--events") == 0)
            events = number(argv[++i]);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = number(argv[++i]);
        else if (strcmp(argv[i], "--runs") == 0)
            runs = number(argv[++i]);
        else if (strcmp(argv[i], "--trace") == 0)
            trace = true;
        else {
            fprintf(stderr, "usage: sim [--events N] [--seed S] [--runs R] [--trace]\n");
            return 1;
        }
    }
    signal(SIGABRT, on_abort);
    if (!trace && !is_repeatable(seed, events / 10))
        return 2;
    struct counts counts = { 0 };
    const clock_t begun = clock();
    for (uint64_t last = seed + runs; seed < last; seed++) {
        run(seed, events, trace, &counts);
        printf("seed %" PRIu64 ", trace %016" PRIx64 "\n", seed, counts.trace);
        fflush(stdout);
    }
    const double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    uint64_t least = counts.events / EVENTS_FOR_ONE;
    least = least < TIMES_LEAST ? least : TIMES_LEAST;
    const bool enough = counts_report(&counts, least);
    report_speed(&counts, seconds);
    if (!enough)
        fprintf(stderr, "sim: some things happened less than %" PRIu64 " times\n", least);
    return enough ? 0 : 1;
}
