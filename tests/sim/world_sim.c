#include "world_sim.h"

#include "process.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "supervisor/governor.h"
#include "supervisor/prepare.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The path names the model and the registration: "small#12". */
struct sim_entry *world_sim_add_entry(struct world_sim *w, struct sim_model *m)
{
    struct sim_entry *e = mem_new(1, sizeof *e);
    e->number = ++w->last_entry;
    e->model = m;
    snprintf(e->path, sizeof e->path, "%s#%u", m->name, e->number);
    list_init(&e->waiting);
    list_push_back(&w->entries, &e->link);
    return e;
}

void world_sim_forget_entry(struct world_sim *w, struct sim_entry *e)
{
    if (e->registered || e->processes > 0 || e->requests > 0)
        return;
    events_note(w->events, "entry forgotten", e->number, 0);
    list_remove(&e->link);
    mem_free(e);
}

struct sim_entry *world_sim_entry(struct world_sim *w, struct str path)
{
    LIST_EACH(&w->entries, at) {
        struct sim_entry *e = CONTAINER_OF(at, struct sim_entry, link);
        if (str_eq(path, str_of(e->path)))
            return e;
    }
    return NULL;
}

uint64_t sim_packed_bytes(const struct sim_model *m)
{
    return m->plan.packed_bytes[m->precision];
}

uint64_t world_sim_needs(const struct world_sim *w)
{
    return w->needs_bytes;
}

size_t world_sim_alive(const struct world_sim *w)
{
    return w->processes.count;
}

uint64_t world_sim_slack(const struct world_sim *w)
{
    return w->slack_bytes;
}

uint64_t world_sim_available(const struct world_sim *w)
{
    uint64_t used = w->foreign_bytes;
    size_t cursor = 0;
    for (const struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        used += process_private_bytes(p);
    return used < w->total_bytes ? w->total_bytes - used : 0;
}

uint64_t world_sim_budget(const struct world_sim *w)
{
    return governor_budget(w->total_bytes, w->asked_bytes, w->asked_percent);
}

/* What is leased and does not lessen what is available yet, at the least: the contexts of workers
 * that load, and all weights, which are file cache. */
static uint64_t untouched_bytes(const struct world_sim *w)
{
    uint64_t sum = 0;
    size_t cursor = 0;
    for (const struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        if (p->entry != NULL && (p->state == SPAWNING || p->state == LOADING))
            sum += p->needs_bytes;
        else if (p->kind == SPAWN_PREPARE)
            sum += p->needs_bytes;
    LIST_EACH(&w->entries, at) {
        const struct sim_entry *e = CONTAINER_OF(at, struct sim_entry, link);
        sum += e->processes > 0 ? e->model->plan.weights_bytes + e->packed_bytes : 0;
    }
    return sum;
}

/* What was promised to processes that still exist fits, together with the one that is started now:
 * so no memory was promised twice, and a victim's only after its exit was reported. */
static void witness_grant(struct world_sim *w, const char *what, uint64_t more)
{
    struct supervisor_totals t;
    supervisor_totals(w->supervisor, &t);
    const uint64_t needs = w->needs_bytes + more;
    const uint64_t touched = untouched_bytes(w) + more + GOVERNOR_RESERVE_BYTES;
    SIM_EXPECT(t.leased_bytes <= t.budget_bytes, "'%s' started with %llu leased of %llu", what,
               (unsigned long long)t.leased_bytes, (unsigned long long)t.budget_bytes);
    SIM_EXPECT(t.budget_bytes <= world_sim_budget(w), "the budget is %llu, it may be %llu",
               (unsigned long long)t.budget_bytes, (unsigned long long)world_sim_budget(w));
    SIM_EXPECT(needs <= t.leased_bytes, "'%s' started: processes need %llu, leased are %llu", what,
               (unsigned long long)needs, (unsigned long long)t.leased_bytes);
    SIM_EXPECT(touched <= w->told_available,
               "'%s' started: at least %llu bytes are still to be touched, %llu are available",
               what, (unsigned long long)touched, (unsigned long long)w->told_available);
}

/* The weights come with the first. */
static void witness_worker(struct world_sim *w, struct sim_entry *e)
{
    e->attempts++;
    witness_grant(w, e->path,
                  process_least_bytes(e) + (e->processes == 0 ? e->model->plan.weights_bytes : 0));
}

/* One at a time, for all models here are of one program. */
static void witness_preparer(struct world_sim *w)
{
    size_t cursor = 0;
    for (const struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        SIM_EXPECT(p->kind != SPAWN_PREPARE, "a second preparer beside process %u",
                   (unsigned)p->key);
    witness_grant(w, "weir:prepare", PREPARE_BYTES);
}

static void check_title(const struct spawn_spec *spec, const struct sim_entry *e,
                        enum spawn_kind kind, uint32_t id)
{
    char title[80];
    if (e == NULL)
        snprintf(title, sizeof title, kind == SPAWN_INSPECT ? "weir:inspect" : "weir:prepare");
    else
        snprintf(title, sizeof title, "weir:%s:%s:%u",
                 e->model->plan.capabilities & 1u << WEIR_TEXT_EMBEDDING ? "text_embedding"
                                                                         : "text_to_text",
                 e->model->name, id);
    SIM_EXPECT(strcmp(spec->title, title) == 0, "process %u: title '%s'", id, spec->title);
    SIM_EXPECT(spec->program == PROGRAM_FAKE, "process %u: program %u", id,
               (unsigned)spec->program);
}

static enum weir_code spawn(void *context, enum spawn_kind kind, uint32_t id,
                            const struct spawn_spec *spec, struct weir_error *err)
{
    static const enum sim_fault refusals[] = { [SPAWN_WORK] = FAULT_SPAWN_FAILS,
                                               [SPAWN_INSPECT] = FAULT_INSPECTOR_FAILS,
                                               [SPAWN_PREPARE] = FAULT_PREPARER_FAILS };
    struct world_sim *w = context;
    struct sim_entry *e = kind == SPAWN_WORK ? world_sim_entry(w, str_of(spec->path)) : NULL;
    SIM_EXPECT(kind != SPAWN_WORK || e != NULL, "a process for '%s', which nobody registered",
               spec->path);
    SIM_EXPECT(process_find(w, id) == NULL, "two processes with the id %u", id);
    check_title(spec, e, kind, id);
    events_note(w->events, "spawn", id, (uint64_t)kind);
    if (kind == SPAWN_WORK)
        witness_worker(w, e);
    else if (kind == SPAWN_PREPARE)
        witness_preparer(w);
    if (sim_chance(w, 40)) {
        w->faults_count[refusals[kind]]++;
        if (e != NULL)
            e->failed_ms = w->events->now_ms;
        return weir_fail(err, WEIR_INTERNAL, "posix_spawn: resource temporarily unavailable");
    }
    w->inspectors += kind == SPAWN_INSPECT;
    struct process *p = mem_new(1, sizeof *p);
    p->key = id;
    p->world = w;
    p->kind = kind;
    p->entry = e;
    p->attempt = e != NULL ? e->attempts : 0;
    p->state = SPAWNING;
    p->deaf_to_bye = sim_chance(w, 8);
    p->deaf_to_term = p->deaf_to_bye && sim_chance(w, 2);
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
    if (p == NULL || (p->dead && type != FRAME_RUN)) /* a job for the dead counts as a try */
        return;
    switch (type) {
    case FRAME_LOAD: process_on_load(p, &f); break;
    case FRAME_RUN: work_on_run(p, &f, payload); break;
    case FRAME_CANCEL: work_on_cancel(p, job); break;
    case FRAME_CREDIT: work_on_credit(p, &f); break;
    case FRAME_PING: process_on_ping(p, &f); break;
    case FRAME_BYE: process_on_bye(p); break;
    case FRAME_INSPECT: helper_on_inspect(p, &f); break;
    case FRAME_PREPARE: helper_on_prepare(p, &f); break;
    default: sim_failed("'%s' is no frame for a worker", frame_name(type));
    }
}

/* Told to leave, a process has a while for it; then SIGTERM, and a while; then SIGKILL. Earlier it
 * comes only in a shutdown, and to what can't be trusted any more. */
static void check_patience(struct process *p, enum world_signal signal)
{
    const int64_t now = p->world->events->now_ms;
    const struct limits *l = &limits_default;
    if (p->world->draining || p->entry == NULL || p->dead)
        return;
    if (signal == WORLD_TERM)
        SIM_EXPECT(p->bye_ms > 0 && now - p->bye_ms >= l->bye_ms,
                   "process %llu: SIGTERM %lld ms after bye", (unsigned long long)p->key,
                   (long long)(now - p->bye_ms));
    else if (p->channel_lost || p->odd)
        return;
    else if (p->term_ms > 0)
        SIM_EXPECT(now - p->term_ms >= l->term_ms, "process %llu: SIGKILL %lld ms after SIGTERM",
                   (unsigned long long)p->key, (long long)(now - p->term_ms));
    else if (p->bye_ms > 0)
        sim_failed("process %llu: SIGKILL without SIGTERM", (unsigned long long)p->key);
    if (signal == WORLD_TERM)
        p->term_ms = now;
}

static void kill_process(void *context, uint32_t id, enum world_signal signal)
{
    struct world_sim *w = context;
    struct process *p = process_find(w, id);
    events_note(w->events, "signal", id, (uint64_t)signal);
    SIM_EXPECT(p != NULL, "a signal for process %u, which is gone", id);
    check_patience(p, signal);
    p->killed |= signal == WORLD_KILL;
    if (!p->dead)
        process_on_signal(p, signal);
}

static void share(void *context, uint32_t id, uint32_t threads)
{
    struct world_sim *w = context;
    events_note(w->events, "share", id, threads);
    SIM_EXPECT(process_find(w, id) != NULL, "a share for process %u, which is gone", id);
    SIM_EXPECT(threads >= 1 && threads <= SIM_THREADS, "process %u: %u threads", id, threads);
    process_find(w, id)->threads = threads;
}

static uint64_t ticks(void *context, uint32_t id)
{
    struct world_sim *w = context;
    const struct process *p = process_find(w, id);
    if (p == NULL)
        return 0;
    return p->stuck || p->dead ? p->stuck_ticks : (uint64_t)w->events->now_ms;
}

static void memory(void *context, struct memory_facts *facts)
{
    struct world_sim *w = context;
    w->told_ms = w->events->now_ms;
    facts->total_bytes = w->total_bytes;
    facts->available_bytes = w->told_available = world_sim_available(w);
    for (size_t i = 0; i < facts->children_count; i++) {
        struct child_memory *row = &facts->children[i];
        struct process *p = process_find(w, row->id);
        row->private_bytes = p != NULL ? process_private_bytes(p) : 0;
        if (p != NULL)
            process_told(p);
        row->major_faults = p != NULL && p->thrashes ? (uint64_t)w->events->now_ms : 0;
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

void world_sim_sicken(struct world_sim *w)
{
    size_t cursor = 0;
    for (struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        p->sick = true;
}

void world_sim_draw_memory(struct world_sim *w)
{
    world_sim_calm_memory(w);
    if (sim_chance(w, 4)) {
        w->faults_count[FAULT_MEMORY_TAKEN]++;
        w->foreign_bytes = (uint64_t)sim_between(w, 3072, 9216) * MiB;
    } else if (sim_chance(w, 10)) {
        w->faults_count[FAULT_MEMORY_CRITICAL]++;
        w->foreign_bytes = (uint64_t)sim_between(w, 8800, 10200) * MiB;
    }
    if (sim_chance(w, 6)) {
        w->faults_count[FAULT_TOTAL_CHANGES]++;
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
    list_init(&w->entries);
    world_sim_calm_memory(w);
}

void world_sim_finish(struct world_sim *w)
{
    CHECK(w->processes.count == 0);
    map_finish(&w->processes);
    while (!list_empty(&w->entries)) {
        struct sim_entry *e = CONTAINER_OF(w->entries.next, struct sim_entry, link);
        list_remove(&e->link);
        mem_free(e);
    }
}
