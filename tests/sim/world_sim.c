#include "world_sim.h"

#include "process.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sim_fault_name(enum sim_fault fault)
{
    static const char *const names[FAULT_COUNT] = {
#define X(NAME, says) says,
        SIM_FAULTS(X)
#undef X
    };
    return names[fault];
}

_Noreturn void sim_failed(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "sim: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

bool sim_chance(struct world_sim *w, uint64_t n)
{
    return rand_below(&w->rng, n) == 0 && w->faults;
}

int64_t sim_between(struct world_sim *w, int64_t least, int64_t most)
{
    return least + (int64_t)rand_below(&w->rng, (uint64_t)(most - least) + 1);
}

static struct sim_model *model_of(struct world_sim *w, const char *path)
{
    for (size_t i = 0; i < w->models_count; i++)
        if (strcmp(w->models[i].name, path) == 0)
            return &w->models[i];
    sim_failed("a process for '%s', which nobody registered", path);
}

uint64_t world_sim_needs(const struct world_sim *w)
{
    uint64_t sum = 0;
    size_t cursor = 0;
    for (const struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        sum += p->context_bytes;
    for (size_t i = 0; i < w->models_count; i++)
        if (w->models[i].weights_held > 0)
            sum += w->models[i].plan.weights_bytes;
    return sum;
}

size_t world_sim_alive(const struct world_sim *w)
{
    return w->processes.count;
}

/* What was promised to processes that still exist fits: so no memory was promised twice, and a
 * victim's only after its exit was reported. A process counts with its weights from its start on,
 * with its context from the load on, which says how much of it was granted. */
void world_sim_witness(struct world_sim *w, const struct sim_model *m, const char *what)
{
    struct supervisor_totals t;
    supervisor_totals(w->supervisor, &t);
    uint64_t needs = world_sim_needs(w) + (m->weights_held == 0 ? m->plan.weights_bytes : 0);
    SIM_EXPECT(needs <= t.leased_bytes, "'%s' %s: processes need %llu, leased are %llu", m->name,
               what, (unsigned long long)needs, (unsigned long long)t.leased_bytes);
}

static enum weir_code spawn(void *context, enum spawn_kind kind, uint32_t id,
                            const struct spawn_spec *spec, struct weir_error *err)
{
    struct world_sim *w = context;
    struct sim_model *m = kind == SPAWN_WORK ? model_of(w, spec->path) : NULL;
    SIM_EXPECT(process_find(w, id) == NULL, "two processes with the id %u", id);
    SIM_EXPECT(strncmp(spec->title, "weir:", 5) == 0, "process %u: title '%s'", id, spec->title);
    events_note(w->events, "spawn", id, (uint64_t)kind);
    if (m != NULL) {
        struct supervisor_totals t;
        supervisor_totals(w->supervisor, &t);
        SIM_EXPECT(t.leased_bytes <= t.budget_bytes, "'%s' started with %llu leased of %llu",
                   m->name, (unsigned long long)t.leased_bytes, (unsigned long long)t.budget_bytes);
        world_sim_witness(w, m, "started");
    }
    if (sim_chance(w, 40)) {
        w->fault_counts[FAULT_SPAWN_FAILS]++;
        return weir_fail(err, WEIR_INTERNAL, "posix_spawn: resource temporarily unavailable");
    }
    struct process *p = mem_new(1, sizeof *p);
    p->key = id;
    p->world = w;
    p->kind = kind;
    p->model = m;
    p->deaf_to_bye = sim_chance(w, 8);
    p->deaf_to_term = p->deaf_to_bye && sim_chance(w, 2);
    if (m != NULL)
        m->weights_held++;
    map_put(&w->processes, map_id(&p->key), p);
    process_start(p);
    return WEIR_OK;
}

static void send(void *context, uint32_t id, enum frame_type type, uint64_t job, struct str body,
                 struct str payload)
{
    struct world_sim *w = context;
    struct process *p = process_find(w, id);
    const struct frame f = { .type = (uint8_t)type,
                             .job = job,
                             .body = (const uint8_t *)body.data,
                             .length = (uint32_t)body.len };
    events_note(w->events, frame_name(type), id, job);
    SIM_EXPECT(type == FRAME_RUN || payload.len == 0, "'%s' with a payload", frame_name(type));
    /* A cancel or credit may come before the turn has looked at the exit. */
    SIM_EXPECT(p != NULL || type == FRAME_CANCEL || type == FRAME_CREDIT,
               "'%s' for process %u, which is gone", frame_name(type), id);
    if (p == NULL || p->dead)
        return;
    switch (type) {
    case FRAME_LOAD: process_on_load(p, &f); break;
    case FRAME_RUN: work_on_run(p, &f, payload); break;
    case FRAME_CANCEL: work_on_cancel(p, job); break;
    case FRAME_CREDIT: work_on_credit(p, &f); break;
    case FRAME_PING: process_on_ping(p, &f); break;
    case FRAME_BYE: process_on_bye(p); break;
    case FRAME_INSPECT: process_on_inspect(p, &f); break;
    default: sim_failed("'%s' is no frame for a worker", frame_name(type));
    }
}

static void kill_process(void *context, uint32_t id, enum world_signal signal)
{
    struct world_sim *w = context;
    struct process *p = process_find(w, id);
    events_note(w->events, "signal", id, (uint64_t)signal);
    SIM_EXPECT(p != NULL, "a signal for process %u, which is gone", id);
    if (!p->dead)
        process_on_signal(p, signal);
}

static void share(void *context, uint32_t id, uint32_t threads)
{
    struct world_sim *w = context;
    events_note(w->events, "share", id, threads);
    SIM_EXPECT(process_find(w, id) != NULL, "a share for process %u, which is gone", id);
    SIM_EXPECT(threads >= 1 && threads <= SIM_THREADS, "process %u: %u threads", id, threads);
}

static uint64_t ticks(void *context, uint32_t id)
{
    struct world_sim *w = context;
    const struct process *p = process_find(w, id);
    if (p == NULL)
        return 0;
    return p->stuck || p->dead ? p->stuck_ticks : (uint64_t)w->events->now_ms;
}

static uint64_t private_bytes(const struct process *p)
{
    if (p->model == NULL || p->stage != STAGE_SERVING)
        return 0;
    const uint64_t planned = p->context_bytes;
    return p->grows ? planned + planned / 4 : planned / 2;
}

static void memory(void *context, struct memory_facts *facts)
{
    struct world_sim *w = context;
    uint64_t used = w->foreign_bytes;
    size_t cursor = 0;
    for (const struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        used += private_bytes(p);
    facts->total_bytes = w->total_bytes;
    facts->available_bytes = used < w->total_bytes ? w->total_bytes - used : 0;
    for (size_t i = 0; i < facts->children_count; i++) {
        const struct process *p = process_find(w, facts->children[i].id);
        facts->children[i].private_bytes = p != NULL ? private_bytes(p) : 0;
    }
}

static int64_t pid(void *context, uint32_t id)
{
    return process_find(context, id) != NULL ? 1000 + (int64_t)id : 0;
}

void world_sim_calm_memory(struct world_sim *w)
{
    w->total_bytes = 10 * GiB;
    w->foreign_bytes = 1 * GiB;
}

void world_sim_draw_memory(struct world_sim *w)
{
    world_sim_calm_memory(w);
    if (sim_chance(w, 3)) {
        w->fault_counts[FAULT_MEMORY_TAKEN]++;
        w->foreign_bytes = (uint64_t)sim_between(w, 3072, 9216) * MiB;
    }
    if (sim_chance(w, 6)) {
        w->fault_counts[FAULT_TOTAL_CHANGES]++;
        w->total_bytes = (uint64_t)sim_between(w, 7168, 13312) * MiB;
    }
    events_note(w->events, "memory", w->total_bytes, w->foreign_bytes);
}

void world_sim_init(struct world_sim *w, struct events *events, uint64_t seed)
{
    *w = (struct world_sim){ .events = events };
    w->world = (struct world){ .context = w,
                               .spawn = spawn,
                               .send = send,
                               .kill = kill_process,
                               .share = share,
                               .ticks = ticks,
                               .memory = memory,
                               .pid = pid };
    rand_seed(&w->rng, seed);
    map_init(&w->processes);
    world_sim_calm_memory(w);
}

void world_sim_finish(struct world_sim *w)
{
    CHECK(w->processes.count == 0);
    map_finish(&w->processes);
}
