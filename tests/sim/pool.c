#include "sim.h"

#include "process.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"

#include <stdio.h>
#include <string.h>

#define EMBEDS            (1u << WEIR_TEXT_EMBEDDING)
#define SPEAKS            (1u << WEIR_TEXT_TO_TEXT)
#define IDLE_MS           7000
#define LABEL_MS          2000
#define TURNS_AT_ONCE_MAX 40

/* The machine has 10 GiB most of the time, so the budget is 6 GiB: not all of these fit together,
 * and one does not fit at all. Sizes are in MiB, the last column says what is unregistered often.
 *
 * name, can, weights, fixed, per slot, tokens, slots, min, max, load_ms, temper, passes */
#define SIM_MODELS(X)                                                                              \
    X("small", EMBEDS, 200, 40, 4, 512, 8, 0, 4, 300, TEMPER_SOUND, false)                         \
    X("medium", EMBEDS, 1200, 150, 8, 512, 4, 0, 4, 900, TEMPER_SOUND, false)                      \
    X("large", SPEAKS, 3000, 300, 200, 8192, 2, 0, 2, 2500, TEMPER_SOUND, false)                   \
    X("larger", SPEAKS, 4000, 500, 0, 2048, 1, 0, 3, 4000, TEMPER_SOUND, false)                    \
    X("vast", EMBEDS, 14000, 1000, 0, 2048, 1, 0, 1, 9000, TEMPER_SOUND, false)                    \
    X("pinned", EMBEDS, 90, 30, 4, 128, 2, 1, 3, 150, TEMPER_SOUND, false)                         \
    X("crashing", EMBEDS, 100, 30, 0, 128, 1, 0, 2, 200, TEMPER_CRASHES_ON_LOAD, false)            \
    X("failing", EMBEDS, 100, 30, 0, 128, 1, 0, 2, 200, TEMPER_FAILS_ON_LOAD, false)               \
    X("passing", SPEAKS, 700, 100, 16, 1024, 3, 0, 3, 600, TEMPER_SOUND, true)

static struct sim_model models[] = {
#define X(NAME, can, weights, fixed, slot, tokens, slot_count, least, most, load, how, passes)     \
    {                                                                                              \
        .name = (NAME),                                                                            \
        .plan = {.capabilities = (can),                                                           \
                 .architecture = "fake",                                                          \
                 .weights_bytes = (weights)*MiB,                                                  \
                 .fixed_bytes = (fixed)*MiB,                                                      \
                 .per_slot_bytes = (slot)*MiB,                                                    \
                 .per_token_bytes = 2 * KiB,                                                      \
                 .scratch_per_thread_bytes = 1 * MiB,                                             \
                 .positions = (tokens),                                                           \
                 .tokens_max = (tokens),                                                          \
                 .slots = (slot_count)},                                                         \
        .min_workers = (least),                                                                    \
        .max_workers = (most),                                                                     \
        .load_ms = (load),                                                                         \
        .temper = (how),                                                                           \
        .is_volatile = (passes)                                                                    \
},
    SIM_MODELS(X)
#undef X
};

static void trace_log(void *context, enum log_level level, const char *line)
{
    const struct sim *s = context;
    printf("%10lld %8llu  %-5s %s\n", (long long)s->events.now_ms,
           (unsigned long long)s->events.happened, log_level_name(level), line);
}

/* Only Ready and Idle may be pushed out for another model or for being idle. */
static void on_event(void *context, const struct pool_event *event)
{
    static const char *const busy[] = { "Spawning", "Loading", "Processing" };
    struct sim *s = context;
    events_note(&s->events, event->kind, event->worker, 0);
    if (strcmp(event->kind, "state") != 0 || event->from == NULL ||
        strcmp(event->to, "Evicting") != 0)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(busy); i++)
        SIM_EXPECT(strcmp(event->from, busy[i]) != 0 || (strcmp(event->reason, "idle") != 0 &&
                                                         strncmp(event->reason, "evicted", 7) != 0),
                   "%s worker %u of '%s' was pushed out: %s", event->from, event->worker,
                   event->model, event->reason);
}

static void act_unload(void *context, uint64_t model, uint64_t detail)
{
    struct sim *s = context;
    struct weir_error err;
    (void)detail;
    supervisor_clock(s->supervisor, s->events.now_ms);
    if (s->registered[model])
        SIM_EXPECT(supervisor_unload(s->supervisor, models[model].name, &err) == WEIR_OK,
                   "unload: %s", err.text);
}

/* Some models are unloaded just while they start. */
static void on_start(void *context, const struct sim_model *m, bool loading)
{
    struct sim *s = context;
    const size_t at = (size_t)(m - models);
    if (sim_chance(&s->world, 25))
        events_add(&s->events, sim_between(&s->world, 0, loading ? m->load_ms : 30), act_unload, s,
                   at, 0);
}

void sim_register(struct sim *s, size_t model)
{
    const struct sim_model *m = &models[model];
    const struct model_settings settings = { .name = m->name,
                                             .path = m->name,
                                             .program = PROGRAM_FAKE,
                                             .max_workers = m->max_workers,
                                             .min_workers = m->min_workers,
                                             .idle_ms = IDLE_MS,
                                             .idle_label_ms = LABEL_MS };
    struct weir_error err;
    supervisor_clock(s->supervisor, s->events.now_ms);
    SIM_EXPECT(supervisor_register(s->supervisor, &settings, &err) == WEIR_OK, "register: %s",
               err.text);
    s->registered[model] = true;
    s->spoilt[model] = false;
}

void sim_unregister(struct sim *s, size_t model)
{
    struct weir_error err;
    supervisor_clock(s->supervisor, s->events.now_ms);
    SIM_EXPECT(supervisor_unregister(s->supervisor, models[model].name, &err) == WEIR_OK,
               "unregister: %s", err.text);
    s->registered[model] = false;
}

void sim_open(struct sim *s, uint64_t seed, bool trace)
{
    *s = (struct sim){ .wake_ms = 0 };
    s->log = (struct log){ .sink = trace ? trace_log : NULL, .context = s };
    events_init(&s->events);
    s->events.printing = trace;
    world_sim_init(&s->world, &s->events, seed);
    s->world.models = models;
    s->world.models_count = ARRAY_COUNT(models);
    s->world.on_start = on_start;
    s->world.on_start_context = s;
    struct supervisor_options options = { .limits = limits_default,
                                          .threads = SIM_THREADS,
                                          .log = &s->log,
                                          .on_event = on_event,
                                          .event_context = s };
    /* Small bounds, so that they are met. */
    options.limits.queue_jobs = 40;
    options.limits.load_stall_ms = 15000;
    options.limits.job_stall_ms = 8000;
    options.limits.ping_ms = 1500;
    options.limits.pong_ms = 1000;
    options.limits.quarantine_ms = 60000;
    options.limits.breaker_open_ms = 8000;
    options.limits.restart_max_ms = 8000;
    s->supervisor = supervisor_create(&options, &s->world.world, 0);
    s->world.supervisor = s->supervisor;
    for (size_t i = 0; i < ARRAY_COUNT(models); i++) {
        models[i].weights_held = 0;
        sim_register(s, i);
    }
}

void sim_close(struct sim *s)
{
    supervisor_destroy(s->supervisor);
    world_sim_finish(&s->world);
    events_finish(&s->events);
    callers_finish(s);
}

/* From the outside: the pool's own numbers agree with those of its world and its callers. */
static void check_totals(const struct sim *s)
{
    struct supervisor_totals t;
    supervisor_totals(s->supervisor, &t);
    const unsigned long long children = t.children, alive = world_sim_alive(&s->world);
    SIM_EXPECT(children == alive, "the pool counts %llu children, the world %llu", children, alive);
    SIM_EXPECT(t.accepted == s->accepted && t.requests == s->live,
               "the pool has %llu requests, the callers wait for %llu",
               (unsigned long long)t.requests, (unsigned long long)s->live);
    SIM_EXPECT(world_sim_needs(&s->world) <= t.leased_bytes,
               "processes may use %llu bytes, leased are %llu",
               (unsigned long long)world_sim_needs(&s->world), (unsigned long long)t.leased_bytes);
}

void sim_turn(struct sim *s)
{
    struct supervisor_totals before, after;
    const int64_t now = s->events.now_ms;
    s->wake_ms = supervisor_turn(s->supervisor, now);
    s->turns++;
    events_note(&s->events, "turn", (uint64_t)s->wake_ms, 0);
    supervisor_check(s->supervisor);
    if (supervisor_is_dirty(s->supervisor)) {
        SIM_EXPECT(++s->turns_at_once < TURNS_AT_ONCE_MAX, "%u turns and still not settled",
                   s->turns_at_once);
        s->wake_ms = now;
        return;
    }
    s->turns_at_once = 0;
    SIM_EXPECT(s->wake_ms > now, "a settled pool wants to run again at once");
    check_totals(s);
    /* Run again over the same facts, it decides nothing. */
    supervisor_totals(s->supervisor, &before);
    s->wake_ms = supervisor_turn(s->supervisor, now);
    supervisor_totals(s->supervisor, &after);
    SIM_EXPECT(before.decisions == after.decisions, "the second turn decided %llu things more",
               (unsigned long long)(after.decisions - before.decisions));
}

/* A turn follows each batch of facts before time goes on; a wake may come a little late. */
void sim_advance(struct sim *s)
{
    const int64_t now = s->events.now_ms, next = events_next(&s->events);
    const bool dirty = supervisor_is_dirty(s->supervisor);
    SIM_EXPECT(dirty || next != TIMER_NEVER || s->wake_ms != TIMER_NEVER,
               "nothing will ever happen again");
    if (dirty && (next > now || sim_between(&s->world, 0, 2) > 0)) {
        sim_turn(s);
    } else if (!dirty && s->wake_ms <= next) {
        if (s->wake_ms > now)
            s->events.now_ms = s->wake_ms + sim_between(&s->world, 0, 3);
        sim_turn(s);
    } else {
        if (next > now)
            s->events.now_ms = next;
        events_run_one(&s->events);
    }
}
