#include "supervisor/governor.h"

#include "base/mem.h"
#include "base/size.h"

#include <stdlib.h>

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
    static const char *const names[] = {
#define X(NAME, name) name,
        VERDICTS(X)
#undef X
    };
    return names[v];
}

const char *waits_text(enum waits w)
{
    static const char *const texts[] = {
#define X(NAME, text) text,
        WAITS(X)
#undef X
    };
    return texts[w];
}

/* How much too much it would be now, by the budget and by what the machine really has. */
static uint64_t shortfall(const struct ledger *l, uint64_t need)
{
    uint64_t by_budget = less(add(l->leased_bytes, need), less(l->budget_bytes, l->withheld_bytes));
    uint64_t to_touch = add(add(l->untouched_bytes, need), GOVERNOR_RESERVE_BYTES);
    uint64_t by_machine = less(to_touch, l->available_bytes);
    return by_budget > by_machine ? by_budget : by_machine;
}

/* One that may leave. `group` numbers its model; of each group is counted how many are chosen. */
struct candidate {
    const struct resident *resident;
    size_t group;
    bool is_last; /* its model is left without a worker when it goes, after all others of it */
    bool stays;   /* the set suffices without it */
};

struct choice {
    struct candidate *candidates; /* in the order in which they should leave */
    uint32_t *chosen;             /* by group */
    size_t count, taken;          /* the first `taken` are chosen, but for those that stay */
    uint64_t freed_bytes;
};

static int by_use(const struct resident *a, const struct resident *b)
{
    if (a->last_used_ms != b->last_used_ms)
        return a->last_used_ms < b->last_used_ms ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static int by_model(const void *a, const void *b)
{
    const struct resident *x = ((const struct candidate *)a)->resident;
    const struct resident *y = ((const struct candidate *)b)->resident;
    return x->model != y->model ? (x->model < y->model ? -1 : 1) : by_use(x, y);
}

/* Surplus replicas before last workers, least recently used first within each. */
static int by_turn(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->is_last != y->is_last ? (x->is_last ? 1 : -1) : by_use(x->resident, y->resident);
}

/* The largest first; among equals as they stand. */
static int by_size(const void *a, const void *b)
{
    const struct candidate *x = *(struct candidate *const *)a, *y = *(struct candidate *const *)b;
    uint64_t of_x = add(x->resident->context_bytes, x->resident->weights_bytes);
    uint64_t of_y = add(y->resident->context_bytes, y->resident->weights_bytes);
    return of_x != of_y ? (of_x > of_y ? -1 : 1) : (x > y) - (x < y);
}

/* Those that may leave, in the order in which they should. The most recently used worker of a model
 * is its last one, unless one of its workers has to stay. */
static void line_up(struct choice *c, const struct resident *residents, size_t count,
                    uint32_t own_model)
{
    c->candidates = mem_new(count + 1, sizeof *c->candidates);
    c->chosen = mem_new(count + 1, sizeof *c->chosen);
    for (size_t i = 0; i < count; i++)
        if (residents[i].may_leave && (own_model == 0 || residents[i].model != own_model))
            c->candidates[c->count++].resident = &residents[i];
    qsort(c->candidates, c->count, sizeof *c->candidates, by_model);
    size_t group = 0, of_group = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct resident *r = c->candidates[i].resident;
        bool ends = i + 1 == c->count || c->candidates[i + 1].resident->model != r->model;
        c->candidates[i].group = group;
        of_group++;
        if (!ends)
            continue;
        c->candidates[i].is_last = of_group == r->model_holders;
        group++;
        of_group = 0;
    }
    qsort(c->candidates, c->count, sizeof *c->candidates, by_turn);
}

/* Each gives back its context, and the last holder of a model its weights. */
static void take_until(struct choice *c, uint64_t missing)
{
    while (c->taken < c->count && c->freed_bytes < missing) {
        const struct candidate *v = &c->candidates[c->taken++];
        c->freed_bytes = add(c->freed_bytes, v->resident->context_bytes);
        if (++c->chosen[v->group] == v->resident->model_holders)
            c->freed_bytes = add(c->freed_bytes, v->resident->weights_bytes);
    }
}

/* Leaves out, largest first, every member that the set can do without. Once is enough: when one
 * cannot be spared, then no more so after a larger one was. */
static void prune(struct choice *c, uint64_t missing)
{
    struct candidate **order = mem_new(c->taken + 1, sizeof(struct candidate *));
    for (size_t i = 0; i < c->taken; i++)
        order[i] = &c->candidates[i];
    qsort(order, c->taken, sizeof *order, by_size);
    for (size_t i = 0; i < c->taken; i++) {
        struct candidate *v = order[i];
        bool frees_weights = c->chosen[v->group] == v->resident->model_holders;
        uint64_t frees =
            add(v->resident->context_bytes, frees_weights ? v->resident->weights_bytes : 0);
        if (c->freed_bytes < frees || c->freed_bytes - frees < missing)
            continue;
        v->stays = true;
        c->chosen[v->group]--;
        c->freed_bytes -= frees;
    }
    mem_free(order);
}

/* Fills in the victims. Without `partly`, a set that does not suffice is nobody. */
static void choose(struct judgement *j, uint64_t missing, bool partly, uint32_t own_model,
                   const struct resident *residents, size_t count, size_t *victims)
{
    struct choice c = { 0 };
    line_up(&c, residents, count, own_model);
    take_until(&c, missing);
    if (c.taken > 0 && (partly || c.freed_bytes >= missing)) {
        prune(&c, missing);
        j->verdict = VERDICT_EVICT;
        j->waits = WAITS_NOTHING;
        j->freed_bytes = c.freed_bytes;
        for (size_t i = 0; i < c.taken; i++)
            if (!c.candidates[i].stays)
                victims[j->victims_count++] = (size_t)(c.candidates[i].resident - residents);
    }
    mem_free(c.candidates);
    mem_free(c.chosen);
}

bool judge_never(const struct ledger *l, const struct claim *claim)
{
    uint64_t need = add(claim->weights_bytes, claim->context_bytes);
    return add(need, l->pinned_bytes) > l->budget_bytes;
}

static struct judgement waits(struct judgement j, enum waits what)
{
    j.verdict = VERDICT_WAIT;
    j.waits = what;
    return j;
}

struct judgement judge(const struct ledger *l, const struct claim *claim,
                       const struct resident *residents, size_t count, size_t *victims)
{
    struct judgement j = { .need_bytes = add(claim->weights_bytes, claim->context_bytes) };
    if (judge_never(l, claim)) {
        j.verdict = VERDICT_NEVER;
        return j;
    }
    uint64_t missing = shortfall(l, j.need_bytes);
    if (missing == 0) {
        /* Free, but perhaps only as long as one before it has not got what is leaving for it. */
        if (shortfall(l, add(j.need_bytes, l->held_bytes)) > l->leaving_bytes)
            return waits(j, WAITS_TURN);
        j.verdict = VERDICT_GRANT;
        return j;
    }
    if (missing > less(l->leased_bytes, l->pinned_bytes))
        return waits(j, WAITS_OTHERS); /* not even if all of ours went that ever may */
    missing = less(missing, l->leaving_bytes);
    if (missing == 0)
        return waits(j, WAITS_LEAVING);
    j = waits(j, WAITS_BUSY);
    choose(&j, missing, false, claim->model, residents, count, victims);
    return j;
}

struct judgement judge_surplus(const struct ledger *l, const struct resident *residents,
                               size_t count, size_t *victims)
{
    uint64_t surplus = less(l->leased_bytes, less(l->budget_bytes, l->withheld_bytes));
    struct judgement j = { .verdict = VERDICT_GRANT, .need_bytes = surplus };
    if (surplus == 0)
        return j;
    uint64_t missing = less(surplus, l->leaving_bytes);
    if (missing == 0)
        return waits(j, WAITS_LEAVING);
    j = waits(j, WAITS_BUSY);
    choose(&j, missing, true, 0, residents, count, victims);
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

uint64_t governor_withheld(uint64_t total, uint64_t available, uint64_t leased, uint64_t budget)
{
    if (governor_pressure(total, available) != PRESSURE_CRITICAL)
        return 0;
    uint64_t deficit = less(total / 20 * 3, available); /* (p - 0.85) T = 0.15 T - A */
    return less(budget, less(leased, deficit));
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
