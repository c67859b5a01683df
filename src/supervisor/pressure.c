/* pressure.c — readings of memory, and the step of the turn that answers them. Level-triggered, as
 * every step: a second run over the same reading decides nothing. */
#include "supervisor/state.h"

#include "base/mem.h"
#include "base/size.h"

#include <stdio.h>

/* Stacks and heap that any process grows by once it talks. So little is no use of memory by a
 * model: nobody's lease pays for it, as nobody's pays for what the process had at its hello. */
#define BARE_GROWTH_BYTES ((uint64_t)1 << 20)

/* Major page faults a second of one worker, over a whole period between two readings. One that
 * computes from memory has none; 50 random reads keep a disk busy for a good part of the second. */
#define FAULTS_STEADY 50

void memory_bare(struct supervisor *s, struct child *c)
{
    struct child_memory row = { .id = c->id };
    struct memory_facts facts = { .children = &row, .children_count = 1 };
    s->world->memory(s->world->context, &facts);
    c->bare_bytes = row.private_bytes;
}

enum pressure memory_pressure(const struct supervisor *s)
{
    enum pressure p = governor_pressure(s->facts.total_bytes, s->facts.available_bytes);
    return p < PRESSURE_HIGH && s->thrashing ? PRESSURE_HIGH : p;
}

static bool is_surplus(const struct supervisor *s)
{
    return s->leased_bytes + s->withheld_bytes > s->budget_bytes;
}

static void take_machine(struct supervisor *s, const struct memory_facts *facts)
{
    const uint64_t budget_before = s->budget_bytes;
    s->facts = (struct memory_facts){ .total_bytes = facts->total_bytes,
                                      .available_bytes = facts->available_bytes };
    s->budget_bytes =
        governor_budget(facts->total_bytes, s->options.memory_bytes, s->options.memory_percent);
    if (s->budget_bytes != budget_before && is_surplus(s))
        s->dirty = true; /* turn_press has not seen it yet */
}

void memory_read_machine(struct supervisor *s)
{
    struct memory_facts facts = { 0 };
    s->world->memory(s->world->context, &facts);
    take_machine(s, &facts);
}

/* A child's lease can only rise. */
static void take_use(struct supervisor *s, struct child *c, uint64_t private_bytes)
{
    uint64_t more = private_bytes > c->bare_bytes ? private_bytes - c->bare_bytes : 0;
    c->measured_bytes = more > BARE_GROWTH_BYTES ? more : 0;
    lease_move(s, &c->lease, LEASE_MEASURED, c->measured_bytes);
    learned_use(s, c);
}

/* The first period after a load does not count: weights that are mapped lazily are read then. */
static void take_faults(const struct supervisor *s, struct child *c, uint64_t faults)
{
    const int64_t period_ms = s->options.limits.pressure_ms;
    const int64_t elapsed_ms = s->now_ms - c->faults_ms;
    if (c->ready_ms == 0 || s->now_ms - c->ready_ms < period_ms || faults < c->faults) {
        c->faults = faults;
        c->faults_ms = s->now_ms;
        c->thrashes = false;
    } else if (elapsed_ms >= period_ms) {
        c->thrashes = faults - c->faults > (uint64_t)elapsed_ms * FAULTS_STEADY / 1000;
        c->faults = faults;
        c->faults_ms = s->now_ms;
    }
}

static void take_children(struct supervisor *s, const struct child_memory *rows, size_t count)
{
    s->thrashing = false;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = rows[i].id;
        struct child *c = map_get(&s->children, map_id(&key));
        take_use(s, c, rows[i].private_bytes);
        take_faults(s, c, rows[i].major_faults);
        s->thrashing = s->thrashing || c->thrashes;
    }
}

/* Told when it has changed, once. */
static void tell_pressure(struct supervisor *s)
{
    const enum pressure now = memory_pressure(s), before = s->pressure_told;
    if (now == before)
        return;
    s->pressure_told = now;
    struct size_text available, total;
    char reason[160];
    snprintf(reason, sizeof reason, "%s of %s are available%s",
             size_format(s->facts.available_bytes, &available),
             size_format(s->facts.total_bytes, &total),
             s->thrashing ? ", and a worker reads its weights from disk again and again" : "");
    log_write(s->options.log, now > before && now >= PRESSURE_HIGH ? LOG_WARN : LOG_INFO,
              "governor", "pressure %s -> %s: %s", pressure_name(before), pressure_name(now),
              reason);
    event_emit(s, &(struct pool_event){ .kind = "pressure",
                                        .from = pressure_name(before),
                                        .to = pressure_name(now),
                                        .reason = reason });
}

void memory_read(struct supervisor *s)
{
    struct child_memory *rows = mem_new(s->children.count + 1, sizeof *rows);
    size_t count = 0, cursor = 0;
    for (const struct child *c; (c = map_next(&s->children, &cursor)) != NULL;)
        if (c->hello && c->state != DEAD && !c->exited)
            rows[count++] = (struct child_memory){ .id = c->id };
    struct memory_facts facts = { .children = rows, .children_count = count };
    s->world->memory(s->world->context, &facts);
    take_children(s, rows, count);
    mem_free(rows);
    take_machine(s, &facts);
    /* Once a reading: until the next one what leaves makes the leases smaller and must not make the
     * budget smaller in turn. */
    s->withheld_bytes = governor_withheld(facts.total_bytes, facts.available_bytes, s->leased_bytes,
                                          s->budget_bytes);
    tell_pressure(s);
    s->dirty = s->dirty || is_surplus(s);
}

/* More is leased than may be: who may leave does. Where they do not suffice all of them go, for the
 * machine is short of memory whether or not a busy worker can be helped; those go in turn when they
 * may. */
void turn_press(struct supervisor *s)
{
    if (s->draining || !is_surplus(s))
        return;
    struct pool_view v;
    ledger_view(s, &v);
    struct judgement j = judge_surplus(&v.ledger, v.residents, v.count, v.victims);
    if (j.verdict == VERDICT_EVICT) {
        s->totals.verdicts[VERDICT_EVICT]++;
        if (s->withheld_bytes > 0)
            evict_victims(s, &v, &j, EVICTION_PRESSURE, "pressure");
        else
            evict_victims(s, &v, &j, EVICTION_MEMORY, "the budget");
    }
    ledger_view_finish(&v);
}

void supervisor_configure(struct supervisor *s, uint64_t memory_bytes, uint32_t memory_percent)
{
    const uint64_t before = s->budget_bytes;
    struct size_text from, to;
    s->options.memory_bytes = memory_bytes;
    s->options.memory_percent = memory_percent;
    memory_read(s);
    s->dirty = s->claims_dirty = true; /* turn_press and turn_admit look at it in the next turn */
    struct budget_text source;
    event_emit(s, &(struct pool_event){ .kind = "budget",
                                        .from = size_format(before, &from),
                                        .to = size_format(s->budget_bytes, &to),
                                        .reason = explain_budget(s, &source) });
    log_write(s->options.log, LOG_INFO, "governor", "budget %s -> %s (%s)", from.text, to.text,
              source.text);
}
