/* phases.c — a run: the storm, the calm in which all must come to rest and everything sound must
 * work, and a shutdown in the middle of another storm. */
#include "process.h"
#include "sim.h"

#include "base/check.h"

#define DRAIN_MS    5000
#define PATIENCE_MS 60000

void phase_storm(struct sim *s, uint64_t events)
{
    s->world.faults = s->arriving = true;
    events_add(&s->events, 0, callers_arrive, s, 0, 0);
    events_add(&s->events, 1000, operator_memory, s, 0, 0);
    events_add(&s->events, 1500, operator_act, s, 0, 0);
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

static uint32_t processes_of(const struct sim *s, size_t model)
{
    uint32_t count = 0;
    LIST_EACH(&s->world.entries, at) {
        const struct sim_entry *e = CONTAINER_OF(at, struct sim_entry, link);
        count += e->model == &sim_models[model] ? e->processes : 0;
    }
    return count;
}

/* A fresh entry: what an unlucky inspection said is asked again. */
static void register_anew(struct sim *s, size_t model)
{
    if (s->current[model] != NULL)
        registry_remove(s, model);
    registry_add(s, model);
}

static enum weir_code ask_one(struct sim *s, size_t model, int64_t keep_alive_ms)
{
    const struct wish wish = { .model = model,
                               .kind = ORDER_ECHO,
                               .deadline_ms = PATIENCE_MS,
                               .keep_alive_ms = keep_alive_ms };
    struct weir_error err = { .code = WEIR_OK };
    struct caller *c = caller_submit(s, &wish, &err);
    SIM_EXPECT(c != NULL, "'%s' is refused in calm: %s", sim_models[model].name, err.text);
    const int64_t begun = s->events.now_ms;
    while (!c->ended && s->events.now_ms - begun <= PATIENCE_MS + 1000)
        sim_advance(s);
    SIM_EXPECT(c->ended, "'%s' in calm: no end", sim_models[model].name);
    return c->code;
}

static void check_serves(struct sim *s, size_t model)
{
    const struct sim_model *m = &sim_models[model];
    register_anew(s, model);
    const bool fits = m->plan.weights_bytes < s->world.total_bytes;
    const enum weir_code code = ask_one(s, model, 0);
    const enum weir_code expected = m->temper != TEMPER_SOUND ? WEIR_LOAD_FAILED
                                    : fits                    ? WEIR_OK
                                                              : WEIR_TOO_BIG;
    SIM_EXPECT(code == expected, "'%s' in calm: %s, expected %s", m->name, error_name(code),
               error_name(expected));
}

/* What can be prepared is, when nothing goes wrong any more, and its workers share it. */
static void check_prepares(struct sim *s)
{
    const size_t model = 0;
    uint64_t *deeds = s->world.deeds_count;
    register_anew(s, model);
    const uint64_t prepared = deeds[DEED_PREPARED], shared = deeds[DEED_SHARED];
    SIM_EXPECT(ask_one(s, model, 0) == WEIR_OK, "a model that is prepared first");
    SIM_EXPECT(deeds[DEED_PREPARED] == prepared + 1 && deeds[DEED_SHARED] > shared,
               "a model was not prepared in calm");
}

/* How long a model stays is what its last request asked for. */
static void check_keep_alive(struct sim *s)
{
    const size_t model = 0;
    register_anew(s, model);
    SIM_EXPECT(ask_one(s, model, -1) == WEIR_OK, "a request to keep the model for ever");
    run_for(s, 5 * SIM_QUIET_MS);
    SIM_EXPECT(processes_of(s, model) > 0, "what was to stay for ever is gone");
    SIM_EXPECT(ask_one(s, model, 4 * SIM_QUIET_MS) == WEIR_OK, "a request to keep it longer");
    run_for(s, 3 * SIM_QUIET_MS);
    SIM_EXPECT(processes_of(s, model) > 0, "what was to stay for a while is gone");
    run_for(s, 20 * SIM_QUIET_MS); /* one after another */
    SIM_EXPECT(processes_of(s, model) == 0, "what was to stay for a while is there");
    SIM_EXPECT(ask_one(s, model, -2) == WEIR_OK, "a request to keep nothing");
    run_for(s, 1000);
    SIM_EXPECT(processes_of(s, model) == 0, "what was to go at once is there");
}

static void check_pin(struct sim *s)
{
    const size_t model = 1;
    register_anew(s, model);
    registry_pin(s, model, true);
    SIM_EXPECT(ask_one(s, model, 0) == WEIR_OK, "a pinned model");
    run_for(s, 8 * SIM_QUIET_MS);
    SIM_EXPECT(processes_of(s, model) == 1, "%u workers of a pinned model", processes_of(s, model));
    registry_pin(s, model, false);
    run_for(s, 8 * SIM_QUIET_MS);
    SIM_EXPECT(processes_of(s, model) == 0, "a model stays that is pinned no more");
}

/* Another program takes nearly everything: what is idle goes until the pressure is gone. */
static void check_pressure(struct sim *s)
{
    struct world_sim *w = &s->world;
    register_anew(s, 0);
    SIM_EXPECT(ask_one(s, 0, -1) == WEIR_OK, "before the pressure");
    SIM_EXPECT(processes_of(s, 0) > 0, "it is kept");
    w->foreign_bytes = w->total_bytes / 100 * 95;
    run_for(s, 12000);
    SIM_EXPECT(processes_of(s, 0) == 0, "an idle worker stays while the machine has no memory");
    world_sim_calm_memory(w);
}

/* All that was asked ends; then every worker goes but those that somebody wished to keep. */
static void check_rest(struct sim *s)
{
    run_for(s, SIM_DEADLINE_MAX_MS + 30000);
    SIM_EXPECT(s->live == 0, "%zu requests did not end", s->live);
    for (size_t i = 0; i < s->world.models_count; i++) {
        SIM_EXPECT(s->current[i] == NULL || s->current[i]->inspected, "'%s' was never inspected",
                   s->current[i]->path);
        if (s->current[i] != NULL && s->current[i]->kept)
            registry_unload(s, i);
    }
    run_for(s, 240000);
    for (size_t i = 0; i < s->world.models_count; i++)
        SIM_EXPECT(sim_models[i].min_workers > 0 || processes_of(s, i) == 0 ||
                       (s->current[i] != NULL && s->current[i]->pinned),
                   "'%s' has %u processes and nothing to do", sim_models[i].name,
                   processes_of(s, i));
}

/* Nobody comes any more and nothing goes wrong any more: all that was asked ends, what is idle
 * goes, and every sound model serves. */
void phase_calm(struct sim *s)
{
    struct world_sim *w = &s->world;
    s->world.faults = s->arriving = false;
    world_sim_calm_memory(w);
    operator_configure(s, 0, 0);
    check_rest(s);
    for (size_t i = 0; i < w->models_count; i++)
        check_serves(s, i);
    check_prepares(s);
    check_keep_alive(s);
    check_pin(s);
    check_pressure(s);
    for (size_t i = 0; i < w->models_count; i++)
        registry_remove(s, i);
    run_for(s, 30000);
    SIM_EXPECT(world_sim_alive(w) == 0, "%zu processes and no model", world_sim_alive(w));
    SIM_EXPECT(leased(s) == 0, "%llu bytes leased and no process", (unsigned long long)leased(s));
}

/* Shut down in the middle of work and faults: it ends in time, and every request with it. */
void phase_drain(struct sim *s)
{
    struct world_sim *w = &s->world;
    for (size_t i = 0; i < w->models_count; i++)
        registry_add(s, i);
    s->world.faults = s->arriving = true;
    events_add(&s->events, 0, callers_arrive, s, 0, 0);
    run_for(s, sim_between(w, 0, 20000));
    for (size_t i = 0; i < 40; i++) {
        struct weir_error err;
        caller_submit(s, &(struct wish){ .model = i % 3, .deadline_ms = PATIENCE_MS }, &err);
    }
    run_for(s, sim_between(w, 0, 3000));
    supervisor_clock(s->supervisor, s->events.now_ms);
    supervisor_drain(s->supervisor, DRAIN_MS);
    s->world.draining = true;
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
    SIM_EXPECT(caller_submit(s, &(struct wish){ .deadline_ms = 1000 }, &err) == NULL &&
                   err.code == WEIR_SHUTTING_DOWN,
               "a drained pool takes requests");
}
