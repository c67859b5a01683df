/* admit.c — which model gets one more worker, and who leaves for it. Level-triggered, as every step
 * of the turn: a second run over the same facts decides nothing. */
#include "supervisor/state.h"

#include "base/str.h"

#define CONTEXT_LEAST     2048 /* tokens: no claim is made smaller than that to fit */
#define PATIENCE_LEAST_MS 1000 /* another worker is never thought to come quicker */

/* What a model needs one more worker for. */
enum want { WANT_NONE, WANT_FIRST, WANT_MINIMUM, WANT_PRELOAD, WANT_SECOND, WANT_MORE };

static enum want want_more(struct supervisor *s, struct model *m, uint32_t living)
{
    int64_t patience = m->load_ms > PATIENCE_LEAST_MS ? m->load_ms : PATIENCE_LEAST_MS;
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
    if (ready && m->second_due && living < m->settings.max_workers)
        return WANT_SECOND;
    return want_more(s, m, living);
}

/* Until it was loaded in this life, a load takes as long as it did in an earlier one. */
static void remember_load(const struct supervisor *s, struct model *m)
{
    const struct claim claim = ledger_claim(s, m);
    const struct learned *l = learned_find(s, m, claim.context, claim.slots);
    if (l != NULL)
        m->load_ms = l->load_ms;
}

/* Enters the queue for memory, or leaves it. */
void turn_want(struct supervisor *s, struct model *m)
{
    bool want = wants(s, m) != WANT_NONE;
    if (want == link_is_on_list(&m->claim_link))
        return;
    s->claims_dirty = true; /* when it leaves, those behind it may come first now */
    if (want) {
        list_push_back(&s->claims, &m->claim_link);
        m->claim_ms = s->now_ms;
        if (m->load_ms == 0)
            remember_load(s, m);
    } else {
        list_remove(&m->claim_link);
        m->waiting_told = false;
    }
}

/* The queue for memory on the way through it: what the one in front keeps from those behind it.
 *
 * First come, first served. The first without a worker that waits for memory that is, or will be,
 * ours to give stands in the way of all others: they may take what is free and push nobody out. Of
 * that, what is leaving for it is held for it; and once it has waited for as long as makes a batch
 * job a critical one, all that it needs is, so that a trickle of small claims cannot keep a large
 * one waiting for ever: the jobs that it waits for end by and by, and no new worker takes their
 * place. Held is for one at a time, or a queue of large claims would leave free memory to nobody.
 *
 * A claim that waits for memory of other programs stands in nobody's way, for nothing here can make
 * it come; it is the first to be asked when it has. Nor does one that goes on with the workers that
 * it has. */
struct line {
    struct pool_view view;
    bool behind;         /* another, which stands in the way */
    uint64_t held_bytes; /* for it */
};

static bool is_first_worker(const struct model *m)
{
    return m->queue.jobs > 0 && model_living(m) == 0;
}

static void line_up(const struct supervisor *s, struct line *line, const struct model *m,
                    const struct judgement *j)
{
    if (line->behind || !is_first_worker(m) || j->waits == WAITS_OTHERS)
        return;
    const bool comes = j->verdict == VERDICT_EVICT || j->waits == WAITS_LEAVING;
    line->behind = true;
    if (comes || s->now_ms - m->claim_ms >= (PRIORITIES - 1) * s->options.limits.ageing_ms)
        line->held_bytes = j->need_bytes;
}

/* Fewer slots and then a shorter context where the whole can never fit; a model that runs already
 * goes on with the workers that it has instead. */
static void shrink(const struct supervisor *s, const struct model *m, const struct ledger *l,
                   struct claim *claim)
{
    while (judge_never(l, claim)) {
        uint32_t slots = claim->slots, context = claim->context;
        if (m->plan.per_slot_bytes > 0 && slots > 1)
            slots /= 2;
        else if (m->plan.per_token_bytes > 0 && context > CONTEXT_LEAST)
            context = context / 2 > CONTEXT_LEAST ? context / 2 : CONTEXT_LEAST;
        else
            return;
        *claim = ledger_claim_of(s, m, slots, context);
    }
}

/* The one judgement of a claim, for turn_admit to act on and for supervisor_plan to show. */
static struct judgement judge_claim(const struct supervisor *s, const struct line *line,
                                    struct pool_view *v, const struct model *m, struct claim *claim)
{
    *claim = ledger_claim(s, m);
    if (model_living(m) == 0)
        shrink(s, m, &v->ledger, claim);
    v->ledger.held_bytes = line->held_bytes;
    struct judgement j = judge(&v->ledger, claim, v->residents, v->count, v->victims);
    if (j.verdict == VERDICT_EVICT && line->behind)
        j = (struct judgement){ .verdict = VERDICT_WAIT,
                                .waits = WAITS_TURN,
                                .need_bytes = j.need_bytes };
    return j;
}

struct judgement admit_foresee(const struct supervisor *s, const struct model *m,
                               struct pool_view *view, struct claim *claim)
{
    struct line line = { 0 };
    LIST_EACH(&s->claims, at) {
        const struct model *before = CONTAINER_OF(at, struct model, claim_link);
        if (before == m)
            break;
        if (before->preparation == PREPARATION_RUNNING)
            continue;
        const struct judgement j = judge_claim(s, &line, view, before, claim);
        if (j.verdict == VERDICT_WAIT || j.verdict == VERDICT_EVICT)
            line_up(s, &line, before, &j);
    }
    return judge_claim(s, &line, view, m, claim);
}

static void tell(struct supervisor *s, const struct model *m, const struct claim *claim,
                 const struct judgement *j)
{
    struct verdict_text reason;
    explain_verdict(s, m, claim, j, &reason);
    log_write(s->options.log, LOG_INFO, "governor", "%s %s: %s", verdict_name(j->verdict), m->name,
              reason.text);
    event_emit(s, &(struct pool_event){
                      .kind = verdict_name(j->verdict), .model = m->name, .reason = reason.text });
}

static void refuse(struct supervisor *s, struct model *m, const struct claim *claim,
                   uint64_t pinned_bytes)
{
    explain_refusal(s, m, claim, pinned_bytes, &m->problem);
    const struct weir_error error = m->problem;
    m->refill_at_ms = INT64_MAX;
    model_fail_jobs(s, m, &error);
}

/* What it gets is less than it would have liked: said once a grant. */
static void tell_shrunk(struct supervisor *s, const struct model *m, const struct claim *claim)
{
    const uint32_t slots = m->settings.slots > 0 ? m->settings.slots : m->plan.slots;
    const uint32_t context = m->settings.context > 0 ? m->settings.context : m->plan.tokens_max;
    char reason[200];
    if (claim->slots == slots && claim->context == context)
        return;
    explain_shrunk(s, m, claim, slots, context, reason, sizeof reason);
    log_write(s->options.log, LOG_WARN, "governor", "shrink %s: %s", m->name, reason);
    event_emit(s, &(struct pool_event){ .kind = "shrink", .model = m->name, .reason = reason });
}

static void grant(struct supervisor *s, struct line *line, struct model *m, enum want want,
                  const struct claim *claim)
{
    m->second_due = want == WANT_FIRST && m->settings.max_workers > 1;
    m->preload_due = false;
    tell_shrunk(s, m, claim);
    child_create(s, m, claim);
    ledger_view_finish(&line->view);
    ledger_view(s, &line->view);
}

static void evict(struct supervisor *s, struct line *line, const struct model *m,
                  const struct judgement *j)
{
    char for_whom[128];
    str_print(for_whom, sizeof for_whom, "'%.80s'", m->name);
    evict_victims(s, &line->view, j, EVICTION_MEMORY, for_whom);
    ledger_view_finish(&line->view);
    ledger_view(s, &line->view);
}

static bool admit(struct supervisor *s, struct line *line, struct model *m);

/* There is memory for its first worker, which waits for the preparation; where there will be none
 * it is judged again, for its share of the weights is another then. */
static bool prepare_before(struct supervisor *s, struct line *line, struct model *m)
{
    const bool waits = prepare_start(s, m, &line->view);
    m->waiting_told = false; /* it is not memory that it waits for any more */
    ledger_view_finish(&line->view);
    ledger_view(s, &line->view);
    return waits || admit(s, line, m);
}

/* Judges one claim. True when it still waits. Only a model that has less than its minimum may push
 * others out; who wants more than that takes what is free, and not while somebody waits. */
static bool admit(struct supervisor *s, struct line *line, struct model *m)
{
    enum want want = wants(s, m);
    if (want == WANT_NONE)
        return false;
    if (m->preparation == PREPARATION_RUNNING) /* and stands in nobody's way meanwhile */
        return true;
    bool needed = want == WANT_FIRST || want == WANT_MINIMUM;
    struct claim claim;
    struct judgement j = judge_claim(s, line, &line->view, m, &claim);
    s->totals.verdicts[j.verdict]++;
    bool tight = memory_pressure(s) >= PRESSURE_HIGH || line->behind;
    if (j.verdict == VERDICT_GRANT && (needed || !tight)) {
        if (prepare_is_due(s, m))
            return prepare_before(s, line, m);
        tell(s, m, &claim, &j);
        grant(s, line, m, want, &claim);
        return false;
    }
    if (!needed) { /* it goes on with what it has */
        m->second_due = false;
        model_skip_preload(s, m);
        m->more_at_ms = s->now_ms + PATIENCE_LEAST_MS;
        return false;
    }
    if (j.verdict == VERDICT_NEVER && model_living(m) > 0) { /* likewise, below its minimum */
        m->refill_at_ms = s->now_ms + s->options.limits.restart_max_ms;
        return false;
    }
    if (j.verdict == VERDICT_NEVER) {
        tell(s, m, &claim, &j);
        refuse(s, m, &claim, line->view.ledger.pinned_bytes);
        return false;
    }
    line_up(s, line, m, &j);
    if (j.verdict == VERDICT_EVICT)
        evict(s, line, m, &j);
    else if (!m->waiting_told)
        tell(s, m, &claim, &j);
    m->waiting_told = true;
    return true;
}

void turn_admit(struct supervisor *s)
{
    if (!s->claims_dirty)
        return;
    s->claims_dirty = false;
    if (list_empty(&s->claims))
        return;
    memory_read_machine(s);
    struct line line = { 0 };
    ledger_view(s, &line.view);
    struct link walk;
    list_move(&walk, &s->claims);
    while (!list_empty(&walk)) {
        struct model *m = CONTAINER_OF(walk.next, struct model, claim_link);
        list_remove(&m->claim_link);
        if (admit(s, &line, m)) {
            list_push_back(&s->claims, &m->claim_link);
        } else {
            m->waiting_told = false;
            model_touch(s, m);
        }
    }
    ledger_view_finish(&line.view);
}
