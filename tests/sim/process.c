#include "process.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/build_id.h"
#include "wire/message.h"

#include <string.h>

struct process *process_find(struct world_sim *w, uint64_t id)
{
    return map_get(&w->processes, map_id(&id));
}

void process_fault(struct process *p, enum sim_fault fault)
{
    p->world->fault_counts[fault]++;
    events_note(p->world->events, sim_fault_name(fault), p->key, 0);
}

static bool draws(struct process *p, uint64_t one_in, enum sim_fault fault)
{
    if (!sim_chance(p->world, one_in))
        return false;
    process_fault(p, fault);
    return true;
}

static void later(struct process *p, int64_t least, int64_t most, event_act *act, uint64_t detail)
{
    struct world_sim *w = p->world;
    events_add(w->events, sim_between(w, least, most), act, w, p->key, detail);
}

/* The body is handed over in a block of exactly its size, so that reading past it is seen. */
void process_emit(struct process *p, enum frame_type type, uint64_t job, const struct buffer *body)
{
    if (p->dead)
        return;
    struct world_sim *w = p->world;
    const size_t length = body != NULL ? body->len : 0;
    uint8_t *copy = mem_new(length > 0 ? length : 1, 1);
    if (length > 0)
        memcpy(copy, body->data, length);
    events_note(w->events, frame_name(type), p->key, length);
    supervisor_clock(w->supervisor, w->events->now_ms);
    supervisor_on_frame(
        w->supervisor, (uint32_t)p->key,
        &(struct frame){
            .type = (uint8_t)type, .job = job, .body = copy, .length = (uint32_t)length });
    mem_free(copy);
}

void process_emit_garbage(struct process *p, uint64_t job)
{
    static const enum frame_type types[] = { FRAME_PONG, FRAME_END, FRAME_OUTPUT, FRAME_PROGRESS,
                                             FRAME_PART };
    const size_t kinds = job != 0 ? ARRAY_COUNT(types) : 1;
    const enum frame_type type = types[sim_between(p->world, 0, (int64_t)kinds - 1)];
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    for (int64_t i = type == FRAME_PART ? 0 : sim_between(p->world, 1, 7); i > 0; i--)
        buffer_u8(&body, (uint8_t)rand_u64(&p->world->rng));
    process_fault(p, FAULT_GARBAGE);
    process_emit(p, type, job, &body);
    buffer_finish(&body);
}

void process_emit_illegal(struct process *p, uint64_t job)
{
    static const enum frame_type types[] = {
        FRAME_LOADED, FRAME_HELLO, FRAME_PLAN, FRAME_FAILED,
        FRAME_RUN,    FRAME_BYE,   FRAME_END,  FRAME_INSPECTED
    };
    const size_t at = (size_t)sim_between(p->world, 0, (int64_t)ARRAY_COUNT(types) - 1);
    process_fault(p, FAULT_ILLEGAL);
    process_emit(p, types[at], types[at] == FRAME_END ? job + 1000000 : job, NULL);
}

void process_stick(struct process *p)
{
    p->stuck = true;
    p->stuck_ticks = (uint64_t)p->world->events->now_ms;
}

static void act_frame_after_exit(void *context, uint64_t id, uint64_t detail)
{
    struct world_sim *w = context;
    (void)detail;
    w->fault_counts[FAULT_FRAME_AFTER_EXIT]++;
    supervisor_on_frame(w->supervisor, (uint32_t)id,
                        &(struct frame){ .type = FRAME_LOADED, .body = (const uint8_t *)"" });
}

static void act_report(void *context, uint64_t id, uint64_t detail)
{
    struct world_sim *w = context;
    struct process *p = process_find(w, id);
    const bool late = sim_chance(w, 20);
    (void)detail;
    if (p->model != NULL)
        p->model->weights_held--;
    map_remove(&w->processes, map_id(&p->key));
    events_note(w->events, "exit", id, p->exit_unknown);
    supervisor_clock(w->supervisor, w->events->now_ms);
    supervisor_on_exit(w->supervisor, (uint32_t)id, p->exit_unknown ? "status unknown" : "signal 9",
                       sim_chance(w, 2) ? "the last line of stderr" : NULL);
    mem_free(p);
    if (late)
        events_add(w->events, sim_between(w, 0, 6000), act_frame_after_exit, w, id, 0);
}

static void act_channel_lost(void *context, uint64_t id, uint64_t detail)
{
    struct world_sim *w = context;
    (void)detail;
    events_note(w->events, "channel lost", id, 0);
    supervisor_clock(w->supervisor, w->events->now_ms);
    supervisor_on_lost(w->supervisor, (uint32_t)id, "its channel was closed");
}

/* Silent from now on; the channel's end and the exit status come in their own time. */
void process_die(struct process *p, const char *how)
{
    if (p->dead)
        return;
    (void)how;
    p->dead = true;
    p->exit_unknown = draws(p, 20, FAULT_STATUS_UNKNOWN);
    int64_t delay = sim_between(p->world, 0, 5);
    if (draws(p, 4, FAULT_CHANNEL_FIRST)) {
        events_add(p->world->events, delay, act_channel_lost, p->world, p->key, 0);
        delay += sim_between(p->world, 1, 50);
    }
    events_add(p->world->events, delay, act_report, p->world, p->key, 0);
}

static void act_die(void *context, uint64_t id, uint64_t detail)
{
    struct process *p = process_find(context, id);
    (void)detail;
    if (p != NULL)
        process_die(p, "in time");
}

/* Between jobs, too, a process may go wrong. */
static void act_whim(void *context, uint64_t id, uint64_t detail)
{
    struct process *p = process_find(context, id);
    (void)detail;
    if (p == NULL || p->dead || p->stuck)
        return;
    later(p, 300, 2500, act_whim, 0);
    if (p->works_count > 0)
        return;
    if (draws(p, 12, FAULT_QUIET_CRASHES))
        process_die(p, "while quiet");
    else if (sim_chance(p->world, 80))
        process_emit_garbage(p, 0);
    else if (sim_chance(p->world, 80))
        process_emit_illegal(p, 0);
}

static void act_loaded(void *context, uint64_t id, uint64_t detail)
{
    struct process *p = process_find(context, id);
    (void)detail;
    if (p == NULL || p->dead || p->stuck)
        return;
    p->stage = STAGE_SERVING;
    p->grows = draws(p, 15, FAULT_MEASURED_HIGH);
    process_emit(p, FRAME_LOADED, 0, NULL);
    later(p, 500, 4000, act_whim, 0);
}

/* Says why, then waits for bye or is gone at once. */
static void fail(struct process *p, enum sim_fault fault)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    struct weir_error error = { .code = WEIR_LOAD_FAILED, .index = -1 };
    memcpy(error.text, "a file is missing", sizeof "a file is missing");
    message_failed_write(&body, &error);
    process_fault(p, fault);
    p->stage = STAGE_FAILED;
    process_emit(p, FRAME_FAILED, 0, &body);
    buffer_finish(&body);
    if (sim_between(p->world, 0, 1) == 0)
        process_die(p, "after a failure");
}

static void act_load_fails(void *context, uint64_t id, uint64_t detail)
{
    struct process *p = process_find(context, id);
    (void)detail;
    if (p != NULL && !p->dead)
        fail(p, FAULT_LOAD_FAILS);
}

void process_on_load(struct process *p, const struct frame *f)
{
    struct message_load m;
    struct weir_error err;
    SIM_EXPECT(p->stage == STAGE_STARTING && p->greeted, "process %u: load out of turn",
               (unsigned)p->key);
    SIM_EXPECT(message_load_read(f, &m, &err), "process %u: %s", (unsigned)p->key, err.text);
    SIM_EXPECT(m.slots > 0 && m.slots <= p->model->plan.slots, "process %u: %u slots",
               (unsigned)p->key, m.slots);
    SIM_EXPECT(m.context > 0 && m.context <= p->model->plan.tokens_max,
               "process %u: %u tokens of context", (unsigned)p->key, m.context);
    SIM_EXPECT(m.threads == SIM_THREADS, "process %u: %u threads", (unsigned)p->key, m.threads);
    p->stage = STAGE_LOADING;
    p->slots = m.slots;
    p->context_bytes = plan_context_bytes(&p->model->plan, m.context, m.slots, m.threads);
    world_sim_witness(p->world, p->model, "was told to load");
    int64_t least = p->model->load_ms / 2, most = p->model->load_ms * 3 / 2;
    if (p->world->on_start != NULL)
        p->world->on_start(p->world->on_start_context, p->model, true);
    if (p->model->temper == TEMPER_CRASHES_ON_LOAD || sim_chance(p->world, 40)) {
        process_fault(p, FAULT_LOAD_CRASHES);
        later(p, 0, most, act_die, 0);
    } else if (p->model->temper == TEMPER_FAILS_ON_LOAD || sim_chance(p->world, 60)) {
        later(p, 0, most, act_load_fails, 0);
    } else if (draws(p, 20, FAULT_LOAD_HANGS)) {
        process_stick(p);
    } else if (draws(p, 15, FAULT_LOAD_SLOW)) {
        later(p, least * 20, most * 20, act_loaded, 0);
    } else {
        later(p, least, most, act_loaded, 0);
    }
}

static void say_plan(struct process *p)
{
    struct plan plan = p->model->plan;
    struct buffer body;
    if (draws(p, 20, FAULT_PLAN_LARGER))
        plan.fixed_bytes++;
    buffer_init(&body, FRAME_BODY_MAX);
    message_plan_write(&body, &plan);
    process_emit(p, FRAME_PLAN, 0, &body);
    buffer_finish(&body);
    if (plan_larger(&plan, &p->model->plan) && sim_between(p->world, 0, 1) == 0)
        process_die(p, "its plan was refused");
}

static void act_plan(void *context, uint64_t id, uint64_t detail)
{
    struct process *p = process_find(context, id);
    (void)detail;
    if (p == NULL || p->dead || p->stuck)
        return;
    if (draws(p, 40, FAULT_SPAWN_CRASHES))
        process_die(p, "before its plan");
    else if (draws(p, 25, FAULT_SPAWN_HANGS))
        process_stick(p);
    else if (sim_chance(p->world, 20))
        fail(p, FAULT_PLAN_FAILS);
    else
        say_plan(p);
}

static void act_hello(void *context, uint64_t id, uint64_t detail)
{
    struct process *p = process_find(context, id);
    (void)detail;
    if (p == NULL || p->dead)
        return;
    if (p->kind == SPAWN_INSPECT && draws(p, 25, FAULT_INSPECT_CRASHES)) {
        process_die(p, "before hello");
        return;
    }
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    const bool other = draws(p, 30, FAULT_OTHER_BUILD);
    message_hello_write(
        &body, &(struct message_hello){ .version = WIRE_VERSION,
                                        .build_id = other ? STR("another") : str_of(build_id) });
    p->greeted = true;
    process_emit(p, FRAME_HELLO, 0, &body);
    buffer_finish(&body);
    if (p->kind == SPAWN_WORK)
        later(p, 0, 20, act_plan, 0);
    else if (draws(p, 25, FAULT_INSPECT_CRASHES))
        process_die(p, "right after hello");
}

void process_start(struct process *p)
{
    if (p->kind == SPAWN_WORK && p->world->on_start != NULL)
        p->world->on_start(p->world->on_start_context, p->model, false);
    later(p, 1, 30, act_hello, 0);
}

static void act_inspected(void *context, uint64_t id, uint64_t number)
{
    struct world_sim *w = context;
    struct process *p = process_find(w, id);
    if (p == NULL || p->dead)
        return;
    struct message_inspected m = {
        .error = {.code = WEIR_OK, .index = -1}
    };
    m.plan = w->models[number].plan;
    if (draws(p, 30, FAULT_INSPECT_CRASHES)) {
        process_die(p, "while inspecting");
        return;
    }
    if (draws(p, 10, FAULT_INSPECT_PROBLEM)) {
        m.error.code = WEIR_LOAD_FAILED;
        memcpy(m.error.text, "no such folder", sizeof "no such folder");
    }
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    if (draws(p, 10, FAULT_INSPECT_GARBAGE))
        buffer_u32(&body, 77);
    else
        message_inspected_write(&body, &m);
    const uint64_t question = p->question;
    p->question = 0;
    process_emit(p, FRAME_INSPECTED, question, &body);
    buffer_finish(&body);
}

void process_on_inspect(struct process *p, const struct frame *f)
{
    struct world_sim *w = p->world;
    struct message_inspect m;
    struct weir_error err;
    SIM_EXPECT(p->kind == SPAWN_INSPECT && p->greeted && p->question == 0,
               "process %u: inspect out of turn", (unsigned)p->key);
    SIM_EXPECT(message_inspect_read(f, &m, &err), "process %u: %s", (unsigned)p->key, err.text);
    p->question = f->job;
    if (draws(p, 12, FAULT_INSPECT_HANGS))
        return;
    for (size_t i = 0; i < w->models_count; i++)
        if (str_eq(m.path, str_of(w->models[i].name)))
            later(p, 1, 400, act_inspected, i);
}

static void act_pong(void *context, uint64_t id, uint64_t sequence)
{
    struct process *p = process_find(context, id);
    if (p == NULL)
        return;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_ping_write(&body, sequence);
    process_emit(p, FRAME_PONG, 0, &body);
    buffer_finish(&body);
}

void process_on_ping(struct process *p, const struct frame *f)
{
    uint64_t sequence = 0;
    struct weir_error err;
    SIM_EXPECT(p->stage == STAGE_SERVING, "process %u: ping before it was loaded",
               (unsigned)p->key);
    SIM_EXPECT(message_ping_read(f, &sequence, &err), "process %u: %s", (unsigned)p->key, err.text);
    if (!draws(p, 30, FAULT_PING_IGNORED))
        later(p, 0, 300, act_pong, sequence);
}

void process_on_bye(struct process *p)
{
    if (p->deaf_to_bye)
        process_fault(p, FAULT_BYE_IGNORED);
    else
        later(p, 0, 60, act_die, 0);
}

void process_on_signal(struct process *p, enum world_signal signal)
{
    if (signal == WORLD_TERM && p->deaf_to_term)
        process_fault(p, FAULT_TERM_IGNORED);
    else if (signal == WORLD_KILL && draws(p, 10, FAULT_EXIT_LATE))
        later(p, 300, 4000, act_die, 0);
    else
        later(p, 0, 20, act_die, 0);
}
