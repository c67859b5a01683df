/* pool.c — one pool and its time: opened, turned, led from event to event, closed. */
#include "process.h"
#include "sim.h"

#include <stdio.h>

#define TURNS_AT_ONCE_MAX 40

static void trace_log(void *context, enum log_level level, const char *line)
{
    const struct sim *s = context;
    printf("%10lld %8llu  %-5s %s\n", (long long)s->events.now_ms,
           (unsigned long long)s->events.happened, log_level_name(level), line);
}

static void on_spawn(void *context, uint32_t id, struct sim_entry *entry)
{
    struct sim *s = context;
    (void)id;
    s->starved_since_ms = -1;
    registry_on_start(s, entry, 30);
}

static void on_load(void *context, const struct sim_entry *entry)
{
    registry_on_start(context, entry, entry->model->load_ms);
}

/* Small bounds, so that they are met. */
static struct supervisor_options small_options(struct sim *s)
{
    struct supervisor_options options = { .limits = limits_default,
                                          .threads = SIM_THREADS,
                                          .cache = SIM_CACHE,
                                          .log = &s->log,
                                          .on_event = watch_on_event,
                                          .event_context = s,
                                          .on_learned = registry_on_learned,
                                          .learned_context = s,
                                          .on_inspected = registry_on_inspected,
                                          .inspected_context = s };
    options.limits.queue_jobs = 40;
    options.limits.load_stall_ms = 15000;
    options.limits.job_stall_ms = 8000;
    options.limits.ping_ms = 1500;
    options.limits.pong_ms = 1000;
    options.limits.quarantine_ms = 60000;
    options.limits.breaker_open_ms = 8000;
    options.limits.restart_max_ms = 8000;
    return options;
}

void sim_open(struct sim *s, uint64_t seed, bool trace)
{
    *s = (struct sim){ .wake_ms = 0 };
    s->log = (struct log){ .sink = trace ? trace_log : NULL, .context = s };
    events_init(&s->events);
    s->events.printing = trace;
    world_sim_init(&s->world, &s->events, seed);
    s->world.models = sim_models;
    s->world.models_count = sim_models_count();
    s->world.witness = (struct sim_witness){
        .context = s, .on_spawn = on_spawn, .on_load = on_load, .on_run = answer_on_run
    };
    callers_init(s);
    const struct supervisor_options options = small_options(s);
    s->supervisor = supervisor_create(&options, &s->world.world, 0);
    s->world.supervisor = s->supervisor;
    registry_learn(s);
    for (size_t i = 0; i < s->world.models_count; i++)
        registry_add(s, i);
}

void sim_close(struct sim *s)
{
    supervisor_destroy(s->supervisor);
    world_sim_finish(&s->world);
    events_finish(&s->events);
    callers_finish(s);
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
    watch_settled(s);
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
