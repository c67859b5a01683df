#include "sim.h"

#include "base/mem.h"
#include "base/reader.h"

#include <string.h>

static void act_credit(void *context, uint64_t at, uint64_t bytes)
{
    struct sim *s = context;
    struct caller *c = s->callers[at];
    supervisor_clock(s->supervisor, s->events.now_ms);
    supervisor_credit(s->supervisor, c->id, 1, bytes);
}

static void act_cancel(void *context, uint64_t at, uint64_t detail)
{
    struct sim *s = context;
    struct caller *c = s->callers[at];
    (void)detail;
    supervisor_clock(s->supervisor, s->events.now_ms);
    supervisor_cancel(s->supervisor, c->id);
}

static size_t place_of(const struct caller *c)
{
    const struct sim *s = c->sim;
    size_t at = s->callers_count;
    while (s->callers[at - 1] != c)
        at--;
    return at - 1;
}

static void on_output(void *context, uint64_t id, struct str payload)
{
    struct caller *c = context;
    struct sim *s = c->sim;
    struct reader r = reader_of(payload.data, payload.len);
    const uint64_t tag = reader_u64(&r);
    const uint32_t number = reader_u32(&r);
    events_note(&s->events, "output", id, payload.len);
    SIM_EXPECT(c->id == id && id != 0, "an output for %llu came to %llu", (unsigned long long)id,
               (unsigned long long)c->id);
    SIM_EXPECT(!c->ended, "request %llu: an output after its end", (unsigned long long)id);
    SIM_EXPECT(reader_ok(&r) && tag == c->order.tag,
               "request %llu got the output of the request with tag %llu", (unsigned long long)id,
               (unsigned long long)tag);
    SIM_EXPECT(payload.len == c->order.output_bytes && number == c->outputs,
               "request %llu: output %u of %zu bytes, expected %u of %u", (unsigned long long)id,
               number, payload.len, c->outputs, c->order.output_bytes);
    c->outputs++;
    if (sim_chance(&s->world, 400))
        supervisor_cancel(s->supervisor, id);
    else if (c->own_credit && !c->stalls)
        events_add(&s->events, sim_between(&s->world, 0, 400), act_credit, s, place_of(c),
                   payload.len);
}

static void on_progress(void *context, uint64_t id, uint32_t step, uint32_t steps)
{
    const struct caller *c = context;
    SIM_EXPECT(c->id == id && !c->ended, "request %llu: progress after its end",
               (unsigned long long)id);
    SIM_EXPECT(step <= steps, "request %llu: step %u of %u", (unsigned long long)id, step, steps);
}

static void check_end(const struct caller *c, const struct weir_error *error)
{
    const unsigned long long id = c->id;
    const int64_t late = c->sim->events.now_ms - c->deadline_at_ms;
    SIM_EXPECT(error->code == WEIR_OK || error->text[0] != '\0', "request %llu: %s without a text",
               id, error_name(error->code));
    SIM_EXPECT(error->code != WEIR_OK || c->outputs == c->order.outputs,
               "request %llu succeeded with %u of %u outputs", id, c->outputs, c->order.outputs);
    SIM_EXPECT(error->code != WEIR_OK ||
                   (c->order.kind != ORDER_POISON && c->order.kind != ORDER_FAILS),
               "request %llu cannot have succeeded", id);
    SIM_EXPECT(late <= SIM_JUMP_MAX_MS + 100, "request %llu ended %lld ms after its deadline", id,
               (long long)late);
    SIM_EXPECT(error->code != WEIR_DEADLINE || late >= 0,
               "request %llu: its deadline passed %lld ms too early", id, (long long)-late);
}

static struct sim_model *draw_model(struct sim *s)
{
    return &s->world.models[rand_below(&s->world.rng, s->world.models_count)];
}

static void submit_one(struct sim *s);

static void on_end(void *context, uint64_t id, const struct request_outcome *outcome)
{
    struct caller *c = context;
    struct sim *s = c->sim;
    const struct weir_error *error = &outcome->error;
    events_note(&s->events, "end", id, (uint64_t)error->code);
    SIM_EXPECT(c->id == id && !c->ended, "request %llu ended twice", (unsigned long long)id);
    SIM_EXPECT(outcome->queued_ms >= 0 && outcome->queued_ms <= outcome->total_ms,
               "request %llu: queued %lld of %lld ms", (unsigned long long)id,
               (long long)outcome->queued_ms, (long long)outcome->total_ms);
    check_end(c, error);
    c->ended = true;
    c->code = error->code;
    s->codes[error->code]++;
    s->live--;
    /* What a caller may do in its end: submit, and cancel another. */
    if (s->arriving && sim_chance(&s->world, 30))
        submit_one(s);
    if (sim_chance(&s->world, 200))
        supervisor_cancel(s->supervisor, s->callers[s->callers_count - 1]->id);
}

static const struct request_callbacks callbacks = { .on_output = on_output,
                                                    .on_progress = on_progress,
                                                    .on_end = on_end };

static void draw_order(struct sim *s, struct caller *c, enum sim_order_kind kind)
{
    struct world_sim *w = &s->world;
    c->order = (struct sim_order){ .tag = s->callers_count + 1000, .kind = kind };
    c->order.step_ms = (uint32_t)sim_between(w, 0, 1) ? (uint32_t)sim_between(w, 1, 30)
                                                      : (uint32_t)sim_between(w, 30, 600);
    c->order.outputs = 1;
    c->order.output_bytes = (uint32_t)sim_between(w, SIM_OUTPUT_HEAD, 400);
    if (kind == ORDER_STREAM) {
        const bool wide = sim_between(w, 0, 3) == 0;
        c->order.outputs = (uint32_t)sim_between(w, 0, wide ? 9 : 24);
        c->order.output_bytes = (uint32_t)sim_between(w, SIM_OUTPUT_HEAD, wide ? 20000 : 60);
        c->order.step_ms = (uint32_t)sim_between(w, 1, 20);
    }
    if (kind == ORDER_POISON) /* a few inputs, sent again and again */
        c->order = (struct sim_order){ .tag = 1 + rand_below(&w->rng, SIM_POISONS),
                                       .kind = kind,
                                       .output_bytes = SIM_OUTPUT_HEAD };
    c->own_credit = kind == ORDER_STREAM && sim_between(w, 0, 2) == 0;
    c->stalls = c->own_credit && sim_chance(w, 6);
    if (c->stalls) /* enough to use its credit up */
        c->order.outputs += 64;
}

static void keep(struct sim *s, struct caller *c)
{
    if (s->callers_count == s->callers_cap) {
        s->callers_cap = s->callers_cap > 0 ? s->callers_cap * 2 : 1024;
        s->callers = mem_resize(s->callers, s->callers_cap, sizeof *s->callers);
    }
    s->callers[s->callers_count++] = c;
}

struct caller *caller_submit(struct sim *s, struct sim_model *m, enum sim_order_kind kind,
                             int64_t deadline_ms, struct weir_error *err)
{
    struct caller *c = mem_new(1, sizeof *c);
    c->sim = s;
    c->model = m;
    draw_order(s, c, kind);
    c->deadline_at_ms = s->events.now_ms + deadline_ms;
    struct buffer payload;
    buffer_init(&payload, WIRE_PAYLOAD_MAX);
    sim_order_write(&payload, &c->order);
    for (int64_t i = kind == ORDER_POISON ? 0 : sim_between(&s->world, 0, 300); i > 0; i--)
        buffer_u8(&payload, (uint8_t)i);
    size_t bytes = 0;
    uint8_t *data = (uint8_t *)buffer_take(&payload, &bytes);
    const enum weir_capability capability =
        m->plan.capabilities & 1u << WEIR_TEXT_TO_TEXT ? WEIR_TEXT_TO_TEXT : WEIR_TEXT_EMBEDDING;
    const struct submission r = { .model = m->name,
                                  .capability = capability,
                                  .operation = WEIR_GENERATE,
                                  .priority = (uint8_t)rand_below(&s->world.rng, 5),
                                  .own_credit = c->own_credit,
                                  .deadline_ms = deadline_ms,
                                  .payload = data,
                                  .payload_bytes = bytes,
                                  .callbacks = &callbacks,
                                  .context = c };
    supervisor_clock(s->supervisor, s->events.now_ms);
    c->id = supervisor_submit(s->supervisor, &r, err);
    events_note(&s->events, "submit", c->id, c->id != 0 ? 0 : (uint64_t)err->code);
    if (c->id == 0) {
        SIM_EXPECT(err->code != WEIR_OK && err->text[0] != '\0', "refused without a reason");
        s->refusals[err->code]++;
        s->spoilt[m - s->world.models] = err->code == WEIR_LOAD_FAILED;
        s->refused++;
        mem_free(data);
        mem_free(c);
        return NULL;
    }
    keep(s, c);
    s->accepted++;
    s->live++;
    return c;
}

static void submit_one(struct sim *s)
{
    struct world_sim *w = &s->world;
    struct sim_model *m = draw_model(s);
    const bool streams = (m->plan.capabilities & 1u << WEIR_TEXT_TO_TEXT) != 0;
    enum sim_order_kind kind = streams ? ORDER_STREAM : ORDER_ECHO;
    if (sim_chance(w, 250))
        kind = ORDER_POISON;
    else if (sim_chance(w, 30))
        kind = sim_chance(w, 2) ? ORDER_INVALID : ORDER_FAILS;
    int64_t deadline = sim_between(w, 20000, SIM_DEADLINE_MAX_MS);
    if (sim_chance(w, 12))
        deadline = sim_between(w, 20, 3000);
    struct weir_error err = { .code = WEIR_OK };
    if (caller_submit(s, m, kind, deadline, &err) != NULL && sim_chance(w, 10))
        events_add(&s->events, sim_between(w, 0, 4000), act_cancel, s, s->callers_count - 1, 0);
}

/* Arrivals come in moods: a burst, a trickle, or nobody for a while. */
void callers_arrive(void *context, uint64_t burst, uint64_t detail)
{
    struct sim *s = context;
    struct world_sim *w = &s->world;
    (void)detail;
    if (!s->arriving)
        return;
    submit_one(s);
    int64_t gap = sim_between(w, 0, 40);
    if (burst == 0) {
        burst = (uint64_t)sim_between(w, 1, 60);
        gap = sim_between(w, 0, 3) == 0 ? sim_between(w, 4000, 30000) : sim_between(w, 50, 2000);
    }
    events_add(&s->events, gap, callers_arrive, s, burst - 1, 0);
}

void callers_finish(struct sim *s)
{
    for (size_t i = 0; i < s->callers_count; i++)
        mem_free(s->callers[i]);
    mem_free(s->callers);
}
