/* explain.c — decisions on memory in words, and the plan of a load that is not made. */
#include "supervisor/state.h"

#include "base/error.h"
#include "base/size.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#define NAME_SHOWN 60 /* of a model's name in an error, so that its numbers are not cut off */

const char *explain_budget(const struct supervisor *s, struct budget_text *out)
{
    const uint64_t total = s->facts.total_bytes;
    struct size_text of, reserve;
    size_format(total, &of);
    size_format(GOVERNOR_RESERVE_BYTES, &reserve);
    const uint64_t ceiling = total > GOVERNOR_RESERVE_BYTES ? total - GOVERNOR_RESERVE_BYTES : 0;
    const bool asked = s->options.memory_bytes > 0 || s->options.memory_percent > 0;
    if (asked && s->budget_bytes == ceiling && s->options.memory_bytes != ceiling)
        str_print(out->text, sizeof out->text, "the machine's %s less a reserve of %s", of.text,
                  reserve.text);
    else if (s->options.memory_bytes > 0)
        str_print(out->text, sizeof out->text, "as configured");
    else if (s->options.memory_percent > 0)
        str_print(out->text, sizeof out->text, "%u %% of the machine's %s",
                  s->options.memory_percent, of.text);
    else if (s->budget_bytes > total / 2)
        str_print(out->text, sizeof out->text, "80 %% of the machine's %s less 2 GiB", of.text);
    else
        str_print(out->text, sizeof out->text, "half of the machine's %s", of.text);
    return out->text;
}

/* "16.0 GiB (as configured)", and what pressure withholds of it. */
static void budget_words(const struct supervisor *s, char *out, size_t room)
{
    struct budget_text source;
    struct size_text budget, withheld;
    explain_budget(s, &source);
    size_format(s->budget_bytes, &budget);
    if (s->withheld_bytes > 0)
        str_print(out, room, "%s (%s), of which pressure withholds %s", budget.text, source.text,
                  size_format(s->withheld_bytes, &withheld));
    else
        str_print(out, room, "%s (%s)", budget.text, source.text);
}

const char *explain_verdict(const struct supervisor *s, const struct model *m,
                            const struct claim *claim, const struct judgement *j,
                            struct verdict_text *out)
{
    struct size_text need, weights, context, leased, available, freed;
    char budget[200], does[160];
    budget_words(s, budget, sizeof budget);
    size_format(j->freed_bytes, &freed);
    switch (j->verdict) {
    case VERDICT_GRANT: str_print(does, sizeof does, "can start now"); break;
    case VERDICT_EVICT:
        str_print(does, sizeof does, "can start when %zu idle worker%s left, which frees %s",
                  j->victims_count, j->victims_count == 1 ? " has" : "s have", freed.text);
        break;
    case VERDICT_WAIT:
        str_print(does, sizeof does, "has to wait for %s", waits_text(j->waits));
        break;
    default: str_print(does, sizeof does, "can never start"); break;
    }
    str_print(
        out->text, sizeof out->text,
        "a worker of '%.*s' %s: it needs %s (weights %s, context %s); leased are %s of a budget "
        "of %s, and %s are available.",
        NAME_SHOWN, m->name, does, size_format(j->need_bytes, &need),
        size_format(claim->weights_bytes, &weights), size_format(claim->context_bytes, &context),
        size_format(s->leased_bytes, &leased), budget,
        size_format(s->facts.available_bytes, &available));
    return out->text;
}

void explain_shrunk(const struct supervisor *s, const struct model *m, const struct claim *claim,
                    uint32_t slots_wanted, uint32_t context_wanted, char *out, size_t room)
{
    const struct claim whole = ledger_claim_of(s, m, slots_wanted, context_wanted);
    struct size_text wanted, granted, budget;
    str_print(out, room,
              "%u slots and %u tokens of context need %s, the budget is %s: granted are %u slot%s "
              "and %u tokens, which need %s",
              slots_wanted, context_wanted,
              size_format(whole.weights_bytes + whole.context_bytes, &wanted),
              size_format(s->budget_bytes, &budget), claim->slots, claim->slots == 1 ? "" : "s",
              claim->context, size_format(claim->weights_bytes + claim->context_bytes, &granted));
}

void explain_refusal(const struct supervisor *s, const struct model *m, const struct claim *claim,
                     uint64_t pinned_bytes, struct weir_error *err)
{
    struct size_text need, leased, pinned, budget;
    struct budget_text source;
    const uint64_t need_bytes = claim->weights_bytes + claim->context_bytes;
    char beside[64] = "", even[80] = "";
    if (m->plan.per_slot_bytes > 0 || m->plan.per_token_bytes > 0)
        str_print(even, sizeof even, " even with %u slot%s and %u tokens", claim->slots,
                  claim->slots == 1 ? "" : "s", claim->context);
    if (pinned_bytes > 0)
        str_print(beside, sizeof beside, " (%s pinned)", size_format(pinned_bytes, &pinned));
    weir_fail(
        err, WEIR_TOO_BIG,
        "cannot start 1 worker of '%.*s': it needs %s%s; leased are %s%s, the budget is %s (%s)",
        NAME_SHOWN, m->name, size_format(need_bytes, &need), even,
        size_format(s->leased_bytes, &leased), beside, size_format(s->budget_bytes, &budget),
        explain_budget(s, &source));
    err->value = (int64_t)need_bytes;
    err->limit = (int64_t)s->budget_bytes;
}

/* What one victim gives back: its model's weights are the last one's. */
static uint64_t frees(const struct pool_view *v, const struct judgement *j, size_t at)
{
    const struct resident *r = &v->residents[v->victims[at]];
    uint32_t before = 0, behind = 0;
    for (size_t i = 0; i < j->victims_count; i++)
        if (v->residents[v->victims[i]].model == r->model) {
            before += i <= at;
            behind += i > at;
        }
    return r->context_bytes + (behind == 0 && before == r->model_holders ? r->weights_bytes : 0);
}

static void write_victims(const struct supervisor *s, const struct pool_view *v,
                          const struct judgement *j, struct jsonw *out)
{
    jsonw_key(out, "victims");
    jsonw_array(out);
    for (size_t i = 0; i < j->victims_count; i++) {
        const struct resident *r = &v->residents[v->victims[i]];
        uint64_t key = r->id;
        const struct child *c = map_get(&s->children, map_id(&key));
        jsonw_object(out);
        jsonw_key(out, "model"), jsonw_text(out, c->model->name);
        jsonw_key(out, "worker"), jsonw_u64(out, r->id);
        jsonw_key(out, "frees"), jsonw_u64(out, frees(v, j, i));
        jsonw_key(out, "idle_ms"), jsonw_i64(out, s->now_ms - r->last_used_ms);
        jsonw_end(out);
    }
    jsonw_end(out);
    jsonw_key(out, "freed"), jsonw_u64(out, j->freed_bytes);
}

/* The pool's side of a plan, the same for every model. */
static void write_pool(const struct supervisor *s, struct jsonw *out)
{
    struct budget_text source;
    jsonw_key(out, "leased"), jsonw_u64(out, s->leased_bytes);
    jsonw_key(out, "budget"), jsonw_u64(out, s->budget_bytes);
    jsonw_key(out, "budget_source"), jsonw_text(out, explain_budget(s, &source));
    jsonw_key(out, "available"), jsonw_u64(out, s->facts.available_bytes);
    jsonw_key(out, "reserve"), jsonw_u64(out, GOVERNOR_RESERVE_BYTES);
    jsonw_key(out, "pressure"), jsonw_text(out, pressure_name(memory_pressure(s)));
}

/* What there is to say of a model that no claim can be made for: `verdict`, or NULL. */
static const char *without_claim(const struct supervisor *s, const struct model *m, char *reason,
                                 size_t room)
{
    const uint32_t living = model_living(m);
    if (m->inspection == INSPECTION_PENDING) {
        str_print(reason, room, "'%.*s' is still to be inspected: what it needs is not known yet.",
                  NAME_SHOWN, m->name);
        return verdict_name(VERDICT_WAIT);
    }
    if (m->inspection == INSPECTION_FAILED) {
        str_print(reason, room, "'%.*s' cannot be used: %s", NAME_SHOWN, m->name, m->problem.text);
        return verdict_name(VERDICT_NEVER);
    }
    if (living > 0) {
        struct size_text weights, leased;
        uint64_t context_bytes = 0;
        LIST_EACH(&m->children, at)
            context_bytes += CONTAINER_OF(at, struct child, link)->lease.context_bytes;
        str_print(reason, room,
                  "'%.*s' has %u worker%s, for which %s of weights and %s of context "
                  "are leased.",
                  NAME_SHOWN, m->name, living, living == 1 ? "" : "s",
                  size_format(m->weights_held, &weights), size_format(context_bytes, &leased));
        return "loaded";
    }
    if (m->preparation == PREPARATION_RUNNING) {
        str_print(reason, room, "'%.*s' waits until its weights are packed in the cache.",
                  NAME_SHOWN, m->name);
        return verdict_name(VERDICT_WAIT);
    }
    if (s->draining) {
        str_print(reason, room, "the pool is shutting down.");
        return verdict_name(VERDICT_NEVER);
    }
    return NULL;
}

static void write_learned(const struct supervisor *s, const struct model *m,
                          const struct claim *claim, struct jsonw *out)
{
    const struct learned *l = learned_find(s, m, claim->context, claim->slots);
    jsonw_key(out, "learned");
    if (l != NULL && l->context_bytes > 0)
        jsonw_u64(out, l->context_bytes);
    else
        jsonw_null(out);
}

enum weir_code supervisor_plan(struct supervisor *s, const char *name, struct jsonw *out,
                               struct weir_error *err)
{
    const struct model *m = model_find(s, name);
    if (m == NULL)
        return weir_fail(err, WEIR_NO_SUCH_MODEL, "no model named '%.120s' is registered", name);
    memory_read_machine(s);
    struct pool_view v = { 0 };
    struct judgement j = { 0 };
    struct claim claim = { 0 };
    struct verdict_text reason;
    const char *verdict = without_claim(s, m, reason.text, sizeof reason.text);
    if (verdict == NULL) {
        ledger_view(s, &v);
        j = admit_foresee(s, m, &v, &claim);
        verdict = verdict_name(j.verdict);
        explain_verdict(s, m, &claim, &j, &reason);
    } else if (m->inspection == INSPECTION_DONE) {
        claim = ledger_claim(s, m);
        j.need_bytes = claim.weights_bytes + claim.context_bytes;
    }
    jsonw_object(out);
    jsonw_key(out, "model"), jsonw_text(out, m->name);
    jsonw_key(out, "verdict"), jsonw_text(out, verdict);
    jsonw_key(out, "needed"), jsonw_u64(out, j.need_bytes);
    jsonw_key(out, "weights"), jsonw_u64(out, ledger_shared_bytes(m, prepare_shares(s, m)));
    jsonw_key(out, "context"), jsonw_u64(out, claim.context_bytes);
    write_pool(s, out);
    jsonw_key(out, "slots"), jsonw_u64(out, claim.slots);
    jsonw_key(out, "context_tokens"), jsonw_u64(out, claim.context);
    write_learned(s, m, &claim, out);
    jsonw_key(out, "precision"), jsonw_text(out, plan_precision_name(m->settings.precision));
    jsonw_key(out, "packed"), jsonw_u64(out, model_packed_bytes(m));
    jsonw_key(out, "prepared"), jsonw_bool(out, prepare_shares(s, m));
    write_victims(s, &v, &j, out);
    jsonw_key(out, "reason"), jsonw_text(out, reason.text);
    jsonw_key(out, "about"), status_describe(m, out);
    jsonw_end(out);
    ledger_view_finish(&v);
    return WEIR_OK;
}
