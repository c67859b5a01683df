/* registry.c — the models of the simulation, and what is registered of them.
 *
 * Each registration is an entry of its own with a path of its own, so that a worker of an old one
 * is told from a worker of the new one. */
#include "process.h"
#include "sim.h"

#include "base/check.h"
#include "base/size.h"
#include "wire/message.h"

#include <string.h>

#define EMBEDS (1u << WEIR_TEXT_EMBEDDING)
#define SPEAKS (1u << WEIR_TEXT_TO_TEXT)

/* The machine has 10 GiB most of the time, so the budget is 6 GiB: not all of these fit together,
 * one does not fit at all, and "wide" only with fewer slots than it would like. Sizes are in MiB,
 * the last column says what is unregistered often.
 *
 * name, can, weights, packed, and in which precision, fixed, per slot, tokens, slots, min, max,
 * load_ms, temper, passes */
#define SIM_MODELS(X)                                                                              \
    X("small", EMBEDS, 200, 180, F32, 40, 4, 512, 8, 0, 4, 300, TEMPER_SOUND, false)               \
    X("medium", EMBEDS, 1200, 500, BF16, 150, 8, 512, 4, 0, 4, 900, TEMPER_SOUND, false)           \
    X("large", SPEAKS, 3000, 0, F32, 300, 200, 8192, 2, 0, 2, 2500, TEMPER_SOUND, false)           \
    X("larger", SPEAKS, 4000, 0, F32, 500, 0, 2048, 1, 0, 3, 4000, TEMPER_SOUND, false)            \
    X("vast", EMBEDS, 14000, 0, BF16, 1000, 0, 2048, 1, 0, 1, 9000, TEMPER_SOUND, false)           \
    X("pinned", EMBEDS, 90, 80, F32, 30, 4, 128, 2, 1, 3, 150, TEMPER_SOUND, false)                \
    X("crashing", EMBEDS, 100, 90, F32, 30, 0, 128, 1, 0, 2, 200, TEMPER_CRASHES_ON_LOAD, false)   \
    X("failing", EMBEDS, 100, 45, BF16, 30, 0, 128, 1, 0, 2, 200, TEMPER_FAILS_ON_LOAD, false)     \
    X("passing", SPEAKS, 700, 600, F32, 100, 16, 1024, 3, 0, 3, 600, TEMPER_SOUND, true)           \
    X("wide", SPEAKS, 1000, 0, F32, 100, 1500, 1024, 4, 0, 1, 700, TEMPER_SOUND, false)

struct sim_model sim_models[] = {
#define X(NAME, can, weights, packed, form, fixed, slot, tokens, slot_count, least, most, load,    \
          how, passes)                                                                             \
    {                                                                                              \
        .name = (NAME),                                                                            \
        .alias = NAME "-alias",                                                                    \
        .plan = {.capabilities = (can),                                                           \
                 .architecture = "fake",                                                          \
                 .weights_bytes = (weights)*MiB,                                                  \
                 .packed_bytes = { [PLAN_##form] = (packed)*MiB },                                \
                 .fixed_bytes = (fixed)*MiB,                                                      \
                 .per_slot_bytes = (slot)*MiB,                                                    \
                 .per_token_bytes = 2 * KiB,                                                      \
                 .scratch_per_thread_bytes = 1 * MiB,                                             \
                 .positions = (tokens),                                                           \
                 .tokens_max = (tokens),                                                          \
                 .slots = (slot_count)},                                                         \
        .precision = PLAN_##form,                                                                  \
        .min_workers = (least),                                                                    \
        .max_workers = (most),                                                                     \
        .priority = 2,                                                                             \
        .load_ms = (load),                                                                         \
        .temper = (how),                                                                           \
        .is_volatile = (passes)                                                                    \
},
    SIM_MODELS(X)
#undef X
};
_Static_assert(ARRAY_COUNT(sim_models) <= SIM_MODELS_MAX, "sim.h has room for so many");

size_t sim_models_count(void)
{
    return ARRAY_COUNT(sim_models);
}

/* Keeps the row with others of the model, or instead of one for the same way of loading it. */
static void keep(struct sim_model *m, const struct learned *row)
{
    struct learned *to = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(m->learned) && to == NULL; i++)
        if (m->learned[i].slots == 0 ||
            (m->learned[i].slots == row->slots && m->learned[i].context == row->context &&
             m->learned[i].prepared == row->prepared))
            to = &m->learned[i];
    SIM_EXPECT(to != NULL, "'%s' is loaded in too many ways", m->name);
    SIM_EXPECT(row->context_bytes >= to->context_bytes, "'%s': a figure fell", m->name);
    *to = *row;
}

/* A third of the models were seen to need more than they plan. */
void registry_learn(struct sim *s)
{
    for (size_t i = 0; i < ARRAY_COUNT(sim_models); i++) {
        struct sim_model *m = &sim_models[i];
        const struct plan *p = &m->plan;
        m->number = (uint32_t)i;
        m->plan.digest[0] = (uint8_t)(i + 1);
        memset(m->learned, 0, sizeof m->learned);
        const uint64_t more = (uint64_t)sim_between(&s->world, 1, 30);
        if (sim_between(&s->world, 0, 2) > 0 || !SIM_LEARNS)
            continue;
        const bool prepared = sim_packed_bytes(m) > 0 && sim_between(&s->world, 0, 1) == 0;
        const uint64_t planned = plan_context_bytes(p, p->tokens_max, p->slots, SIM_THREADS) +
                                 (prepared ? 0 : sim_packed_bytes(m));
        struct learned row = { .context = p->tokens_max,
                               .slots = p->slots,
                               .threads = SIM_THREADS,
                               .precision = m->precision,
                               .prepared = prepared,
                               .context_bytes = planned + planned / 100 * more,
                               .load_ms = m->load_ms };
        memcpy(row.digest, p->digest, sizeof row.digest);
        keep(m, &row);
        supervisor_learn(s->supervisor, &row);
    }
}

void registry_on_learned(void *context, const struct learned *row)
{
    struct sim *s = context;
    struct sim_model *m = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(sim_models); i++)
        if (memcmp(sim_models[i].plan.digest, row->digest, sizeof row->digest) == 0)
            m = &sim_models[i];
    SIM_EXPECT(m != NULL && row->threads == SIM_THREADS && row->precision == m->precision &&
                   (!row->prepared || sim_packed_bytes(m) > 0),
               "learned of what was never loaded");
    events_note(&s->events, "learned", row->slots, row->context_bytes);
    s->world.deeds_count[DEED_LEARNED]++;
    keep(m, row);
}

/* The stamp that an entry was registered with is its number, which stands in its path. Nobody may
 * need the entry any more. */
void registry_on_inspected(void *context, const struct inspected *what)
{
    struct sim *s = context;
    struct str name, number;
    uint64_t stamp;
    str_cut(str_of(what->path), '#', &name, &number);
    SIM_EXPECT(str_to_u64(number, &stamp) && stamp == what->stamp &&
                   what->program == PROGRAM_FAKE && what->context == 0,
               "'%s' was inspected as another", what->path);
    events_note(&s->events, "inspection", what->stamp, (uint64_t)what->answer->error.code);
}

/* The entry is registered by now, if it is at all. */
static void note_known(struct sim *s, struct sim_entry *e, const struct message_inspected *known)
{
    e->inspected = true;
    e->spoilt |= known->error.code != WEIR_OK;
    s->world.deeds_count[DEED_KNOWN]++;
}

static struct message_inspected draw_known(struct sim *s, const struct sim_model *m)
{
    struct message_inspected known = {
        .error = {.code = WEIR_OK, .index = -1},
          .plan = m->plan
    };
    if (sim_chance(&s->world, 10)) {
        known.error.code = WEIR_LOAD_FAILED;
        memcpy(known.error.text, "no such folder", sizeof "no such folder");
    }
    return known;
}

static enum weir_code offer(struct sim *s, struct sim_entry *e, bool replace,
                            struct weir_error *err)
{
    const struct sim_model *m = e->model;
    const struct message_inspected known = draw_known(s, m);
    const bool is_known = sim_between(&s->world, 0, 3) == 0;
    const uint64_t before = s->world.inspections;
    const struct model_settings settings = { .name = m->name,
                                             .path = e->path,
                                             .program = PROGRAM_FAKE,
                                             .max_workers = e->max_workers,
                                             .min_workers = m->min_workers,
                                             .idle_ms = SIM_QUIET_MS,
                                             .idle_label_ms = SIM_LABEL_MS,
                                             .aliases = &m->alias,
                                             .aliases_count = 1,
                                             .precision = m->precision,
                                             .priority = m->priority,
                                             .pin = e->begun_pinned,
                                             .preload = e->preload,
                                             .replace = replace,
                                             .stamp = e->number,
                                             .known = is_known ? &known : NULL };
    supervisor_clock(s->supervisor, s->events.now_ms);
    const enum weir_code code = supervisor_register(s->supervisor, &settings, err);
    if (s->world.inspections > before) {
        SIM_EXPECT(is_known, "'%s' was inspected by nobody", e->path);
        s->world.inspections = before; /* no inspector came to that end */
        note_known(s, e, &known);
    }
    return code;
}

static struct sim_entry *draw_entry(struct sim *s, size_t model)
{
    struct sim_entry *e = world_sim_add_entry(&s->world, &sim_models[model]);
    e->max_workers = e->model->max_workers;
    e->begun_pinned = e->pinned = sim_chance(&s->world, 40);
    e->preload = sim_chance(&s->world, 6);
    return e;
}

struct sim_entry *registry_add(struct sim *s, size_t model)
{
    struct weir_error err;
    struct sim_entry *e = draw_entry(s, model);
    SIM_EXPECT(offer(s, e, sim_between(&s->world, 0, 1) == 0, &err) == WEIR_OK, "register: %s",
               err.text);
    e->registered = true;
    s->current[model] = e;
    return e;
}

static void leave(struct sim *s, struct sim_entry *e)
{
    e->registered = e->pinned = false;
    s->current[e->model->number] = NULL;
    world_sim_forget_entry(&s->world, e);
}

void registry_remove(struct sim *s, size_t model)
{
    struct weir_error err;
    supervisor_clock(s->supervisor, s->events.now_ms);
    SIM_EXPECT(supervisor_unregister(s->supervisor, sim_models[model].name, &err) == WEIR_OK,
               "unregister: %s", err.text);
    s->world.deeds_count[DEED_UNREGISTERED]++;
    leave(s, s->current[model]);
}

/* Over a name that is taken: refused, or nothing new, or another entry from now on. */
void registry_replace(struct sim *s, size_t model)
{
    struct world_sim *w = &s->world;
    struct weir_error err;
    struct sim_entry *old = s->current[model];
    const int64_t how = sim_between(w, 0, 2);
    if (how == 0) {
        SIM_EXPECT(offer(s, old, false, &err) == WEIR_EXISTS, "'%s' was registered twice",
                   old->path);
        w->deeds_count[DEED_TAKEN]++;
        return;
    }
    if (how == 1 && old->pinned == old->begun_pinned) {
        SIM_EXPECT(offer(s, old, true, &err) == WEIR_OK, "repeat: %s", err.text);
        w->deeds_count[DEED_REPEATED]++;
        return;
    }
    struct sim_entry *e = draw_entry(s, model);
    if (sim_between(w, 0, 1) == 0)
        e->max_workers = 1 + (uint32_t)rand_below(&w->rng, e->max_workers);
    if (e->max_workers < e->model->min_workers)
        e->max_workers = e->model->min_workers;
    SIM_EXPECT(offer(s, e, true, &err) == WEIR_OK, "replace: %s", err.text);
    w->deeds_count[DEED_REPLACED]++;
    leave(s, old);
    e->registered = true;
    s->current[model] = e;
}

void registry_pin(struct sim *s, size_t model, bool pin)
{
    struct weir_error err;
    supervisor_clock(s->supervisor, s->events.now_ms);
    SIM_EXPECT(supervisor_pin(s->supervisor, sim_models[model].name, pin, &err) == WEIR_OK,
               "pin: %s", err.text);
    s->current[model]->pinned = pin;
    s->world.deeds_count[pin ? DEED_PINNED : DEED_UNPINNED]++;
}

void registry_unload(struct sim *s, size_t model)
{
    struct weir_error err;
    supervisor_clock(s->supervisor, s->events.now_ms);
    SIM_EXPECT(supervisor_unload(s->supervisor, sim_models[model].name, &err) == WEIR_OK,
               "unload: %s", err.text);
    s->world.deeds_count[DEED_UNLOADED]++;
}

static void act_unload(void *context, uint64_t model, uint64_t detail)
{
    struct sim *s = context;
    (void)detail;
    if (s->current[model] != NULL)
        registry_unload(s, model);
}

/* Some models are unloaded just while they start. */
void registry_on_start(struct sim *s, const struct sim_entry *e, int64_t within_ms)
{
    if (sim_chance(&s->world, 25))
        events_add(&s->events, sim_between(&s->world, 0, within_ms), act_unload, s,
                   e->model->number, 0);
}
