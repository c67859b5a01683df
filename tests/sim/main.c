/* main.c — sim [--events N] [--seed S] [--runs R] [--trace]
 *
 * Drives the real supervisor through N random events of R seeds in virtual time, each seed twice:
 * the same seed must do the same. A run fails unless everything that can happen happened often
 * enough. */
#include "sim.h"

#include "base/str.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of each thing that can happen, at least one for so many events. */
#define EVENTS_FOR_ONE 5000

static const struct sim *running;
static uint64_t running_seed;

static void on_abort(int signal_number)
{
    char line[200];
    (void)signal_number;
    int length = snprintf(line, sizeof line,
                          "sim: failed at seed %" PRIu64 ", event %" PRIu64 ", %" PRId64 " ms\n",
                          running_seed, running->events.happened, running->events.now_ms);
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

struct counts {
    uint64_t events, turns, accepted, refused, trace;
    uint64_t codes[WEIR_CODE_COUNT], refusals[WEIR_CODE_COUNT], faults[FAULT_COUNT];
    uint64_t verdicts[VERDICT_COUNT];
    uint64_t rules[CHILD_STATE_COUNT][CHILD_EVENT_COUNT];
};

static void count(const struct sim *s, struct counts *c)
{
    struct supervisor_totals t;
    supervisor_totals(s->supervisor, &t);
    c->events = s->events.happened;
    c->turns = s->turns;
    c->accepted = s->accepted;
    c->refused = s->refused;
    c->trace = s->events.trace;
    memcpy(c->codes, s->codes, sizeof c->codes);
    memcpy(c->refusals, s->refusals, sizeof c->refusals);
    memcpy(c->faults, s->world.fault_counts, sizeof c->faults);
    memcpy(c->verdicts, t.verdicts, sizeof c->verdicts);
    memcpy(c->rules, t.rules, sizeof c->rules);
}

static void run(uint64_t seed, uint64_t events, bool trace, struct counts *c)
{
    static struct sim s;
    running = &s;
    running_seed = seed;
    sim_open(&s, seed, trace);
    phase_storm(&s, events);
    phase_calm(&s);
    phase_drain(&s);
    count(&s, c);
    sim_close(&s);
}

static bool often(const char *kind, const char *what, uint64_t times, uint64_t least)
{
    printf("  %8" PRIu64 "  %s: %s%s\n", times, kind, what, times < least ? "   TOO SELDOM" : "");
    return times >= least;
}

/* True when everything that can happen did, often enough. */
static bool report(const struct counts *c, uint64_t least)
{
    bool enough = true;
    printf("  %8" PRIu64 "  events\n  %8" PRIu64 "  turns\n  %8" PRIu64 "  accepted\n  %8" PRIu64
           "  refused\n",
           c->events, c->turns, c->accepted, c->refused);
    for (unsigned i = 0; i < WEIR_CODE_COUNT; i++)
        if (c->codes[i] + c->refusals[i] > 0)
            printf("  %8" PRIu64 "  ended with %s, %" PRIu64 " refused\n", c->codes[i],
                   error_name((enum weir_code)i), c->refusals[i]);
    for (unsigned i = 0; i < VERDICT_COUNT; i++)
        enough &= often("verdict", verdict_name((enum verdict)i), c->verdicts[i], least);
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        enough &= often("fault", sim_fault_name((enum sim_fault)i), c->faults[i], least);
    for (unsigned from = 0; from < CHILD_STATE_COUNT; from++)
        for (unsigned event = 0; event < CHILD_EVENT_COUNT; event++) {
            enum child_state to;
            char pair[80];
            if (!child_rule((enum child_state)from, (enum child_event)event, &to))
                continue;
            snprintf(pair, sizeof pair, "%s, %s -> %s", child_state_name((enum child_state)from),
                     child_event_name((enum child_event)event), child_state_name(to));
            enough &= often("rule", pair, c->rules[from][event], least);
        }
    return enough;
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
    bool trace = false, enough = true;
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
    for (uint64_t last = seed + runs; seed < last; seed++) {
        struct counts first = { 0 }, second = { 0 };
        run(seed, events, trace, &first);
        printf("seed %" PRIu64 ", trace %016" PRIx64 "\n", seed, first.trace);
        enough &= report(&first, events / EVENTS_FOR_ONE);
        run(seed, events, false, &second);
        if (first.trace != second.trace) {
            fprintf(stderr, "sim: seed %" PRIu64 " went another way the second time\n", seed);
            return 2;
        }
    }
    if (!enough)
        fprintf(stderr, "sim: some things happened less than %" PRIu64 " times\n",
                events / EVENTS_FOR_ONE);
    return enough ? 0 : 1;
}
