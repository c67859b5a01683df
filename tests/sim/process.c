#include "process.h"

#include "base/check.h"
#include "base/mem.h"
#include "supervisor/prepare.h"
#include "wire/build_id.h"
#include "wire/message.h"

#include <string.h>

#define CONTEXT_LEAST 2048 /* tokens: the pool grants no less where a model knows more */

struct process *process_find(struct world_sim *w, uint64_t id)
{
    return map_get(&w->processes, map_id(&id));
}

/* For which nobody has to lose his patience with it. */
static bool is_harmless(enum sim_fault fault)
{
    return fault == FAULT_MEASURED_HIGH || fault == FAULT_THRASHES || fault == FAULT_LOAD_SLOW ||
           fault == FAULT_BYE_IGNORED || fault == FAULT_TERM_IGNORED || fault == FAULT_EXIT_LATE;
}

void process_fault(struct process *p, enum sim_fault fault)
{
    p->sick |= !is_harmless(fault);
    p->world->faults_count[fault]++;
    events_note(p->world->events, sim_fault_name(fault), p->key, 0);
}

bool process_draws(struct process *p, uint64_t one_in, enum sim_fault fault)
{
    if (!sim_chance(p->world, one_in))
        return false;
    process_fault(p, fault);
    return true;
}

void process_later(struct process *p, int64_t least, int64_t most, event_act *act, uint64_t detail)
{
    struct world_sim *w = p->world;
    events_add(w->events, sim_between(w, least, most), act, w, p->key, detail);
}

/* With one slot and the shortest context: the pool may have to grant less than was planned. */
uint64_t process_least_bytes(const struct sim_entry *e)
{
    return plan_context_bytes(&e->model->plan, 0, 1, SIM_THREADS);
}

/* Of one that packs its weights for itself, or shares them. */
static uint64_t known_bytes(const struct sim_model *m, const struct learned learned[SIM_LEARNED],
                            uint32_t context, uint32_t slots, bool shares)
{
    uint64_t bytes = plan_context_bytes(&m->plan, context, slots, SIM_THREADS) +
                     (shares ? 0 : sim_packed_bytes(m));
    for (size_t i = 0; i < SIM_LEARNED; i++)
        if (learned[i].context == context && learned[i].slots == slots &&
            learned[i].prepared == shares && learned[i].context_bytes > bytes)
            bytes = learned[i].context_bytes;
    return bytes;
}

/* A first worker that shares pays for what it shares. */
static uint64_t most_bytes(const struct sim_model *m, uint32_t context, uint32_t slots)
{
    const uint64_t packed = sim_packed_bytes(m);
    const uint64_t alone = known_bytes(m, m->learned, context, slots, false);
    const uint64_t shared = known_bytes(m, m->learned, context, slots, true) + packed;
    return packed > 0 && shared > alone ? shared : alone;
}

uint64_t process_most_bytes(const struct sim_entry *e)
{
    return most_bytes(e->model, e->model->plan.tokens_max, e->model->plan.slots);
}

uint64_t process_shrunk_bytes(const struct sim_entry *e)
{
    const struct plan *p = &e->model->plan;
    return most_bytes(e->model, p->tokens_max < CONTEXT_LEAST ? p->tokens_max : CONTEXT_LEAST,
                      p->per_slot_bytes > 0 ? 1 : p->slots);
}

static void needs(struct process *p, uint64_t bytes, uint64_t slack)
{
    p->world->needs_bytes += bytes - p->needs_bytes;
    p->world->slack_bytes += slack - p->slack_bytes;
    p->needs_bytes = bytes;
    p->slack_bytes = slack;
}

/* What the processes of an entry share beside the files of its model. */
static void share_packed(struct world_sim *w, struct sim_entry *e, uint64_t bytes, uint64_t slack)
{
    w->needs_bytes += bytes - e->packed_bytes;
    w->slack_bytes += slack - e->packed_slack;
    e->packed_bytes = bytes;
    e->packed_slack = slack;
}

/* Half of what was planned; one that grows, a quarter more than that. */
uint64_t process_private_bytes(const struct process *p)
{
    if (p->entry == NULL || !p->greeted)
        return SIM_BARE / 2;
    if (p->stage != STAGE_SERVING)
        return SIM_BARE;
    return SIM_BARE + (p->grows ? p->planned_bytes / 4 * 5 : p->planned_bytes / 2);
}

void process_told(struct process *p)
{
    const uint64_t used = process_private_bytes(p);
    if (p->stage == STAGE_SERVING && used > SIM_BARE + SIM_UNCHARGED &&
        used - SIM_BARE > p->needs_bytes)
        needs(p, used - SIM_BARE, 0);
}

/* Under a sanitizer the body is handed over in a block of exactly its size, so that reading past it
 * is seen. */
void process_emit(struct process *p, enum frame_type type, uint64_t job, const struct buffer *body)
{
    if (p->dead)
        return;
    struct world_sim *w = p->world;
    const size_t length = body != NULL ? body->len : 0;
    const uint8_t *bytes = length > 0 ? body->data : (const uint8_t *)"";
#ifdef WEIR_SANITIZED
    uint8_t *block = mem_new(length > 0 ? length : 1, 1);
    memcpy(block, bytes, length);
    bytes = block;
#endif
    events_note(w->events, frame_name(type), p->key, length);
    supervisor_clock(w->supervisor, w->events->now_ms);
    supervisor_on_frame(
        w->supervisor, (uint32_t)p->key,
        &(struct frame){
            .type = (uint8_t)type, .job = job, .body = bytes, .length = (uint32_t)length });
#ifdef WEIR_SANITIZED
    mem_free(block);
#endif
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
    p->odd = true;
    p->broke |= type != FRAME_OUTPUT; /* which may by chance announce what can be */
    process_emit(p, type, job, &body);
    buffer_finish(&body);
}

/* Frames that can be read, but not in this order: more than was announced, an output or an end
 * within an output, an output larger than any may be. */
static void emit_disorder(struct process *p, uint64_t job)
{
    struct buffer output, part, end;
    const int64_t what = sim_between(p->world, 0, 3);
    const uint32_t bytes = what == 3 ? WIRE_PAYLOAD_MAX + 1 : 10;
    buffer_init(&output, FRAME_BODY_MAX);
    buffer_init(&part, FRAME_BODY_MAX);
    buffer_init(&end, FRAME_BODY_MAX);
    message_output_write(&output, &(struct message_output){ .payload_bytes = bytes });
    buffer_append(&part, "eleven bytes", 11);
    message_end_write(&end, &(struct message_end){ .error = { .index = -1 } });
    process_emit(p, FRAME_OUTPUT, job, &output);
    if (what == 0)
        process_emit(p, FRAME_OUTPUT, job, &output);
    else if (what == 1)
        process_emit(p, FRAME_PART, job, &part);
    else if (what == 2)
        process_emit(p, FRAME_END, job, &end);
    buffer_finish(&output);
    buffer_finish(&part);
    buffer_finish(&end);
}

void process_emit_illegal(struct process *p, uint64_t job)
{
    static const enum frame_type types[] = { FRAME_LOADED, FRAME_HELLO,     FRAME_PLAN,
                                             FRAME_FAILED, FRAME_RUN,       FRAME_BYE,
                                             FRAME_END,    FRAME_INSPECTED, FRAME_PREPARED };
    const size_t at = (size_t)sim_between(p->world, 0, (int64_t)ARRAY_COUNT(types) - 1);
    process_fault(p, FAULT_ILLEGAL);
    p->odd = p->broke = true;
    if (job != 0 && sim_between(p->world, 0, 1) == 0)
        emit_disorder(p, job);
    else
        process_emit(p, types[at], types[at] == FRAME_END ? job + 1000000 : job, NULL);
}

void process_stick(struct process *p)
{
    p->stuck = true;
    p->stuck_ms = p->world->events->now_ms;
    p->stuck_ticks = (uint64_t)p->world->events->now_ms;
}

static void act_frame_after_exit(void *context, uint64_t id, uint64_t detail)
{
    struct world_sim *w = context;
    (void)detail;
    w->faults_count[FAULT_FRAME_AFTER_EXIT]++;
    supervisor_on_frame(w->supervisor, (uint32_t)id,
                        &(struct frame){ .type = FRAME_LOADED, .body = (const uint8_t *)"" });
}

static void act_report(void *context, uint64_t id, uint64_t detail)
{
    struct world_sim *w = context;
    struct process *p = process_find(w, id);
    const bool late = sim_chance(w, 20);
    (void)detail;
    map_remove(&w->processes, map_id(&p->key));
    needs(p, 0, 0);
    if (p->entry != NULL && --p->entry->processes == 0) {
        w->needs_bytes -= p->entry->model->plan.weights_bytes;
        share_packed(w, p->entry, 0, 0);
    }
    if (p->works_count > 0)
        p->entry->lost_ms = w->events->now_ms;
    events_note(w->events, "exit", id, p->exit_unknown);
    supervisor_clock(w->supervisor, w->events->now_ms);
    supervisor_on_exit(w->supervisor, (uint32_t)id, p->exit_unknown ? "status unknown" : "signal 9",
                       sim_chance(w, 2) ? "the last line of stderr" : NULL);
    if (p->entry != NULL)
        world_sim_forget_entry(w, p->entry);
    mem_free(p);
    if (late)
        events_add(w->events, sim_between(w, 0, 6000), act_frame_after_exit, w, id, 0);
}

static void act_channel_lost(void *context, uint64_t id, uint64_t detail)
{
    struct world_sim *w = context;
    (void)detail;
    events_note(w->events, "channel lost", id, 0);
    if (process_find(w, id) != NULL)
        process_find(w, id)->channel_lost = true;
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
    p->exit_unknown = process_draws(p, 20, FAULT_STATUS_UNKNOWN);
    int64_t delay = sim_between(p->world, 0, 5);
    if (process_draws(p, 4, FAULT_CHANNEL_FIRST)) {
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
    process_later(p, 300, 2500, act_whim, 0);
    if (p->works_count > 0)
        return;
    if (process_draws(p, 12, FAULT_QUIET_CRASHES))
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
    p->grows = process_draws(p, 15, FAULT_MEASURED_HIGH);
    p->thrashes = process_draws(p, 15, FAULT_THRASHES);
    p->quiet_ms = p->ready_ms = p->world->events->now_ms;
    if (p->state == LOADING) /* else it is leaving and counts no more */
        p->entry->load_ms = p->ready_ms - p->load_sent_ms;
    process_emit(p, FRAME_LOADED, 0, NULL);
    process_later(p, 500, 4000, act_whim, 0);
}

/* Says why, then waits for bye or is gone at once. */
static void fail(struct process *p, enum sim_fault fault)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    struct weir_error error = { .code = WEIR_LOAD_FAILED, .index = -1 };
    if (fault == FAULT_PREPARED_GONE)
        error.code = WEIR_UNAVAILABLE;
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

static void act_finds_it_gone(void *context, uint64_t id, uint64_t detail)
{
    struct process *p = process_find(context, id);
    (void)detail;
    if (p != NULL && !p->dead)
        fail(p, FAULT_PREPARED_GONE);
}

/* Prepared weights are shared by all workers of a model or by none, and they were prepared for this
 * life of it; who packs for itself does so because that could not be. */
static void take_packing(struct process *p, const struct message_load *m)
{
    struct world_sim *w = p->world;
    struct sim_entry *e = p->entry;
    const uint64_t packed = sim_packed_bytes(e->model);
    const unsigned id = (unsigned)p->key;
    p->shares = m->cache.len > 0;
    SIM_EXPECT(m->precision == e->model->precision, "process %u: precision %u", id, m->precision);
    SIM_EXPECT(!p->shares || (packed > 0 && p->may_share && str_eq(m->cache, STR(SIM_CACHE))),
               "process %u is to map what was not prepared", id);
    SIM_EXPECT(p->shares || packed == 0 || e->unprepared, "process %u of '%s' was not prepared", id,
               e->path);
    size_t cursor = 0;
    for (const struct process *q; (q = map_next(&w->processes, &cursor)) != NULL;)
        SIM_EXPECT(q->entry != e || q->stage != STAGE_SERVING || !child_state_is_living(q->state) ||
                       q->shares == p->shares,
                   "processes %u and %u of '%s' are not alike", id, (unsigned)q->key, e->path);
    if (p->shares)
        share_packed(w, e, packed, 0);
    if (packed > 0)
        w->deeds_count[p->shares ? DEED_SHARED : DEED_UNPREPARED]++;
}

/* What it was granted: all that was planned, or less of it to fit at all. */
static void take_grant(struct process *p, const struct message_load *m)
{
    const struct plan *plan = &p->entry->model->plan;
    const uint32_t context = m->context > 0 ? m->context : plan->tokens_max;
    const unsigned id = (unsigned)p->key;
    SIM_EXPECT(m->threads == SIM_THREADS, "process %u: %u threads", id, m->threads);
    SIM_EXPECT(m->slots >= 1 && m->slots <= plan->slots && context <= plan->tokens_max,
               "process %u: %u slots and %u tokens of %u and %u", id, m->slots, context,
               plan->slots, plan->tokens_max);
    SIM_EXPECT(m->attempt == p->attempt, "process %u: attempt %u, it is %u", id, m->attempt,
               p->attempt);
    if (m->slots < plan->slots || context < plan->tokens_max)
        p->world->deeds_count[DEED_HALVED]++;
    p->slots = m->slots;
    p->planned_bytes = plan_context_bytes(plan, context, m->slots, SIM_THREADS) +
                       (p->shares ? 0 : sim_packed_bytes(p->entry->model));
    needs(p, known_bytes(p->entry->model, p->learned, context, m->slots, p->shares), 0);
}

void process_on_load(struct process *p, const struct frame *f)
{
    struct message_load m;
    struct weir_error err;
    struct world_sim *w = p->world;
    const struct sim_model *model = p->entry->model;
    SIM_EXPECT(p->stage == STAGE_STARTING && p->greeted, "process %u: load out of turn",
               (unsigned)p->key);
    SIM_EXPECT(message_load_read(f, &m, &err), "process %u: %s", (unsigned)p->key, err.text);
    take_packing(p, &m);
    take_grant(p, &m);
    p->stage = STAGE_LOADING;
    p->load_sent_ms = w->events->now_ms;
    w->witness.on_load(w->witness.context, p->entry);
    const int64_t least = model->load_ms / 2, most = model->load_ms * 3 / 2;
    if (model->temper == TEMPER_CRASHES_ON_LOAD || sim_chance(w, 40)) {
        process_fault(p, FAULT_LOAD_CRASHES);
        process_later(p, 0, most, act_die, 0);
    } else if (model->temper == TEMPER_FAILS_ON_LOAD || sim_chance(w, 60)) {
        process_later(p, 0, most, act_load_fails, 0);
    } else if (p->shares && sim_chance(w, 12)) {
        process_later(p, 0, 20, act_finds_it_gone, 0);
    } else if (process_draws(p, 20, FAULT_LOAD_HANGS)) {
        process_stick(p);
    } else if (process_draws(p, 15, FAULT_LOAD_SLOW)) {
        process_later(p, least * 20, most * 20, act_loaded, 0);
    } else {
        process_later(p, least, most, act_loaded, 0);
    }
}

static void say_plan(struct process *p)
{
    struct plan plan = p->entry->model->plan;
    struct buffer body;
    if (process_draws(p, 20, FAULT_PLAN_LARGER))
        plan.fixed_bytes++;
    buffer_init(&body, FRAME_BODY_MAX);
    message_plan_write(&body, &plan);
    process_emit(p, FRAME_PLAN, 0, &body);
    buffer_finish(&body);
    if (plan_larger(&plan, &p->entry->model->plan) && sim_between(p->world, 0, 1) == 0)
        process_die(p, "its plan was refused");
}

static void act_plan(void *context, uint64_t id, uint64_t detail)
{
    struct process *p = process_find(context, id);
    (void)detail;
    if (p == NULL || p->dead || p->stuck)
        return;
    if (process_draws(p, 40, FAULT_SPAWN_CRASHES))
        process_die(p, "before its plan");
    else if (process_draws(p, 25, FAULT_SPAWN_HANGS))
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
    const enum sim_fault crash =
        p->kind == SPAWN_PREPARE ? FAULT_PREPARE_CRASHES : FAULT_INSPECT_CRASHES;
    if (p->kind != SPAWN_WORK && process_draws(p, 25, crash)) {
        process_die(p, "before hello");
        return;
    }
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    const bool other = process_draws(p, 30, FAULT_OTHER_BUILD);
    p->odd = p->broke = other;
    message_hello_write(
        &body, &(struct message_hello){ .version = WIRE_VERSION,
                                        .build_id = other ? STR("another") : str_of(build_id) });
    p->greeted = true;
    process_emit(p, FRAME_HELLO, 0, &body);
    buffer_finish(&body);
    if (p->kind == SPAWN_WORK)
        process_later(p, 0, 20, act_plan, 0);
    else if (process_draws(p, 25, crash))
        process_die(p, "right after hello");
}

/* The first of a life takes up what was prepared for it; the others are as those that live. */
static bool finds_prepared(struct world_sim *w, struct sim_entry *e)
{
    size_t cursor = 0;
    for (const struct process *q; (q = map_next(&w->processes, &cursor)) != NULL;)
        if (q->entry == e && q->stage == STAGE_SERVING && child_state_is_living(q->state))
            return q->shares;
    const bool prepared = e->prepared;
    e->prepared = false;
    return prepared;
}

void process_start(struct process *p)
{
    struct world_sim *w = p->world;
    p->born_ms = w->events->now_ms;
    if (p->entry != NULL) {
        memcpy(p->learned, p->entry->model->learned, sizeof p->learned);
        needs(p, process_least_bytes(p->entry),
              process_most_bytes(p->entry) - process_least_bytes(p->entry));
        p->may_share = finds_prepared(w, p->entry);
        if (p->entry->packed_bytes == 0)
            share_packed(w, p->entry, 0, sim_packed_bytes(p->entry->model));
        if (p->entry->processes++ == 0)
            w->needs_bytes += p->entry->model->plan.weights_bytes;
        w->witness.on_spawn(w->witness.context, (uint32_t)p->key, p->entry);
    }
    if (p->kind == SPAWN_PREPARE)
        needs(p, PREPARE_BYTES, 0);
    process_later(p, 1, 30, act_hello, 0);
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
    SIM_EXPECT(p->stage == STAGE_SERVING && child_state_may_be_victim(p->state),
               "process %u: ping while %s", (unsigned)p->key, child_state_name(p->state));
    p->ping_ms = p->world->events->now_ms;
    SIM_EXPECT(message_ping_read(f, &sequence, &err), "process %u: %s", (unsigned)p->key, err.text);
    if (!process_draws(p, 30, FAULT_PING_IGNORED))
        process_later(p, 0, 300, act_pong, sequence);
}

void process_on_bye(struct process *p)
{
    p->bye_ms = p->world->events->now_ms;
    if (p->deaf_to_bye)
        process_fault(p, FAULT_BYE_IGNORED);
    else
        process_later(p, 0, 60, act_die, 0);
}

void process_on_signal(struct process *p, enum world_signal signal)
{
    if (signal == WORLD_TERM && p->deaf_to_term)
        process_fault(p, FAULT_TERM_IGNORED);
    else if (signal == WORLD_KILL && process_draws(p, 10, FAULT_EXIT_LATE))
        process_later(p, 300, 4000, act_die, 0);
    else
        process_later(p, 0, 20, act_die, 0);
}
