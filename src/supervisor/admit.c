/* admit.c — which model gets one more worker, and who leaves for it. Level-triggered, as every step
 * of the turn: a second run over the same facts decides nothing. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/error.h"
#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>

#define VICTIMS_MAX     64
#define LEARNED_LOAD_MS 1000 /* another worker is never thought to come quicker */

/* What a model needs one more worker for. */
enum want { WANT_NONE, WANT_FIRST, WANT_MINIMUM, WANT_PRELOAD, WANT_SECOND, WANT_MORE };

static enum want want_more(struct supervisor *s, struct model *m, uint32_t living)
{
    int64_t patience = m->load_ms > LEARNED_LOAD_MS ? m->load_ms : LEARNED_LOAD_MS;
    struct job *oldest = queue_oldest(&m->queue);
    if (oldest == NULL || living >= m->settings.max_workers)
        return WANT_NONE;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        if (child_takes_jobs(c) && c->jobs_count < c->slots && !child_runs_alone(c))
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
        ready = ready || child_takes_jobs(c);
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
    if (living == 0 && m->preload_due)
        return WANT_PRELOAD;
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
    m->preload_due = false;
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
        model_skip_preload(s, m);
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
