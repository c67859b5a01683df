/* operator.c — what an operator does and asks, and what happens to the machine meanwhile. */
#include "sim.h"

#include "base/buffer.h"
#include "base/size.h"

#define TEXT_MAX (1u << 20)

/* Brackets in pairs, strings closed, something in it: enough to see a forgotten end. */
static bool is_balanced(struct str json)
{
    char open[64];
    size_t depth = 0;
    bool text = false;
    for (size_t i = 0; i < json.len; i++) {
        const char c = json.data[i];
        if (text && c == '\\')
            i++;
        else if (c == '"')
            text = !text;
        else if (!text && (c == '{' || c == '[') && depth < sizeof open)
            open[depth++] = c;
        else if (!text && (c == '}' || c == ']') &&
                 (depth == 0 || open[--depth] != (c == '}' ? '{' : '[')))
            return false;
    }
    return depth == 0 && !text && json.len > 2;
}

/* Asks one of the pool's questions; whatever it answers, it decides nothing. */
static void ask(struct sim *s)
{
    struct buffer text;
    struct jsonw json;
    struct supervisor_totals before, after;
    struct weir_error err;
    const size_t model = rand_below(&s->world.rng, s->world.models_count);
    const enum sim_deed what = (enum sim_deed)(DEED_STATUS + sim_between(&s->world, 0, 4));
    const uint64_t request = s->callers[rand_below(&s->world.rng, s->callers_count)]->id;
    bool answered = true;
    buffer_init(&text, TEXT_MAX);
    jsonw_init(&json, &text);
    supervisor_totals(s->supervisor, &before);
    switch (what) {
    case DEED_STATUS: supervisor_status(s->supervisor, &json); break;
    case DEED_MODELS: supervisor_models(s->supervisor, NULL, &json); break;
    case DEED_METRICS: supervisor_metrics(s->supervisor, &json); break;
    case DEED_PLANNED:
        answered = supervisor_plan(s->supervisor, sim_models[model].name, &json, &err) == WEIR_OK;
        SIM_EXPECT(answered || err.code == WEIR_NO_SUCH_MODEL || err.code == WEIR_LOAD_FAILED ||
                       err.code == WEIR_UNAVAILABLE,
                   "plan of '%s': %s", sim_models[model].name, err.text);
        break;
    default: answered = supervisor_request(s->supervisor, request, &json); break;
    }
    supervisor_totals(s->supervisor, &after);
    SIM_EXPECT(!text.failed && (!answered || is_balanced(buffer_view(&text))), "%s: %.*s",
               sim_deed_name(what), STR_ARG(buffer_view(&text)));
    SIM_EXPECT(before.decisions == after.decisions, "%s decided something", sim_deed_name(what));
    s->world.deeds_count[what] += answered;
    buffer_finish(&text);
}

void operator_configure(struct sim *s, uint64_t bytes, uint32_t percent)
{
    supervisor_clock(s->supervisor, s->events.now_ms);
    supervisor_configure(s->supervisor, bytes, percent);
    s->world.asked_bytes = bytes;
    s->world.asked_percent = percent;
    events_note(&s->events, "configured", bytes, percent);
}

static void draw_configuration(struct sim *s)
{
    struct world_sim *w = &s->world;
    const int64_t how = sim_between(w, 0, 5);
    w->deeds_count[DEED_CONFIGURED]++;
    if (how == 0)
        operator_configure(s, (uint64_t)sim_between(w, 3000, 9000) * MiB, 0);
    else if (how == 1)
        operator_configure(s, 0, (uint32_t)sim_between(w, 35, 90));
    else
        operator_configure(s, 0, 0);
}

static void unregister_some(struct sim *s, size_t model)
{
    for (size_t i = 0; i < s->world.models_count; i++)
        if (s->current[i] != NULL &&
            (i == model || s->current[i]->spoilt || sim_models[i].is_volatile))
            registry_remove(s, i);
}

void operator_act(void *context, uint64_t id, uint64_t detail)
{
    struct sim *s = context;
    struct world_sim *w = &s->world;
    (void)id;
    (void)detail;
    if (!s->arriving)
        return;
    const size_t model = rand_below(&w->rng, w->models_count);
    const bool known = s->current[model] != NULL;
    supervisor_clock(s->supervisor, s->events.now_ms);
    const int64_t what = sim_between(w, 0, 11);
    if (what < 3)
        ask(s);
    else if (what < 5 && known)
        registry_unload(s, model);
    else if (what < 7)
        unregister_some(s, model);
    else if (what < 8 && known)
        registry_replace(s, model);
    else if (what < 9)
        draw_configuration(s);
    else if (what < 11 && known)
        registry_pin(s, model, sim_between(w, 0, 4) == 0);
    for (size_t i = 0; i < w->models_count; i++)
        if (s->current[i] == NULL && sim_between(w, 0, 1) == 0)
            registry_add(s, i);
    events_add(&s->events, sim_between(w, 200, 2000), operator_act, s, 0, 0);
}

void operator_memory(void *context, uint64_t id, uint64_t detail)
{
    struct sim *s = context;
    struct world_sim *w = &s->world;
    (void)id;
    (void)detail;
    if (!s->arriving)
        return;
    world_sim_draw_memory(w);
    if (sim_chance(w, 6)) {
        w->faults_count[FAULT_CLOCK_JUMPS]++;
        s->events.now_ms += sim_between(w, 1000, SIM_JUMP_MAX_MS);
        world_sim_sicken(w); /* they look as if they had done nothing meanwhile */
        sim_turn(s);
    }
    events_add(&s->events, sim_between(w, 3000, 15000), operator_memory, s, 0, 0);
}
