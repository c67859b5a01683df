/* callers.c — those who submit: what they ask for, how they come, and when they give up. */
#include "sim.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "wire/message.h"

#define ENDED_KEPT   512 /* so many others end before one's place is used again */
#define TWINS        3   /* different inputs among those that may be merged, a model */
#define TWIN_TAG     (UINT64_C(1) << 40)
#define STALL_BEYOND 64 /* outputs that use a client's credit up */

void callers_init(struct sim *s)
{
    list_init(&s->ended);
}

void callers_finish(struct sim *s)
{
    for (size_t i = 0; i < s->callers_count; i++)
        mem_free(s->callers[i]);
    mem_free(s->callers);
}

static struct caller *take_place(struct sim *s)
{
    struct caller *c;
    if (s->ended_count > ENDED_KEPT) {
        c = CONTAINER_OF(s->ended.next, struct caller, link);
        list_remove(&c->link);
        s->ended_count--;
        *c = (struct caller){ .sim = s, .slot = c->slot };
        return c;
    }
    if (s->callers_count == s->callers_cap) {
        s->callers_cap = s->callers_cap > 0 ? s->callers_cap * 2 : 1024;
        s->callers = mem_resize(s->callers, s->callers_cap, sizeof *s->callers);
        CHECK(s->callers != NULL);
    }
    c = mem_new(1, sizeof *c);
    c->sim = s;
    c->slot = (uint32_t)s->callers_count;
    s->callers[s->callers_count++] = c;
    return c;
}

/* Of one that was refused: nobody can call it. */
static void return_place(struct sim *s, struct caller *c)
{
    list_push_front(&s->ended, &c->link);
    s->ended_count++;
}

void caller_cancel(struct sim *s, uint32_t slot, uint64_t id)
{
    struct caller *c = s->callers[slot];
    if (id != 0 && c->id == id)
        c->cancelled = true;
    supervisor_cancel(s->supervisor, id);
}

static void act_cancel(void *context, uint64_t id, uint64_t slot)
{
    struct sim *s = context;
    supervisor_clock(s->supervisor, s->events.now_ms);
    caller_cancel(s, (uint32_t)slot, id);
}

static void draw_stream(struct world_sim *w, struct caller *c)
{
    const bool wide = sim_between(w, 0, 3) == 0;
    c->order.outputs = (uint32_t)sim_between(w, 0, wide ? 9 : 24);
    c->order.output_bytes = (uint32_t)sim_between(w, SIM_OUTPUT_HEAD, wide ? 20000 : 60);
    c->order.step_ms = (uint32_t)sim_between(w, 1, 20);
    c->own_credit = sim_between(w, 0, 2) == 0;
    c->stalls = c->own_credit && sim_chance(w, 6);
    if (c->stalls)
        c->order.outputs += STALL_BEYOND;
}

static void draw_order(struct sim *s, struct caller *c, const struct wish *wish)
{
    struct world_sim *w = &s->world;
    const uint32_t entry = c->entry != NULL ? c->entry->number : 0;
    c->order = (struct sim_order){
        .tag = ++s->last_tag, .kind = wish->kind, .entry = entry, .caller = c->slot
    };
    if (wish->kind == ORDER_POISON) { /* a few inputs, sent again and again */
        c->order = (struct sim_order){ .tag = TWIN_TAG * 2 + rand_below(&w->rng, SIM_POISONS),
                                       .kind = wish->kind,
                                       .caller = CALLER_SHARED,
                                       .output_bytes = SIM_OUTPUT_HEAD };
        return;
    }
    if (wish->mergeable) { /* likewise; whatever is equal about them is in the tag */
        const uint64_t twin = rand_below(&w->rng, TWINS);
        c->order.tag = TWIN_TAG + wish->model * TWINS + twin;
        c->order.caller = CALLER_SHARED;
        c->order.outputs = 1;
        c->order.output_bytes = SIM_OUTPUT_HEAD + 100 * (uint32_t)twin;
        c->order.step_ms = 300;
        return;
    }
    c->order.step_ms = (uint32_t)sim_between(w, 0, 1) ? (uint32_t)sim_between(w, 1, 30)
                                                      : (uint32_t)sim_between(w, 30, 600);
    c->order.outputs = 1;
    c->order.output_bytes = (uint32_t)sim_between(w, SIM_OUTPUT_HEAD, 400);
    if (wish->kind == ORDER_STREAM)
        draw_stream(w, c);
}

static uint8_t *write_payload(struct sim *s, const struct caller *c, size_t *bytes)
{
    static const uint8_t padding[300];
    struct buffer payload;
    buffer_init(&payload, WIRE_PAYLOAD_MAX);
    if (!c->loads)
        sim_order_write(&payload, &c->order);
    if (!c->loads && c->order.caller != CALLER_SHARED)
        buffer_append(&payload, padding, (size_t)sim_between(&s->world, 0, sizeof padding));
    return (uint8_t *)buffer_take(&payload, bytes);
}

static bool speaks(const struct sim_model *m)
{
    return (m->plan.capabilities & 1u << WEIR_TEXT_TO_TEXT) != 0;
}

static void draw_caller(struct sim *s, struct caller *c, const struct wish *wish)
{
    c->entry = s->current[wish->model];
    c->client = wish->client;
    c->loads = wish->loads;
    c->wrong = wish->wrong;
    c->mergeable = wish->mergeable;
    c->priority = (uint8_t)rand_below(&s->world.rng, 6);
    c->submitted_ms = s->events.now_ms;
    c->deadline_at_ms = s->events.now_ms + wish->deadline_ms;
    c->keep_alive_ms = wish->keep_alive_ms;
    if (wish->kind == ORDER_STREAM && sim_between(&s->world, 0, 1) == 0)
        c->affinity = 1 + rand_below(&s->world.rng, ARRAY_COUNT(c->entry->homes));
    draw_order(s, c, wish);
}

static void accepted(struct sim *s, struct caller *c)
{
    s->last_request = c->id;
    s->last_slot = c->slot;
    s->accepted++;
    s->live++;
    c->entry->requests++;
    if (c->priority == 2) /* as the pool sees it, for those who compare */
        c->priority = c->entry->model->priority;
    if (c->priority >= SIM_PRIORITIES)
        c->priority = SIM_PRIORITIES - 1;
    if (!c->loads)
        list_push_back(&c->entry->waiting, &c->link);
    if (c->stalls)
        s->world.deeds_count[DEED_STALLED]++;
}

struct caller *caller_submit(struct sim *s, const struct wish *wish, struct weir_error *err)
{
    static const char *const clients[SIM_CLIENTS] = { NULL, "ann", "bob", "cem", "dee", "eve" };
    const struct sim_model *m = &sim_models[wish->model];
    struct caller *c = take_place(s);
    draw_caller(s, c, wish);
    const bool speak = speaks(m) != wish->wrong;
    struct submission r = { .model = wish->aliased ? m->alias : m->name,
                            .capability = speak ? WEIR_TEXT_TO_TEXT : WEIR_TEXT_EMBEDDING,
                            .operation = wish->loads ? WEIR_LOAD
                                         : speak     ? WEIR_GENERATE
                                                     : WEIR_EMBED,
                            .priority = c->priority,
                            .own_credit = c->own_credit,
                            .mergeable = c->mergeable,
                            .deadline_ms = wish->deadline_ms,
                            .keep_alive_ms = wish->keep_alive_ms,
                            .affinity = c->affinity,
                            .client = clients[c->client],
                            .callbacks = &answer_callbacks,
                            .context = c };
    r.payload = write_payload(s, c, &r.payload_bytes);
    supervisor_clock(s->supervisor, s->events.now_ms);
    const uint64_t id = supervisor_submit(s->supervisor, &r, err);
    events_note(&s->events, "submit", id, id != 0 ? 0 : (uint64_t)err->code);
    if (id == 0) {
        answer_refused(s, c, wish, err);
        mem_free(r.payload);
        return_place(s, c);
        return NULL;
    }
    c->id = id;
    SIM_EXPECT(c->entry != NULL, "request %llu was accepted for '%s', which is not registered",
               (unsigned long long)id, m->name);
    accepted(s, c);
    return c;
}

static int64_t draw_keep_alive(struct world_sim *w)
{
    static const int64_t kept[] = { 0, 0, 0, 0, 1, 500, 3000, 20000, -1, -2 };
    return kept[rand_below(&w->rng, ARRAY_COUNT(kept))];
}

static void draw_wish(struct sim *s, struct wish *wish)
{
    struct world_sim *w = &s->world;
    const struct sim_model *m = &sim_models[wish->model];
    wish->kind = speaks(m) ? ORDER_STREAM : ORDER_ECHO;
    wish->keep_alive_ms = draw_keep_alive(w);
    wish->aliased = sim_between(w, 0, 7) == 0;
    wish->deadline_ms = sim_between(w, 20000, SIM_DEADLINE_MAX_MS);
    if (sim_chance(w, 12))
        wish->deadline_ms = sim_between(w, 20, 3000);
    if (sim_chance(w, 250))
        wish->kind = ORDER_POISON;
    else if (sim_chance(w, 30))
        wish->kind = sim_chance(w, 2) ? ORDER_INVALID : ORDER_FAILS;
    else if (sim_chance(w, 60))
        wish->loads = true;
    else if (sim_chance(w, 80))
        wish->wrong = true;
    else
        wish->mergeable = wish->kind == ORDER_ECHO && sim_between(w, 0, 4) == 0;
}

static void submit(struct sim *s, struct wish *wish)
{
    struct world_sim *w = &s->world;
    struct weir_error err = { .code = WEIR_OK };
    draw_wish(s, wish);
    const struct caller *c = caller_submit(s, wish, &err);
    if (c == NULL)
        return;
    w->deeds_count[DEED_ALIASED] += wish->aliased;
    if (sim_chance(w, 10))
        events_add(&s->events, sim_between(w, 0, 4000), act_cancel, s, c->id, c->slot);
}

/* One that can serve more often than one that can't. */
static size_t draw_model(struct sim *s)
{
    struct world_sim *w = &s->world;
    size_t model = rand_below(&w->rng, w->models_count);
    if (sim_models[model].temper != TEMPER_SOUND || sim_models[model].plan.weights_bytes > 8 * GiB)
        model = rand_below(&w->rng, w->models_count);
    return model;
}

void caller_draw(struct sim *s)
{
    struct rng *rng = &s->world.rng;
    submit(s, &(struct wish){ .model = draw_model(s),
                              .client = (uint32_t)rand_below(rng, SIM_CLIENTS) });
}

/* One client asks one model again and again, and another comes by now and then. */
static void submit_flood(struct sim *s, uint64_t who)
{
    const bool another = sim_between(&s->world, 0, 7) == 0;
    const uint32_t client = (uint32_t)(who % SIM_CLIENTS);
    submit(s, &(struct wish){ .model = who / SIM_CLIENTS,
                              .client = another ? (client + 1) % SIM_CLIENTS : client });
    s->world.deeds_count[another ? DEED_FAIR : DEED_FLOODED]++;
}

/* Arrivals come in moods: a burst, a flood, a trickle, or nobody for a while. `flood` is 0 or who
 * floods what, plus one. */
void callers_arrive(void *context, uint64_t burst, uint64_t flood)
{
    struct sim *s = context;
    struct world_sim *w = &s->world;
    if (!s->arriving)
        return;
    if (flood > 0)
        submit_flood(s, flood - 1);
    else
        caller_draw(s);
    int64_t gap = sim_between(w, 0, flood > 0 ? 10 : 40);
    if (burst == 0) {
        burst = (uint64_t)sim_between(w, 1, 60);
        flood =
            sim_between(w, 0, 3) == 0 ? 1 + rand_below(&w->rng, w->models_count * SIM_CLIENTS) : 0;
        gap = sim_between(w, 0, 3) == 0 ? sim_between(w, 4000, 30000) : sim_between(w, 50, 2000);
    }
    events_add(&s->events, gap, callers_arrive, s, burst - 1, flood);
}
