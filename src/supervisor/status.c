/* status.c — the pool as JSON, for people and monitors. */
#include "supervisor/state.h"

#include "base/capability.h"
#include "wire/build_id.h"

static bool is_able(const struct model *m, unsigned capability)
{
    return m->inspection == INSPECTION_DONE && (m->plan.capabilities & 1u << capability) != 0;
}

static void write_capabilities(struct jsonw *out, const struct model *m)
{
    jsonw_key(out, "capabilities");
    jsonw_array(out);
    for (unsigned i = 0; i < WEIR_CAPABILITY_COUNT; i++)
        if (is_able(m, i))
            jsonw_text(out, capability_name(i));
    jsonw_end(out);
}

static void write_aliases(struct jsonw *out, const struct model *m)
{
    jsonw_key(out, "aliases");
    jsonw_array(out);
    for (size_t i = 0; i < m->settings.aliases_count; i++)
        jsonw_text(out, m->settings.aliases[i]);
    jsonw_end(out);
}

static void write_problem(struct jsonw *out, const struct model *m)
{
    jsonw_key(out, "problem");
    jsonw_text(out, m->problem.code != WEIR_OK ? m->problem.text : NULL);
}

static void write_worker(const struct supervisor *s, struct jsonw *out, const struct child *c)
{
    bool quiet = c->jobs_count == 0 && c->ready_ms > 0;
    jsonw_object(out);
    jsonw_key(out, "id"), jsonw_u64(out, c->id);
    jsonw_key(out, "pid"), jsonw_i64(out, c->pid);
    jsonw_key(out, "state"), jsonw_text(out, child_state_name(c->state));
    jsonw_key(out, "leased"), jsonw_u64(out, c->lease.context_bytes);
    jsonw_key(out, "measured"), jsonw_u64(out, c->measured_bytes);
    jsonw_key(out, "slots"), jsonw_u64(out, c->slots);
    jsonw_key(out, "context"), jsonw_u64(out, c->context);
    jsonw_key(out, "jobs"), jsonw_u64(out, c->jobs_count);
    jsonw_key(out, "idle_ms"), jsonw_i64(out, quiet ? s->now_ms - c->last_used_ms : 0);
    jsonw_end(out);
}

static void write_packing(struct jsonw *out, const struct model *m)
{
    jsonw_key(out, "precision"), jsonw_text(out, plan_precision_name(m->settings.precision));
    jsonw_key(out, "packed"), jsonw_u64(out, model_packed_bytes(m));
}

static void write_model(struct supervisor *s, struct jsonw *out, const struct model *m)
{
    jsonw_object(out);
    jsonw_key(out, "name"), jsonw_text(out, m->name);
    write_aliases(out, m);
    write_capabilities(out, m);
    struct str name = str_of(m->name), base, revision;
    jsonw_key(out, "revision");
    if (str_cut(name, '@', &base, &revision))
        jsonw_str(out, revision);
    else
        jsonw_null(out);
    jsonw_key(out, "pinned"), jsonw_bool(out, m->settings.pin);
    jsonw_key(out, "draining"), jsonw_bool(out, m->gone);
    jsonw_key(out, "queue"), jsonw_u64(out, m->queue.jobs);
    jsonw_key(out, "predicted_wait_ms");
    jsonw_i64(out, forecast_wait_ms(s, m, m->queue.jobs + 1));
    const struct job *oldest = queue_oldest(&m->queue);
    jsonw_key(out, "oldest_ms"), jsonw_i64(out, oldest != NULL ? s->now_ms - oldest->queued_ms : 0);
    jsonw_key(out, "breaker"), jsonw_text(out, breaker_name(m->breaker.state));
    write_problem(out, m);
    jsonw_key(out, "spawned"), jsonw_u64(out, m->spawned);
    jsonw_key(out, "weights_leased"), jsonw_u64(out, m->weights_held);
    jsonw_key(out, "slots"), jsonw_u64(out, m->holders > 0 ? m->granted_slots : 0);
    jsonw_key(out, "context"), jsonw_u64(out, m->holders > 0 ? m->granted_context : 0);
    jsonw_key(out, "path"), jsonw_text(out, m->path);
    jsonw_key(out, "inspected"), jsonw_bool(out, m->inspection != INSPECTION_PENDING);
    jsonw_key(out, "weights"), jsonw_u64(out, m->plan.weights_bytes);
    write_packing(out, m);
    jsonw_key(out, "preparation"), jsonw_text(out, preparation_name(m->preparation));
    jsonw_key(out, "workers");
    jsonw_array(out);
    LIST_EACH(&m->children, at)
        write_worker(s, out, CONTAINER_OF(at, struct child, link));
    jsonw_end(out);
    jsonw_end(out);
}

void supervisor_status(struct supervisor *s, struct jsonw *out)
{
    memory_read(s);
    uint64_t measured = 0;
    size_t cursor = 0;
    for (const struct child *c; (c = map_next(&s->children, &cursor)) != NULL;)
        measured += c->measured_bytes;
    jsonw_object(out);
    jsonw_key(out, "memory");
    jsonw_object(out);
    jsonw_key(out, "budget"), jsonw_u64(out, s->budget_bytes);
    jsonw_key(out, "leased"), jsonw_u64(out, s->leased_bytes);
    jsonw_key(out, "measured"), jsonw_u64(out, measured);
    jsonw_key(out, "pressure");
    jsonw_text(out, pressure_name(memory_pressure(s)));
    jsonw_key(out, "preparing"), jsonw_u64(out, prepare_leased_bytes(s));
    jsonw_end(out);
    jsonw_key(out, "draining"), jsonw_bool(out, s->draining);
    jsonw_key(out, "models");
    jsonw_array(out);
    LIST_EACH(&s->models, at)
        write_model(s, out, CONTAINER_OF(at, struct model, link));
    jsonw_end(out);
    jsonw_end(out);
}

static void write_facts(struct jsonw *out, const struct model *m)
{
    jsonw_key(out, "name"), jsonw_text(out, m->name);
    write_aliases(out, m);
    write_capabilities(out, m);
    write_problem(out, m);
    jsonw_key(out, "inspected"), jsonw_bool(out, m->inspection != INSPECTION_PENDING);
    jsonw_key(out, "truncate"), jsonw_bool(out, m->settings.truncate);
    jsonw_key(out, "architecture"), jsonw_text(out, m->plan.architecture);
    jsonw_key(out, "tokens_max"), jsonw_u64(out, m->plan.tokens_max);
    jsonw_key(out, "dim"), jsonw_u64(out, m->plan.dim);
    jsonw_key(out, "weights"), jsonw_u64(out, m->plan.weights_bytes);
    write_packing(out, m);
    jsonw_key(out, "flops_per_token"), jsonw_u64(out, m->plan.flops_per_token);
}

static void write_entry(struct jsonw *out, const struct model *m)
{
    jsonw_object(out);
    write_facts(out, m);
    jsonw_end(out);
}

/* What the caller registered; 0 slots or context: the plan's own. */
static void write_settings(struct jsonw *out, const struct model *m)
{
    const struct model_settings *set = &m->settings;
    jsonw_object(out);
    jsonw_key(out, "max_workers"), jsonw_u64(out, set->max_workers);
    jsonw_key(out, "min_workers"), jsonw_u64(out, set->min_workers);
    jsonw_key(out, "idle_ms"), jsonw_i64(out, set->idle_ms);
    jsonw_key(out, "idle_label_ms"), jsonw_i64(out, set->idle_label_ms);
    jsonw_key(out, "slots"), jsonw_u64(out, set->slots);
    jsonw_key(out, "context"), jsonw_u64(out, m->context_asked);
    jsonw_key(out, "priority"), jsonw_text(out, supervisor_priority_name(set->priority));
    jsonw_key(out, "precision"), jsonw_text(out, plan_precision_name(set->precision));
    jsonw_key(out, "pin"), jsonw_bool(out, set->pin);
    jsonw_key(out, "preload"), jsonw_bool(out, set->preload);
    jsonw_key(out, "truncate"), jsonw_bool(out, set->truncate);
    jsonw_end(out);
}

const char *supervisor_priority_name(unsigned priority)
{
    static const char *const names[PRIORITIES] = {
#define X(NAME, name) [PRIORITY_##NAME] = (name),
        PRIORITY_NAMES(X)
#undef X
    };
    return priority < PRIORITIES ? names[priority] : "unknown";
}

static void write_prompts(struct jsonw *out, const struct model *m)
{
    struct str rest = str_of(m->plan.prompts), line, chosen = { NULL, 0 };
    jsonw_key(out, "prompts");
    jsonw_array(out);
    for (uint32_t i = 1; rest.len > 0; i++) {
        str_cut(rest, '\n', &line, &rest);
        if (i == m->plan.default_prompt)
            chosen = line;
        jsonw_str(out, line);
    }
    jsonw_end(out);
    jsonw_key(out, "default_prompt");
    if (chosen.data != NULL)
        jsonw_str(out, chosen);
    else
        jsonw_null(out);
}

void status_describe(const struct model *m, struct jsonw *out)
{
    jsonw_object(out);
    write_facts(out, m);
    jsonw_key(out, "path"), jsonw_text(out, m->path);
    jsonw_key(out, "positions"), jsonw_u64(out, m->plan.positions);
    jsonw_key(out, "slots"), jsonw_u64(out, m->plan.slots);
    jsonw_key(out, "fixed"), jsonw_u64(out, m->plan.fixed_bytes);
    jsonw_key(out, "per_slot"), jsonw_u64(out, m->plan.per_slot_bytes);
    jsonw_key(out, "per_token"), jsonw_u64(out, m->plan.per_token_bytes);
    jsonw_key(out, "scratch_per_thread"), jsonw_u64(out, m->plan.scratch_per_thread_bytes);
    write_prompts(out, m);
    jsonw_key(out, "settings"), write_settings(out, m);
    jsonw_end(out);
}

void supervisor_models(struct supervisor *s, const char *name, struct jsonw *out)
{
    const struct model *one = name != NULL ? model_find(s, name) : NULL;
    jsonw_object(out);
    jsonw_key(out, "models");
    jsonw_array(out);
    if (one != NULL)
        write_entry(out, one);
    for (const struct link *at = s->models.next; name == NULL && at != &s->models; at = at->next) {
        const struct model *m = CONTAINER_OF(at, struct model, link);
        if (!m->gone)
            write_entry(out, m);
    }
    jsonw_end(out);
    jsonw_end(out);
}

void supervisor_inspection(const struct supervisor *s, struct jsonw *out)
{
    uint64_t models = 0, inspected = 0;
    const char *first = NULL;
    LIST_EACH(&s->models, at) {
        const struct model *m = CONTAINER_OF(at, struct model, link);
        if (m->gone)
            continue;
        models++;
        inspected += m->inspection != INSPECTION_PENDING;
        if (m->inspection == INSPECTION_PENDING && first == NULL)
            first = m->name;
    }
    jsonw_object(out);
    jsonw_key(out, "models"), jsonw_u64(out, models);
    jsonw_key(out, "inspected"), jsonw_u64(out, inspected);
    jsonw_key(out, "first"), jsonw_text(out, first);
    jsonw_end(out);
}

void supervisor_able(const struct supervisor *s, unsigned capability, struct jsonw *out)
{
    uint64_t models = 0, inspected = 0, able = 0;
    const char *name = NULL;
    LIST_EACH(&s->models, at) {
        const struct model *m = CONTAINER_OF(at, struct model, link);
        if (m->gone)
            continue;
        models++;
        inspected += m->inspection != INSPECTION_PENDING;
        if (name == NULL || (able == 0 && is_able(m, capability)))
            name = m->name;
        able += is_able(m, capability);
    }
    jsonw_object(out);
    jsonw_key(out, "models"), jsonw_u64(out, models);
    jsonw_key(out, "inspected"), jsonw_u64(out, inspected);
    jsonw_key(out, "able"), jsonw_u64(out, able);
    jsonw_key(out, "name"), jsonw_text(out, name);
    jsonw_end(out);
}

void supervisor_machine(struct supervisor *s, struct jsonw *out)
{
    struct budget_text source;
    memory_read(s);
    jsonw_object(out);
    jsonw_key(out, "build"), jsonw_text(out, build_id);
    jsonw_key(out, "total"), jsonw_u64(out, s->facts.total_bytes);
    jsonw_key(out, "available"), jsonw_u64(out, s->facts.available_bytes);
    jsonw_key(out, "budget"), jsonw_u64(out, s->budget_bytes);
    jsonw_key(out, "budget_source"), jsonw_text(out, explain_budget(s, &source));
    jsonw_end(out);
}
