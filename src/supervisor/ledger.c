/* ledger.c — the pool's one number for memory, and how the judge sees the pool.
 *
 * Two leases (contracts.md 2): weights, once a model, held as long as any of its children was not
 * reaped; context, one a child. Both move in lease_move and nowhere else. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/mem.h"

#define RESIDENTS_MAX 512

/* Stacks and heap that any process grows by once it talks. So little is no use of memory by a
 * model: nobody's lease pays for it, as nobody's pays for what the process had at its hello. */
#define BARE_GROWTH_BYTES ((uint64_t)1 << 20)

void lease_move(struct supervisor *s, struct child *c, enum lease_move why, uint64_t bytes)
{
    struct model *m = c->model;
    switch (why) {
    case LEASE_GRANT:
        if (m->holders++ == 0 || m->plan.weights_bytes > m->weights_held) {
            s->leased_bytes += m->plan.weights_bytes - m->weights_held;
            m->weights_held = m->plan.weights_bytes;
        }
        c->context_bytes = bytes;
        s->leased_bytes += bytes;
        break;
    case LEASE_MEASURED:
        if (bytes > c->context_bytes) {
            s->leased_bytes += bytes - c->context_bytes;
            c->context_bytes = bytes;
        }
        break;
    case LEASE_REAPED:
        CHECK(m->holders > 0 && s->leased_bytes >= c->context_bytes);
        s->leased_bytes -= c->context_bytes;
        c->context_bytes = 0;
        c->measured_bytes = 0;
        if (--m->holders == 0) {
            CHECK(s->leased_bytes >= m->weights_held);
            s->leased_bytes -= m->weights_held;
            m->weights_held = 0;
        }
        break;
    }
}

void memory_bare(struct supervisor *s, struct child *c)
{
    struct child_memory row = { .id = c->id };
    struct memory_facts facts = { .children = &row, .children_count = 1 };
    s->world->memory(s->world->context, &facts);
    c->bare_bytes = row.private_bytes;
}

/* Reads what the machine has and what each child really uses; a child's lease can only rise. */
void memory_read(struct supervisor *s)
{
    struct child_memory rows[RESIDENTS_MAX];
    size_t count = 0, cursor = 0;
    for (struct child *c; (c = map_next(&s->children, &cursor)) != NULL && count < RESIDENTS_MAX;)
        if (c->hello && c->state != DEAD && !c->exited)
            rows[count++] = (struct child_memory){ .id = c->id };
    struct memory_facts facts = { .children = rows, .children_count = count };
    s->world->memory(s->world->context, &facts);
    for (size_t i = 0; i < count; i++) {
        uint64_t key = rows[i].id;
        struct child *c = map_get(&s->children, map_id(&key));
        uint64_t more =
            rows[i].private_bytes > c->bare_bytes ? rows[i].private_bytes - c->bare_bytes : 0;
        c->measured_bytes = more > BARE_GROWTH_BYTES ? more : 0;
        lease_move(s, c, LEASE_MEASURED, c->measured_bytes);
    }
    s->facts = (struct memory_facts){ .total_bytes = facts.total_bytes,
                                      .available_bytes = facts.available_bytes };
    s->budget_bytes =
        governor_budget(facts.total_bytes, s->options.memory_bytes, s->options.memory_percent);
}

struct claim ledger_claim(const struct supervisor *s, const struct model *m)
{
    uint32_t slots = m->settings.slots > 0 ? m->settings.slots : m->plan.slots;
    uint32_t context = m->settings.context > 0 ? m->settings.context : m->plan.tokens_max;
    uint64_t weights = m->plan.weights_bytes;
    return (struct claim){
        .weights_bytes = weights > m->weights_held ? weights - m->weights_held : 0,
        .context_bytes = plan_context_bytes(&m->plan, context, slots, s->options.threads),
    };
}

/* May it be chosen to leave for another model? Not below its minimum, not busy, not too fresh while
 * requests for it wait. */
static bool may_leave(const struct supervisor *s, const struct child *c, uint32_t surplus)
{
    const struct model *m = c->model;
    int64_t stay = 2 * m->load_ms;
    if (stay > s->options.limits.min_stay_ms)
        stay = s->options.limits.min_stay_ms;
    bool wanted = m->queue.jobs > 0 && s->now_ms - c->ready_ms < stay;
    return child_state_may_be_victim(c->state) && c->jobs_count == 0 && !c->exited && !c->lost &&
           surplus > 0 && !wanted;
}

/* Of the leases of a model, those of its workers that its minimum keeps. */
static uint64_t pinned_bytes(const struct model *m)
{
    uint32_t pinned = m->gone ? 0 : m->settings.min_workers;
    uint64_t bytes = 0;
    bool any = false;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        if (pinned == 0 || !child_state_is_living(c->state))
            continue;
        bytes += c->context_bytes;
        pinned--;
        any = true;
    }
    return any ? bytes + m->weights_held : 0;
}

/* What one model adds to the ledger and to the residents. */
static size_t view_model(struct supervisor *s, struct model *m, struct ledger *l,
                         struct resident *out, size_t room)
{
    size_t count = 0;
    uint32_t living = model_living(m), leaving = 0;
    uint32_t surplus = living > m->settings.min_workers ? living - m->settings.min_workers : 0;
    bool touched = false;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        if (c->state == DEAD)
            continue;
        touched = touched || c->ready_ms > 0;
        if (!child_state_is_living(c->state)) {
            l->leaving_bytes += c->context_bytes;
            leaving++;
        }
        if (c->ready_ms == 0 && child_state_is_living(c->state))
            l->untouched_bytes += c->context_bytes;
        if (may_leave(s, c, surplus) && count < room) {
            out[count++] = (struct resident){ .id = c->id,
                                              .model = m->number,
                                              .weights_bytes = m->weights_held,
                                              .context_bytes = c->context_bytes,
                                              .last_used_ms = c->last_used_ms,
                                              .model_holders = m->holders,
                                              .may_leave = true };
            surplus--;
        }
    }
    if (leaving > 0 && leaving == m->holders)
        l->leaving_bytes += m->weights_held;
    if (m->holders > 0 && !touched)
        l->untouched_bytes += m->weights_held;
    return count;
}

struct judgement ledger_judge(struct supervisor *s, struct model *m, const struct claim *claim,
                              uint32_t victims[], size_t victims_max)
{
    memory_read(s);
    struct resident *residents = mem_new(RESIDENTS_MAX, sizeof *residents);
    size_t *chosen = mem_new(RESIDENTS_MAX, sizeof *chosen);
    size_t count = 0;
    struct ledger l = { .budget_bytes = s->budget_bytes,
                        .leased_bytes = s->leased_bytes,
                        .available_bytes = s->facts.available_bytes };
    LIST_EACH(&s->models, at) {
        struct model *other = CONTAINER_OF(at, struct model, link);
        l.pinned_bytes += pinned_bytes(other);
        if (other->holders > 0)
            count +=
                view_model(s, other, &l, residents + count, other == m ? 0 : RESIDENTS_MAX - count);
    }
    struct judgement j = judge(&l, claim, residents, count, chosen);
    if (j.victims_count > victims_max)
        j.verdict = VERDICT_WAIT;
    for (size_t i = 0; j.verdict == VERDICT_EVICT && i < j.victims_count; i++)
        victims[i] = residents[chosen[i]].id;
    s->totals.verdicts[j.verdict]++;
    mem_free(residents);
    mem_free(chosen);
    return j;
}
