/* ledger.c — leases, claims, and how the judge sees the pool. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"

uint64_t ledger_shared_bytes(const struct model *m, bool packed)
{
    uint64_t sum;
    if (!packed)
        return m->plan.weights_bytes;
    return size_add(m->plan.weights_bytes, model_packed_bytes(m), &sum) ? sum : UINT64_MAX;
}

static void share_weights(struct supervisor *s, const struct lease *l)
{
    struct model *m = l->model;
    const uint64_t bytes = ledger_shared_bytes(m, l->packed);
    m->holders++;
    if (bytes > m->weights_held) {
        s->leased_bytes += bytes - m->weights_held;
        m->weights_held = bytes;
    }
}

static void leave_weights(struct supervisor *s, struct model *m)
{
    CHECK(m->holders > 0);
    if (--m->holders > 0)
        return;
    CHECK(s->leased_bytes >= m->weights_held);
    s->leased_bytes -= m->weights_held;
    m->weights_held = 0;
}

void lease_move(struct supervisor *s, struct lease *l, enum lease_move why, uint64_t bytes)
{
    switch (why) {
    case LEASE_GRANT:
        if (l->model != NULL)
            share_weights(s, l);
        l->context_bytes = bytes;
        s->leased_bytes += bytes;
        break;
    case LEASE_MEASURED:
        if (bytes > l->context_bytes) {
            s->leased_bytes += bytes - l->context_bytes;
            l->context_bytes = bytes;
        }
        break;
    case LEASE_REAPED:
        CHECK(s->leased_bytes >= l->context_bytes);
        s->leased_bytes -= l->context_bytes;
        l->context_bytes = 0;
        if (l->model != NULL)
            leave_weights(s, l->model);
        break;
    }
}

struct claim ledger_claim_of(const struct supervisor *s, const struct model *m, uint32_t slots,
                             uint32_t context)
{
    const bool packed = prepare_shares(s, m);
    const uint64_t weights = ledger_shared_bytes(m, packed);
    uint64_t planned = plan_context_bytes(&m->plan, context, slots, s->options.threads);
    if (!packed && !size_add(planned, model_packed_bytes(m), &planned))
        planned = UINT64_MAX;
    const struct learned *l = learned_find(s, m, context, slots);
    return (struct claim){
        .weights_bytes = weights > m->weights_held ? weights - m->weights_held : 0,
        .context_bytes = l != NULL && l->context_bytes > planned ? l->context_bytes : planned,
        .model = m->number,
        .slots = slots,
        .context = context,
    };
}

/* All workers of a model are alike, so that the same input is not too long for one of them only. */
struct claim ledger_claim(const struct supervisor *s, const struct model *m)
{
    uint32_t slots = m->settings.slots > 0 ? m->settings.slots : m->plan.slots;
    uint32_t context = m->settings.context > 0 ? m->settings.context : m->plan.tokens_max;
    if (model_living(m) > 0)
        return ledger_claim_of(s, m, m->granted_slots, m->granted_context);
    return ledger_claim_of(s, m, slots, context);
}

/* May it be chosen to leave for another model? Not busy, not loading, not too fresh while requests
 * for it wait: who was let in and is wanted does some work before it makes way again. */
static bool may_leave(const struct supervisor *s, const struct child *c)
{
    const struct model *m = c->model;
    int64_t stay = 2 * m->load_ms;
    if (stay > s->options.limits.min_stay_ms)
        stay = s->options.limits.min_stay_ms;
    bool wanted = m->queue.jobs > 0 && s->now_ms - c->ready_ms < stay;
    return child_state_may_be_victim(c->state) && !c->exited && !c->lost && !wanted;
}

/* Of the leases of a model, those of the workers that it keeps. */
static uint64_t pinned_bytes(const struct model *m)
{
    uint32_t kept = model_least(m);
    uint64_t bytes = 0;
    bool any = false;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        if (kept == 0 || !child_state_is_living(c->state))
            continue;
        bytes += c->lease.context_bytes;
        kept--;
        any = true;
    }
    return any ? bytes + m->weights_held : 0;
}

/* The most recently used ones are those that a model keeps. */
static void keep_latest(struct resident *residents, size_t count, size_t keep)
{
    for (; keep > 0; keep--) {
        struct resident *latest = NULL;
        for (size_t i = 0; i < count; i++)
            if (residents[i].may_leave &&
                (latest == NULL || residents[i].last_used_ms >= latest->last_used_ms))
                latest = &residents[i];
        if (latest == NULL)
            return;
        latest->may_leave = false;
    }
}

/* What one model adds to the ledger and to the residents. */
static size_t view_model(const struct supervisor *s, const struct model *m, struct ledger *l,
                         struct resident *out)
{
    size_t count = 0;
    uint32_t living = 0, leaving = 0;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        if (c->state == DEAD)
            continue;
        if (child_state_is_living(c->state)) {
            living++;
            if (c->ready_ms == 0)
                l->untouched_bytes += c->lease.context_bytes;
        } else {
            leaving++;
            l->leaving_bytes += c->lease.context_bytes;
        }
        if (may_leave(s, c))
            out[count++] = (struct resident){ .id = c->id,
                                              .model = m->number,
                                              .weights_bytes = m->weights_held,
                                              .context_bytes = c->lease.context_bytes,
                                              .last_used_ms = c->last_used_ms,
                                              .model_holders = m->holders,
                                              .may_leave = true };
    }
    if (leaving == m->holders)
        l->leaving_bytes += m->weights_held;
    l->untouched_bytes += m->weights_held;
    /* Busy and loading ones count as kept before any of those that could leave. */
    const uint32_t keeps = model_least(m), busy = living - (uint32_t)count;
    keep_latest(out, count, keeps > busy ? keeps - busy : 0);
    return count;
}

void ledger_view(const struct supervisor *s, struct pool_view *out)
{
    *out = (struct pool_view){
        .ledger = {.budget_bytes = s->budget_bytes,
                   .withheld_bytes = s->withheld_bytes,
                   .leased_bytes = s->leased_bytes,
                   .available_bytes = s->facts.available_bytes},
        .residents = mem_new(s->children.count + 1, sizeof *out->residents),
        .victims = mem_new(s->children.count + 1, sizeof *out->victims),
    };
    /* What prepares is started like one that loads, and comes back by itself like one that leaves:
     * nobody has to be pushed out for what it keeps from others. */
    const uint64_t preparing_bytes = prepare_leased_bytes(s);
    out->ledger.leaving_bytes = out->ledger.untouched_bytes = preparing_bytes;
    LIST_EACH(&s->models, at) {
        const struct model *m = CONTAINER_OF(at, struct model, link);
        if (m->holders == 0)
            continue;
        out->ledger.pinned_bytes += pinned_bytes(m);
        out->count += view_model(s, m, &out->ledger, out->residents + out->count);
    }
}

void ledger_view_finish(struct pool_view *v)
{
    mem_free(v->residents);
    mem_free(v->victims);
    *v = (struct pool_view){ 0 };
}
