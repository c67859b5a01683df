#include "supervisor/governor.h"

#include "base/mem.h"
#include "base/size.h"

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return size_add(a, b, &sum) ? sum : UINT64_MAX;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

const char *verdict_name(enum verdict v)
{
    static const char *const names[VERDICT_COUNT] = { "grant", "wait", "evict", "never" };
    return names[v];
}

/* How much too much it would be now, by the budget and by what the machine really has. */
static uint64_t shortfall(const struct ledger *l, uint64_t need)
{
    uint64_t by_budget = less(add(l->leased_bytes, need), l->budget_bytes);
    uint64_t to_touch = add(add(l->untouched_bytes, need), GOVERNOR_RESERVE_BYTES);
    uint64_t by_machine = less(to_touch, l->available_bytes);
    return by_budget > by_machine ? by_budget : by_machine;
}

/* What the set gives back: each context, and the weights of a model all of whose holders are in it.
 */
static uint64_t freed_by(const struct resident *residents, const size_t *set, size_t count)
{
    uint64_t freed = 0;
    for (size_t i = 0; i < count; i++) {
        const struct resident *r = &residents[set[i]];
        uint32_t in_set = 0;
        bool first_of_model = true;
        for (size_t k = 0; k < count; k++) {
            if (residents[set[k]].model != r->model)
                continue;
            in_set++;
            if (k < i)
                first_of_model = false;
        }
        freed = add(freed, r->context_bytes);
        if (first_of_model && in_set == r->model_holders)
            freed = add(freed, r->weights_bytes);
    }
    return freed;
}

/* The most recently used worker of a model is its last one, unless one of its workers has to stay.
 */
static bool is_last_worker(const struct resident *residents, size_t count, size_t at)
{
    const struct resident *r = &residents[at];
    uint32_t may_leave = 0;
    for (size_t i = 0; i < count; i++) {
        const struct resident *o = &residents[i];
        if (o->model != r->model || !o->may_leave)
            continue;
        may_leave++;
        if (o->last_used_ms > r->last_used_ms ||
            (o->last_used_ms == r->last_used_ms && o->id > r->id))
            return false;
    }
    return may_leave == r->model_holders;
}

/* Surplus replicas before last workers, least recently used first within each. */
static bool leaves_before(const struct resident *a, bool a_is_last, const struct resident *b,
                          bool b_is_last)
{
    if (a_is_last != b_is_last)
        return b_is_last;
    if (a->last_used_ms != b->last_used_ms)
        return a->last_used_ms < b->last_used_ms;
    return a->id < b->id;
}

/* Indexes of those that may leave, in the order in which they should. */
static size_t order_candidates(const struct resident *residents, size_t count, size_t *out)
{
    bool *is_last = mem_new(count + 1, sizeof *is_last);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (!residents[i].may_leave)
            continue;
        is_last[i] = is_last_worker(residents, count, i);
        size_t at = n++;
        for (; at > 0 && leaves_before(&residents[i], is_last[i], &residents[out[at - 1]],
                                       is_last[out[at - 1]]);
             at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    mem_free(is_last);
    return n;
}

/* Leaves out, largest first, every member that the set can do without. */
static size_t prune(const struct resident *residents, size_t *set, size_t count, uint64_t need)
{
    for (bool again = true; again;) {
        again = false;
        size_t best = count;
        uint64_t best_bytes = 0;
        for (size_t i = 0; i < count; i++) {
            size_t kept = set[i];
            set[i] = set[count - 1];
            uint64_t without = freed_by(residents, set, count - 1);
            set[count - 1] = set[i];
            set[i] = kept;
            uint64_t bytes = add(residents[kept].context_bytes, residents[kept].weights_bytes);
            if (without >= need && (best == count || bytes > best_bytes)) {
                best = i;
                best_bytes = bytes;
            }
        }
        if (best < count) {
            for (size_t i = best; i + 1 < count; i++)
                set[i] = set[i + 1];
            count--;
            again = true;
        }
    }
    return count;
}

struct judgement judge(const struct ledger *l, const struct claim *claim,
                       const struct resident *residents, size_t count, size_t *victims)
{
    struct judgement j = { .need_bytes = add(claim->weights_bytes, claim->context_bytes) };
    if (add(j.need_bytes, l->pinned_bytes) > l->budget_bytes) {
        j.verdict = VERDICT_NEVER;
        return j;
    }
    uint64_t missing = shortfall(l, j.need_bytes);
    if (missing == 0) {
        j.verdict = VERDICT_GRANT;
        return j;
    }
    j.verdict = VERDICT_WAIT;
    missing = less(missing, l->leaving_bytes);
    if (missing == 0)
        return j;
    size_t n = order_candidates(residents, count, victims);
    size_t taken = 0;
    while (taken < n && freed_by(residents, victims, taken) < missing)
        taken++;
    j.freed_bytes = freed_by(residents, victims, taken);
    if (j.freed_bytes < missing) {
        j.freed_bytes = 0;
        return j;
    }
    j.verdict = VERDICT_EVICT;
    j.victims_count = prune(residents, victims, taken, missing);
    j.freed_bytes = freed_by(residents, victims, j.victims_count);
    return j;
}

uint64_t governor_budget(uint64_t total, uint64_t asked_bytes, uint32_t asked_percent)
{
    uint64_t by_share = less(total / 5 * 4, 2 * GiB);
    uint64_t half = total / 2;
    uint64_t budget = by_share > half ? by_share : half;
    if (asked_percent > 0)
        budget = total / 100 * asked_percent + total % 100 * asked_percent / 100;
    if (asked_bytes > 0)
        budget = asked_bytes;
    uint64_t ceiling = less(total, GOVERNOR_RESERVE_BYTES);
    return budget < ceiling ? budget : ceiling;
}

enum pressure governor_pressure(uint64_t total, uint64_t available)
{
    if (total == 0)
        return PRESSURE_LOW;
    double p = 1.0 - (double)(available < total ? available : total) / (double)total;
    if (p < 0.5)
        return PRESSURE_LOW;
    if (p < 0.7)
        return PRESSURE_NORMAL;
    return p < 0.85 ? PRESSURE_HIGH : PRESSURE_CRITICAL;
}

const char *pressure_name(enum pressure p)
{
    static const char *const names[] = {
#define X(NAME, name) name,
        PRESSURES(X)
#undef X
    };
    return names[p];
}
