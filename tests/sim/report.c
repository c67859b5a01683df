/* report.c — how often each thing that can happen did. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>

static void add(uint64_t *sums, const uint64_t *counts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sums[i] += counts[i];
}

/* What the pool counted is what it told. */
static void check_rules(const struct sim *s, const struct supervisor_totals *t)
{
    for (unsigned from = 0; from < CHILD_STATE_COUNT; from++) {
        uint64_t counted[CHILD_STATE_COUNT] = { 0 };
        for (unsigned event = 0; event < CHILD_EVENT_COUNT; event++) {
            enum child_state to;
            if (child_rule((enum child_state)from, (enum child_event)event, &to))
                counted[to] += t->rules[from][event];
        }
        for (unsigned to = 0; to < CHILD_STATE_COUNT; to++)
            SIM_EXPECT(counted[to] == s->steps[from][to], "%s -> %s: told %llu times, counted %llu",
                       child_state_name((enum child_state)from),
                       child_state_name((enum child_state)to),
                       (unsigned long long)s->steps[from][to], (unsigned long long)counted[to]);
    }
}

void counts_add(struct counts *c, const struct sim *s)
{
    struct supervisor_totals t;
    supervisor_totals(s->supervisor, &t);
    check_rules(s, &t);
    c->events += s->events.happened;
    c->depths += s->events.depths;
    c->turns += s->turns;
    c->accepted += s->accepted;
    c->refused += s->refused;
    c->trace = s->events.trace;
    add(c->codes, s->codes, WEIR_CODE_COUNT);
    add(c->refusals, s->refusals, WEIR_CODE_COUNT);
    add(c->faults, s->world.faults_count, FAULT_COUNT);
    add(c->deeds, s->world.deeds_count, DEED_COUNT);
    add(c->verdicts, t.verdicts, VERDICT_COUNT);
    for (unsigned from = 0; from < CHILD_STATE_COUNT; from++)
        add(c->rules[from], t.rules[from], CHILD_EVENT_COUNT);
}

static bool often(const char *kind, const char *what, uint64_t times, uint64_t least)
{
    printf("  %9" PRIu64 "  %s: %s%s\n", times, kind, what, times < least ? "   TOO SELDOM" : "");
    return times >= least;
}

static bool report_rules(const struct counts *c, uint64_t least)
{
    bool enough = true;
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

bool counts_report(const struct counts *c, uint64_t least)
{
    bool enough = true;
    printf("  %9" PRIu64 "  events\n  %9" PRIu64 "  turns\n  %9" PRIu64 "  accepted\n  %9" PRIu64
           "  refused\n",
           c->events, c->turns, c->accepted, c->refused);
    for (unsigned i = 0; i < WEIR_CODE_COUNT; i++)
        if (c->codes[i] + c->refusals[i] > 0)
            printf("  %9" PRIu64 "  ended with %s, %" PRIu64 " refused\n", c->codes[i],
                   error_name((enum weir_code)i), c->refusals[i]);
    for (unsigned i = 0; i < VERDICT_COUNT; i++)
        enough &= often("verdict", verdict_name((enum verdict)i), c->verdicts[i], least);
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        enough &= often("fault", sim_fault_name((enum sim_fault)i), c->faults[i], least);
    for (unsigned i = 0; i < DEED_COUNT; i++)
        enough &= often("deed", sim_deed_name((enum sim_deed)i), c->deeds[i],
                        i == DEED_LEARNED && !SIM_LEARNS ? 0 : least);
    return report_rules(c, least) && enough;
}
