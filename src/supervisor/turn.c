/* turn.c — every decision of the pool, step by step. Each step is level-triggered: it looks at what
 * is, not at what happened, so that a second run over the same facts decides nothing. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/error.h"
#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>

#define VICTIMS_MAX     64
#define LEARNED_LOAD_MS 1000 /* another worker is never thought to come quicker */

static bool can_take(const struct child *c)
{
    return child_state_takes_jobs(c->state) && !c->lost && !c->exited;
}

static bool runs_alone(const struct child *c)
{
    return c->jobs_count == 1 && CONTAINER_OF(c->jobs.next, struct job, link)->alone;
}

/* Where the next job goes: the worker with the fewest jobs, among equals the one used last, so that
 * a surplus worker stays quiet and can go. `held` is being emptied for a job that must run alone.
 */
static struct child *choose_child(struct model *m, bool alone, const struct child *held)
{
    struct child *best = NULL;
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (!can_take(c) || c->jobs_count >= c->slots || runs_alone(c) || c == held ||
            (alone && c->jobs_count > 0))
            continue;
        if (best == NULL || c->jobs_count < best->jobs_count ||
            (c->jobs_count == best->jobs_count && c->last_used_ms > best->last_used_ms))
            best = c;
    }
    return best;
}

static struct child *fewest_jobs(struct model *m)
{
    struct child *best = NULL;
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (can_take(c) && !runs_alone(c) && (best == NULL || c->jobs_count < best->jobs_count))
            best = c;
    }
    return best;
}

static void end_load_request(struct supervisor *s, struct job *j)
{
    struct weir_error ok = { .code = WEIR_OK, .index = -1 };
    job_end(s, j, &ok);
}

/* Those that must run alone stand in front of their class. */
static struct job *first_alone(const struct queue *q)
{
    for (size_t i = 0; i < PRIORITIES; i++) {
        if (list_empty(&q->classes[i]))
            continue;
        struct job *front = CONTAINER_OF(q->classes[i].next, struct job, link);
        if (front->alone)
            return front;
    }
    return NULL;
}

void turn_place(struct supervisor *s, struct model *m)
{
    /* One that must run alone goes first; while no worker is empty, one is being emptied. */
    const struct child *held = NULL;
    for (struct job *j; held == NULL && (j = first_alone(&m->queue)) != NULL;) {
        struct child *c = choose_child(m, true, NULL);
        if (c != NULL)
            job_place(s, j, c);
        else if ((held = fewest_jobs(m)) == NULL)
            break;
    }
    for (struct job *j; (j = queue_peek(s, &m->queue)) != NULL;) {
        struct child *c = choose_child(m, false, held);
        if (c == NULL)
            break;
        if (j->operation == WEIR_LOAD) {
            end_load_request(s, j);
            continue;
        }
        if (j->capability < WEIR_CAPABILITY_COUNT &&
            (m->plan.capabilities & 1u << j->capability) == 0) {
            struct weir_error error;
            weir_fail(&error, WEIR_INVALID, "model '%s' (%s) has not the capability asked for",
                      m->name, m->plan.architecture);
            job_end(s, j, &error);
            continue;
        }
        job_place(s, j, c);
    }
}

/* What a model needs one more worker for. */
enum want { WANT_NONE, WANT_FIRST, WANT_MINIMUM, WANT_SECOND, WANT_MORE };

static enum want want_more(struct supervisor *s, struct model *m, uint32_t living)
{
    int64_t patience = m->load_ms > LEARNED_LOAD_MS ? m->load_ms : LEARNED_LOAD_MS;
    struct job *oldest = queue_oldest(&m->queue);
    if (oldest == NULL || living >= m->settings.max_workers)
        return WANT_NONE;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        if (can_take(c) && c->jobs_count < c->slots && !runs_alone(c))
            return WANT_NONE;
    }
    if (s->now_ms - oldest->queued_ms <= patience) {
        model_wake_at(s, m, oldest->queued_ms + patience + 1);
        return WANT_NONE;
    }
    if (s->now_ms < m->more_at_ms) {
        model_wake_at(s, m, m->more_at_ms);
        return WANT_NONE;
    }
    return WANT_MORE;
}

static enum want wants(struct supervisor *s, struct model *m)
{
    if (m->inspection != INSPECTION_DONE || s->draining)
        return WANT_NONE;
    uint32_t living = 0;
    bool ready = false;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        if (c->state == SPAWNING || c->state == LOADING)
            return WANT_NONE; /* one start at a time */
        if (c->state == FAILED || (c->lost && c->state != DEAD))
            return WANT_NONE; /* what its end means is decided when it is reaped */
        living += child_state_is_living(c->state);
        ready = ready || can_take(c);
    }
    if (living == 0 && m->queue.jobs > 0) {
        if (s->now_ms >= m->restart_at_ms)
            return WANT_FIRST;
        model_wake_at(s, m, m->restart_at_ms);
        return WANT_NONE;
    }
    if (living < m->settings.min_workers && !m->gone) {
        if (s->now_ms >= m->refill_at_ms)
            return WANT_MINIMUM;
        if (m->refill_at_ms != INT64_MAX)
            model_wake_at(s, m, m->refill_at_ms);
        return WANT_NONE;
    }
    if (ready && m->second_due && living < 2 && living < m->settings.max_workers)
        return WANT_SECOND;
    return living > 0 ? want_more(s, m, living) : WANT_NONE;
}

/* Enters the queue for memory, or leaves it. */
void turn_want(struct supervisor *s, struct model *m)
{
    bool want = wants(s, m) != WANT_NONE;
    if (want == link_is_on_list(&m->claim_link))
        return;
    if (want) {
        list_push_back(&s->claims, &m->claim_link);
        s->claims_dirty = true;
    } else {
        list_remove(&m->claim_link);
        m->waiting_told = false;
        s->claims_dirty = true; /* those behind it may come first now */
    }
}

static void tell(struct supervisor *s, const struct model *m, const struct judgement *j,
                 uint32_t worker, const char *for_model)
{
    struct size_text need, leased, budget, freed;
    char reason[320];
    size_format(j->need_bytes, &need);
    size_format(s->leased_bytes, &leased);
    size_format(s->budget_bytes, &budget);
    size_format(j->freed_bytes, &freed);
    if (j->verdict == VERDICT_EVICT)
        snprintf(reason, sizeof reason,
                 "for '%.80s': needs %s, leased %s of %s, the victims free %s", for_model,
                 need.text, leased.text, budget.text, freed.text);
    else
        snprintf(reason, sizeof reason, "needs %s, leased %s of %s", need.text, leased.text,
                 budget.text);
    log_write(s->options.log, LOG_INFO, "governor", "%s %s: %s", verdict_name(j->verdict), m->name,
              reason);
    event_emit(s, &(struct pool_event){ .kind = verdict_name(j->verdict),
                                        .model = m->name,
                                        .worker = worker,
                                        .reason = reason });
}

static void evict(struct supervisor *s, struct model *m, const struct judgement *j,
                  const uint32_t *victims)
{
    for (size_t i = 0; i < j->victims_count; i++) {
        uint64_t key = victims[i];
        struct child *c = map_get(&s->children, map_id(&key));
        CHECK(c != NULL && child_state_may_be_victim(c->state) && c->jobs_count == 0);
        char reason[160];
        snprintf(reason, sizeof reason, "evicted for '%.120s'", m->name);
        tell(s, c->model, j, c->id, m->name);
        c->model->second_due = false;
        child_retire(s, c, reason);
    }
}

static void refuse(struct supervisor *s, struct model *m, const struct judgement *j)
{
    struct size_text need, budget;
    struct weir_error error;
    weir_fail(&error, WEIR_TOO_BIG, "model '%s' needs %s, the budget is %s (%s)", m->name,
              size_format(j->need_bytes, &need), size_format(s->budget_bytes, &budget),
              s->options.memory_bytes > 0 || s->options.memory_percent > 0
                  ? "as configured"
                  : "the larger of 80 % of the machine - 2 GiB and half of it");
    error.value = (int64_t)j->need_bytes;
    error.limit = (int64_t)s->budget_bytes;
    m->problem = error;
    m->refill_at_ms = INT64_MAX;
    model_fail_jobs(s, m, &error);
}

/* Grants a worker; true when it did and the claim is settled. */
static void grant(struct supervisor *s, struct model *m, enum want want, const struct claim *claim)
{
    if (want == WANT_FIRST || want == WANT_MINIMUM)
        m->second_due = m->settings.max_workers > 1 && m->queue.jobs > 0;
    else
        m->second_due = false;
    child_create(s, m, claim);
}

/* Judges one claim. True when it still waits. Only a model without a worker may push others out. */
static bool admit(struct supervisor *s, struct model *m, bool behind)
{
    enum want want = wants(s, m);
    if (want == WANT_NONE)
        return false;
    bool needed = want == WANT_FIRST || want == WANT_MINIMUM;
    uint32_t victims[VICTIMS_MAX];
    struct claim claim = ledger_claim(s, m);
    struct judgement j = ledger_judge(s, m, &claim, victims, VICTIMS_MAX);
    bool tight = governor_pressure(s->facts.total_bytes, s->facts.available_bytes) >= PRESSURE_HIGH;
    if (j.verdict == VERDICT_GRANT && (needed || !tight)) {
        tell(s, m, &j, 0, NULL);
        grant(s, m, want, &claim);
        return false;
    }
    if (!needed) { /* it goes on with what it has */
        m->second_due = false;
        m->more_at_ms = s->now_ms + LEARNED_LOAD_MS;
        return false;
    }
    if (j.verdict == VERDICT_NEVER && model_living(m) > 0) { /* likewise, below its minimum */
        m->refill_at_ms = s->now_ms + s->options.limits.restart_max_ms;
        return false;
    }
    if (j.verdict == VERDICT_NEVER) {
        tell(s, m, &j, 0, NULL);
        refuse(s, m, &j);
        return false;
    }
    if (j.verdict == VERDICT_EVICT && !behind)
        evict(s, m, &j, victims);
    else if (!m->waiting_told)
        tell(s, m, &(struct judgement){ .verdict = VERDICT_WAIT, .need_bytes = j.need_bytes }, 0,
             NULL);
    m->waiting_told = true;
    return true;
}

/* First come, first served; one behind another that waits may only take what is free. */
void turn_admit(struct supervisor *s)
{
    if (!s->claims_dirty)
        return;
    s->claims_dirty = false;
    bool behind = false;
    struct link walk;
    list_move(&walk, &s->claims);
    while (!list_empty(&walk)) {
        struct model *m = CONTAINER_OF(walk.next, struct model, claim_link);
        list_remove(&m->claim_link);
        if (admit(s, m, behind)) {
            list_push_back(&s->claims, &m->claim_link);
            behind = true;
        } else {
            m->waiting_told = false;
            model_touch(s, m);
        }
    }
}

static void retire_all(struct supervisor *s, struct model *m, const char *reason)
{
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (child_state_is_living(c->state) && !c->exited)
            child_retire(s, c, reason);
    }
}

/* One surplus worker a quiet period, the least recently used first, down to the minimum. */
void turn_retire(struct supervisor *s, struct model *m)
{
    if (m->queue.jobs > 0)
        return;
    if (s->draining || m->gone) {
        retire_all(s, m, s->draining ? "shutdown" : "unregistered");
        return;
    }
    uint32_t living = 0;
    struct child *oldest = NULL;
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (!child_state_is_living(c->state))
            continue;
        if (!child_state_may_be_victim(c->state) || c->jobs_count > 0)
            return; /* a busy or loading worker: the model is not quiet */
        living++;
        if (oldest == NULL || c->last_used_ms < oldest->last_used_ms)
            oldest = c;
    }
    if (oldest == NULL || living <= m->settings.min_workers)
        return;
    int64_t since = m->last_used_ms > m->last_retired_ms ? m->last_used_ms : m->last_retired_ms;
    if (s->now_ms - since < m->settings.idle_ms) {
        model_wake_at(s, m, since + m->settings.idle_ms);
        return;
    }
    m->last_retired_ms = s->now_ms;
    m->second_due = false;
    child_retire(s, oldest, "idle");
}

static uint32_t count_busy(const struct supervisor *s)
{
    uint32_t busy = 0;
    LIST_EACH(&s->models, m)
        LIST_EACH(&CONTAINER_OF(m, struct model, link)->children, at)
            busy += CONTAINER_OF(at, struct child, link)->jobs_count > 0;
    return busy;
}

/* The cores, shared out among the workers that compute now; each gets at least one. In the order of
 * the lists, not of the map, so that the same workers always get the same shares. */
void turn_share(struct supervisor *s)
{
    if (!s->shares_dirty)
        return;
    s->shares_dirty = false;
    const uint32_t busy = count_busy(s);
    uint32_t given = 0;
    LIST_EACH(&s->models, m)
        LIST_EACH(&CONTAINER_OF(m, struct model, link)->children, at) {
            struct child *c = CONTAINER_OF(at, struct child, link);
            if (c->jobs_count == 0)
                continue;
            uint32_t share =
                s->options.threads / busy + (given++ < s->options.threads % busy ? 1 : 0);
            share = share > 0 ? share : 1;
            if (share == c->threads)
                continue;
            c->threads = share;
            s->totals.decisions++;
            s->world->share(s->world->context, c->id, share);
        }
}
