/* answers.c — what callers get: outputs in order and none of another's, one end, and a reason for
 * it that can be true; and in which order their jobs come to a worker. */
#include "process.h"
#include "sim.h"

#include "base/check.h"
#include "base/reader.h"

#include <string.h>

#define LATE_MS        100 /* a turn may come so late, beside a jump of the clock */
#define AGEING_MS      10000
#define RETRY_LEAST_MS 1
#define ANY_CLIENT     UINT32_MAX
#define LOUD(id)       (unsigned long long)(id)

struct standing {
    uint32_t level;
    int64_t since_ms;
};

static void act_credit(void *context, uint64_t id, uint64_t bytes)
{
    struct sim *s = context;
    supervisor_clock(s->supervisor, s->events.now_ms);
    supervisor_credit(s->supervisor, id, 1, bytes);
}

static void on_output(void *context, uint64_t id, struct str payload)
{
    struct caller *c = context;
    struct sim *s = c->sim;
    struct reader r = reader_of(payload.data, payload.len);
    const uint64_t tag = reader_u64(&r);
    const uint32_t number = reader_u32(&r);
    events_note(&s->events, "output", id, payload.len);
    SIM_EXPECT(c->id == id && id != 0, "an output for %llu came to %llu", LOUD(id), LOUD(c->id));
    SIM_EXPECT(!c->ended, "request %llu: an output after its end", LOUD(id));
    SIM_EXPECT(reader_ok(&r) && tag == c->order.tag,
               "request %llu got the output of the request with tag %llu", LOUD(id), LOUD(tag));
    SIM_EXPECT(payload.len == c->order.output_bytes && number == c->outputs,
               "request %llu: output %u of %zu bytes, expected %u of %u", LOUD(id), number,
               payload.len, c->outputs, c->order.output_bytes);
    if (c->runs == 0) /* it joined an equal one that ran already */
        s->world.deeds_count[DEED_MERGED]++;
    list_remove(&c->link);
    c->outputs++;
    if (sim_chance(&s->world, 400))
        caller_cancel(s, c->slot, id);
    else if (c->own_credit && !c->stalls)
        events_add(&s->events, sim_between(&s->world, 0, 400), act_credit, s, id, payload.len);
}

static void on_progress(void *context, uint64_t id, uint32_t step, uint32_t steps)
{
    const struct caller *c = context;
    SIM_EXPECT(c->id == id && !c->ended, "request %llu: progress after its end", LOUD(id));
    SIM_EXPECT(step <= steps, "request %llu: step %u of %u", LOUD(id), step, steps);
}

/* Too big is what does not fit beside nothing but those who may not leave. */
static bool may_be_too_big(const struct world_sim *w, const struct sim_entry *e)
{
    uint64_t bytes = e->model->plan.weights_bytes + process_shrunk_bytes(e);
    size_t cursor = 0;
    for (const struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        if (p->entry != NULL && (p->entry->pinned || p->entry->model->min_workers > 0))
            bytes += (p->needs_bytes + p->slack_bytes) + p->entry->model->plan.weights_bytes +
                     sim_packed_bytes(p->entry->model);
    LIST_EACH(&w->entries, at) { /* in this very turn such a one holds its lease still */
        const struct sim_entry *f = CONTAINER_OF(at, struct sim_entry, link);
        if (f->failed_ms == w->events->now_ms && (f->pinned || f->model->min_workers > 0))
            bytes += process_most_bytes(f) + f->model->plan.weights_bytes;
    }
    return bytes > world_sim_budget(w);
}

/* Whether an end can be true, by what the caller and the world know. */
static bool may_end(const struct caller *c, const struct weir_error *error)
{
    const struct sim *s = c->sim;
    const enum sim_order_kind kind = c->order.kind;
    switch (error->code) {
    case WEIR_OK:
        return c->loads ? c->entry->processes > 0
                        : c->outputs == c->order.outputs && kind <= ORDER_STREAM && !c->wrong;
    case WEIR_INVALID: return kind == ORDER_INVALID || c->wrong;
    case WEIR_MODEL_FAILED: return kind == ORDER_FAILS;
    case WEIR_CANCELLED: return c->cancelled;
    case WEIR_QUARANTINED: return kind == ORDER_POISON || c->runs >= 2 || c->mergeable;
    case WEIR_WORKER_LOST: return c->outputs > 0;
    case WEIR_NO_SUCH_MODEL: return !c->entry->registered;
    case WEIR_SHUTTING_DOWN: return s->world.draining;
    case WEIR_TOO_BIG: return may_be_too_big(&s->world, c->entry);
    case WEIR_UNAVAILABLE: return error->retry_after_ms >= RETRY_LEAST_MS;
    case WEIR_NO_MEMORY:
    case WEIR_DEADLINE: return s->events.now_ms >= c->deadline_at_ms;
    case WEIR_LOAD_FAILED: return true;
    default: return false;
    }
}

static void check_end(const struct caller *c, const struct request_outcome *outcome)
{
    const struct weir_error *error = &outcome->error;
    const int64_t late = c->sim->events.now_ms - c->deadline_at_ms;
    SIM_EXPECT(error->code == WEIR_OK || error->text[0] != '\0', "request %llu: %s without a text",
               LOUD(c->id), error_name(error->code));
    SIM_EXPECT(may_end(c, error),
               "request %llu of '%s', kind %u, %u runs, %u of %u outputs: %s, %s", LOUD(c->id),
               c->entry->path, (unsigned)c->order.kind, c->runs, c->outputs, c->order.outputs,
               error_name(error->code), error->text);
    SIM_EXPECT(late <= SIM_JUMP_MAX_MS + LATE_MS, "request %llu ended %lld ms after its deadline",
               LOUD(c->id), (long long)late);
    SIM_EXPECT(outcome->queued_ms >= 0 && outcome->queued_ms <= outcome->total_ms &&
                   outcome->total_ms == c->sim->events.now_ms - c->submitted_ms,
               "request %llu: queued %lld of %lld ms", LOUD(c->id), (long long)outcome->queued_ms,
               (long long)outcome->total_ms);
    if (error->code == WEIR_OK && !c->loads)
        SIM_EXPECT(outcome->input_tokens == c->order.output_bytes &&
                       outcome->output_tokens == c->outputs,
                   "request %llu was told %llu and %llu tokens", LOUD(c->id),
                   LOUD(outcome->input_tokens), LOUD(outcome->output_tokens));
}

/* Their client had a turn: they stand behind all others again. */
static void turn_taken(const struct sim_entry *e, uint32_t client)
{
    LIST_EACH(&e->waiting, at) {
        struct caller *c = CONTAINER_OF(at, struct caller, link);
        if (client == ANY_CLIENT || c->client == client)
            memset(c->passed, 0, sizeof c->passed);
    }
}

static void on_end(void *context, uint64_t id, const struct request_outcome *outcome)
{
    struct caller *c = context;
    struct sim *s = c->sim;
    events_note(&s->events, "end", id, (uint64_t)outcome->error.code);
    SIM_EXPECT(c->id == id && !c->ended, "request %llu ended twice", LOUD(id));
    check_end(c, outcome);
    c->ended = true;
    c->code = outcome->error.code;
    s->codes[c->code]++;
    s->live--;
    s->world.deeds_count[DEED_WRONG] += c->wrong;
    if (c->code == WEIR_OK && c->loads)
        s->world.deeds_count[DEED_LOADED]++;
    list_remove(&c->link);
    turn_taken(
        c->entry,
        c->client); /* or not: what only loads, or is refused when its turn comes, runs nowhere */
    list_push_back(&s->ended, &c->link);
    s->ended_count++;
    c->entry->kept |= c->keep_alive_ms < 0;
    c->entry->requests--;
    world_sim_forget_entry(&s->world, c->entry);
    c->entry = NULL;
    /* What a caller may do in its end: submit, and cancel another. */
    if (s->arriving && sim_chance(&s->world, 30))
        caller_draw(s);
    if (sim_chance(&s->world, 200))
        caller_cancel(s, s->last_slot, s->last_request);
}

const struct request_callbacks answer_callbacks = { .on_output = on_output,
                                                    .on_progress = on_progress,
                                                    .on_end = on_end };

static bool may_refuse(const struct sim *s, const struct caller *c, const struct weir_error *err)
{
    switch (err->code) {
    case WEIR_NO_SUCH_MODEL: return c->entry == NULL;
    case WEIR_SHUTTING_DOWN: return s->world.draining;
    case WEIR_QUEUE_FULL: return err->value >= err->limit && err->retry_after_ms >= RETRY_LEAST_MS;
    case WEIR_QUARANTINED: return c->order.caller == CALLER_SHARED;
    case WEIR_INVALID: return c->wrong;
    case WEIR_UNAVAILABLE: return err->retry_after_ms >= RETRY_LEAST_MS;
    case WEIR_LOAD_FAILED: return c->entry->spoilt;
    default: return false;
    }
}

void answer_refused(struct sim *s, const struct caller *c, const struct wish *wish,
                    const struct weir_error *err)
{
    SIM_EXPECT(err->code != WEIR_OK && err->text[0] != '\0', "refused without a reason");
    SIM_EXPECT(may_refuse(s, c, err), "a request for '%s' was refused: %s, %s",
               sim_models[wish->model].name, error_name(err->code), err->text);
    s->refusals[err->code]++;
    s->refused++;
    s->world.deeds_count[DEED_WRONG] += err->code == WEIR_INVALID;
}

/* How urgent it is by now, less is more: a level a priority, and one less for each while of
 * waiting. And since when it is that. */
static struct standing standing_of(const struct sim *s, const struct caller *c)
{
    const int64_t rises = (s->events.now_ms - c->submitted_ms) / AGEING_MS;
    const uint32_t risen = rises < c->priority ? (uint32_t)rises : c->priority;
    return (struct standing){ .level = c->priority - risen,
                              .since_ms = c->submitted_ms + risen * AGEING_MS };
}

/* The one of its client that is to be served next at its level, or NULL. */
static struct caller *next_of(const struct sim *s, const struct sim_entry *e, uint32_t client,
                              uint32_t level)
{
    struct caller *next = NULL;
    int64_t since_ms = 0;
    LIST_EACH(&e->waiting, at) {
        struct caller *c = CONTAINER_OF(at, struct caller, link);
        const struct standing its = standing_of(s, c);
        if (c->client != client || its.level != level || (next != NULL && its.since_ms >= since_ms))
            continue;
        next = c;
        since_ms = its.since_ms;
    }
    return next;
}

/* Its job is its own, and waits for what this one waits for. */
static bool is_comparable(const struct sim *s, const struct caller *c)
{
    return c->order.caller != CALLER_SHARED && !c->wrong && !c->cancelled &&
           s->events.now_ms < c->deadline_at_ms;
}

/* What is more urgent comes first, and the clients of a level take turns: whoever is its client's
 * next is passed by no other client twice. Requests that may be merged are another's now and then:
 * of them nothing is known. */
static void witness_turns(const struct sim *s, const struct caller *chosen)
{
    const uint32_t level = standing_of(s, chosen).level;
    if (chosen->order.caller == CALLER_SHARED)
        return;
    LIST_EACH(&chosen->entry->waiting, at) {
        const struct caller *c = CONTAINER_OF(at, struct caller, link);
        SIM_EXPECT(!is_comparable(s, c) || level <= standing_of(s, c).level,
                   "request %llu of level %u waits, %llu of level %u runs", LOUD(c->id),
                   standing_of(s, c).level, LOUD(chosen->id), level);
    }
    for (uint32_t client = 0; client < SIM_CLIENTS; client++) {
        struct caller *c = next_of(s, chosen->entry, client, level);
        if (client == chosen->client || c == NULL || !is_comparable(s, c))
            continue;
        if (c->passed_level != level)
            memset(c->passed, 0, sizeof c->passed);
        c->passed_level = level;
        SIM_EXPECT(c->passed[chosen->client]++ == 0,
                   "request %llu of client %u was passed by client %u twice", LOUD(c->id), client,
                   chosen->client);
    }
}

/* A conversation goes where it went before, when there is room. */
static void witness_affinity(struct sim *s, const struct caller *c, const struct process *p)
{
    uint32_t *home = &p->entry->homes[c->affinity - 1];
    const struct process *q = *home != 0 ? process_find(&s->world, *home) : NULL;
    if (q == p)
        s->world.deeds_count[DEED_AFFINE]++;
    else if (q != NULL && child_state_takes_jobs(q->state) && !q->dead && !q->stuck &&
             q->works_count < q->slots)
        s->affine_misses++;
    *home = (uint32_t)p->key;
}

/* Equal requests are computed once: no other worker is at it, but those that were given up. */
static void witness_merging(struct sim *s, const struct process *chosen, uint64_t tag)
{
    size_t cursor = 0;
    const int64_t lost_ms = chosen->entry->lost_ms; /* what is tried again is not to be joined */
    if (lost_ms > 0 && s->events.now_ms - lost_ms < SIM_DEADLINE_MAX_MS)
        return;
    for (const struct process *p; (p = map_next(&s->world.processes, &cursor)) != NULL;) {
        if (p->entry != chosen->entry || p->dead || !child_state_takes_jobs(p->state))
            continue;
        uint32_t same = 0;
        for (size_t i = 0; i < SIM_SLOTS_MAX; i++)
            same += p->works[i].job != 0 && p->works[i].order.tag == tag &&
                    !p->works[i].cancelled && p->works[i].sent == 0;
        SIM_EXPECT(same <= (p == chosen), "process %llu computes what %llu computes already",
                   LOUD(chosen->key), LOUD(p->key));
    }
}

static void run_one(struct sim *s, struct caller *c, const struct process *p, bool shared)
{
    SIM_EXPECT(c->entry == p->entry, "request %llu of '%s' came to '%s'", LOUD(c->id),
               c->entry->path, p->entry->path);
    SIM_EXPECT(c->outputs == 0 && !c->wrong, "request %llu ran again after %u outputs", LOUD(c->id),
               c->outputs);
    list_remove(&c->link);
    turn_taken(c->entry, c->client);
    if (c->runs++ > 0)
        s->world.deeds_count[DEED_RETRIED]++;
    else if (!shared)
        witness_turns(s, c);
    if (c->affinity != 0)
        witness_affinity(s, c, p);
}

/* Those who share an order can't be told apart: all that wait for it are served by one run when
 * they may be merged, else the first of them. */
static void run_shared(struct sim *s, const struct process *p, uint64_t tag)
{
    uint32_t found = 0;
    turn_taken(p->entry, ANY_CLIENT); /* of whoever asked first, who may have gone since */
    for (struct link *at = p->entry->waiting.next, *next; at != &p->entry->waiting; at = next) {
        struct caller *c = CONTAINER_OF(at, struct caller, link);
        next = at->next;
        if (c->order.tag != tag || (found > 0 && !c->mergeable))
            continue;
        run_one(s, c, p, true);
        s->world.deeds_count[DEED_MERGED] += found++ > 0;
    }
}

void answer_on_run(void *context, const struct process *p, const struct sim_order *order)
{
    struct sim *s = context;
    if (order->caller == CALLER_SHARED) {
        run_shared(s, p, order->tag);
        if (order->kind != ORDER_POISON)
            witness_merging(s, p, order->tag);
        return;
    }
    SIM_EXPECT(order->caller < s->callers_count, "a caller %u, of %zu", order->caller,
               s->callers_count);
    struct caller *c = s->callers[order->caller];
    SIM_EXPECT(c->order.tag == order->tag && !c->ended,
               "process %llu runs what nobody waits for any more", LOUD(p->key));
    run_one(s, c, p, false);
}
