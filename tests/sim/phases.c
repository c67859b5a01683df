#include "sim.h"

#include "process.h"

#include "base/check.h"

#include <stdio.h>

#define DRAIN_MS 5000

static void act_memory(void *context, uint64_t id, uint64_t detail)
{
    struct sim *s = context;
    (void)id;
    (void)detail;
    if (!s->arriving)
        return;
    world_sim_draw_memory(&s->world);
    if (sim_chance(&s->world, 6)) {
        s->world.fault_counts[FAULT_CLOCK_JUMPS]++;
        s->events.now_ms += sim_between(&s->world, 1000, SIM_JUMP_MAX_MS);
        sim_turn(s);
    }
    events_add(&s->events, sim_between(&s->world, 3000, 15000), act_memory, s, 0, 0);
}

/* What an operator does: unload, register and unregister, look at the status. */
static void act_operator(void *context, uint64_t id, uint64_t detail)
{
    struct sim *s = context;
    struct world_sim *w = &s->world;
    (void)id;
    (void)detail;
    if (!s->arriving)
        return;
    const size_t model = rand_below(&w->rng, w->models_count);
    struct weir_error err;
    struct buffer text;
    struct jsonw json;
    supervisor_clock(s->supervisor, s->events.now_ms);
    switch (sim_between(w, 0, 3)) {
    case 0:
        if (s->registered[model])
            supervisor_unload(s->supervisor, w->models[model].name, &err);
        break;
    case 1:
        for (size_t i = 0; i < w->models_count; i++)
            if (s->registered[i] && (i == model || s->spoilt[i] || w->models[i].is_volatile))
                sim_unregister(s, i);
        break;
    case 2:
        buffer_init(&text, WIRE_PAYLOAD_MAX);
        jsonw_init(&json, &text);
        supervisor_status(s->supervisor, &json);
        SIM_EXPECT(!text.failed && text.len > 100, "a status of %zu bytes", text.len);
        buffer_finish(&text);
        break;
    default: break;
    }
    for (size_t i = 0; i < w->models_count; i++)
        if (!s->registered[i] && sim_between(w, 0, 1) == 0)
            sim_register(s, i);
    events_add(&s->events, sim_between(w, 300, 3000), act_operator, s, 0, 0);
}

void phase_storm(struct sim *s, uint64_t events)
{
    s->world.faults = s->arriving = true;
    events_add(&s->events, 0, callers_arrive, s, 0, 0);
    events_add(&s->events, 1000, act_memory, s, 0, 0);
    events_add(&s->events, 1500, act_operator, s, 0, 0);
    while (s->events.happened < events)
        sim_advance(s);
}

static void run_for(struct sim *s, int64_t ms)
{
    const int64_t until = s->events.now_ms + ms;
    while (events_next(&s->events) < until || s->wake_ms < until ||
           supervisor_is_dirty(s->supervisor))
        sim_advance(s);
    s->events.now_ms = s->events.now_ms > until ? s->events.now_ms : until;
}

static uint64_t leased(const struct sim *s)
{
    struct supervisor_totals t;
    supervisor_totals(s->supervisor, &t);
    return t.leased_bytes;
}

/* Nobody comes any more and nothing goes wrong any more: all that was asked ends, what is idle
 * goes, and every sound model serves. */
void phase_calm(struct sim *s)
{
    struct world_sim *w = &s->world;
    s->world.faults = s->arriving = false;
    world_sim_calm_memory(w);
    run_for(s, SIM_DEADLINE_MAX_MS + 30000);
    SIM_EXPECT(s->live == 0, "%zu requests did not end", s->live);
    run_for(s, 240000);
    for (size_t i = 0; i < w->models_count; i++)
        SIM_EXPECT(w->models[i].min_workers > 0 || w->models[i].weights_held == 0,
                   "'%s' has %u processes and nothing to do", w->models[i].name,
                   w->models[i].weights_held);
    for (size_t i = 0; i < w->models_count; i++) {
        const struct weir_error none = { .code = WEIR_OK };
        struct weir_error err = none;
        if (s->registered[i]) /* what an unlucky inspection said is asked again */
            sim_unregister(s, i);
        sim_register(s, i);
        struct caller *c = caller_submit(s, &w->models[i], ORDER_ECHO, 60000, &err);
        SIM_EXPECT(c != NULL, "'%s' is refused in calm: %s", w->models[i].name, err.text);
        run_for(s, 70000);
        const bool fits = w->models[i].plan.weights_bytes < w->total_bytes;
        const enum weir_code expected = w->models[i].temper != TEMPER_SOUND ? WEIR_LOAD_FAILED
                                        : fits                              ? WEIR_OK
                                                                            : WEIR_TOO_BIG;
        SIM_EXPECT(c->ended && c->code == expected, "'%s' in calm: %s, expected %s",
                   w->models[i].name, c->ended ? error_name(c->code) : "no end",
                   error_name(expected));
    }
    for (size_t i = 0; i < w->models_count; i++)
        sim_unregister(s, i);
    run_for(s, 30000);
    SIM_EXPECT(world_sim_alive(w) == 0, "%zu processes and no model", world_sim_alive(w));
    SIM_EXPECT(leased(s) == 0, "%llu bytes leased and no process", (unsigned long long)leased(s));
}

/* Shut down in the middle of work and faults: it ends in time, and every request with it. */
void phase_drain(struct sim *s)
{
    struct world_sim *w = &s->world;
    for (size_t i = 0; i < w->models_count; i++)
        sim_register(s, i);
    s->world.faults = s->arriving = true;
    events_add(&s->events, 0, callers_arrive, s, 0, 0);
    run_for(s, sim_between(w, 0, 20000));
    for (int i = 0; i < 40; i++) {
        struct weir_error err;
        caller_submit(s, &w->models[i % 3], ORDER_ECHO, 60000, &err);
    }
    run_for(s, sim_between(w, 0, 3000));
    supervisor_clock(s->supervisor, s->events.now_ms);
    supervisor_drain(s->supervisor, DRAIN_MS);
    const int64_t begun = s->events.now_ms;
    while (!supervisor_drained(s->supervisor)) {
        sim_advance(s);
        SIM_EXPECT(s->events.now_ms - begun <= DRAIN_MS + 20000,
                   "not drained %lld ms after the order", (long long)(s->events.now_ms - begun));
        SIM_EXPECT(s->events.now_ms - begun <= DRAIN_MS + 100 || s->live == 0,
                   "%zu requests outlived the drain", s->live);
    }
    SIM_EXPECT(s->live == 0 && leased(s) == 0 && world_sim_alive(w) == 0,
               "drained with %zu requests, %llu bytes and %zu processes", s->live,
               (unsigned long long)leased(s), world_sim_alive(w));
    struct weir_error err;
    SIM_EXPECT(caller_submit(s, &w->models[0], ORDER_ECHO, 1000, &err) == NULL &&
                   err.code == WEIR_SHUTTING_DOWN,
               "a drained pool takes requests");
}
