/* metrics.c — the pool as numbers for a monitor: counters as they were counted, gauges read off the
 * state of the moment.
 *
 * A row is a name that was ever used. Entries of one name, one registered and others that still
 * drain, are one row: a monitor takes no two samples of the same labels. Members are written in the
 * order that supervisor.h shows: readers may rely on it. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"

/*    enum              name                             help */
/* clang-format off */
#define MODEL_GAUGES(X)                                                                           \
    X(QUEUE_JOBS,       "weir_queue_jobs",               "Jobs that wait for a worker.")          \
    X(QUEUE_BYTES,      "weir_queue_bytes",              "Bytes of the jobs that wait.")          \
    X(QUEUE_OLDEST,     "weir_queue_oldest_seconds",     "Wait of the oldest waiting job.")       \
    X(RUNNING_JOBS,     "weir_running_jobs",             "Jobs that run on a worker.")            \
    X(BREAKER,          "weir_breaker_state",            "0 closed, 1 open, 2 half open.")        \
    X(LEASED_MODEL,     "weir_memory_leased_model_bytes","Leases of the model and its workers.")  \
    X(MEASURED,         "weir_memory_measured_bytes",    "Private memory seen in its workers.")

#define POOL_GAUGES(X)                                                                            \
    X(BUDGET,           "weir_memory_budget_bytes",      "The budget for all models.")            \
    X(LEASED,           "weir_memory_leased_bytes",      "Leased of the budget.")                 \
    X(AVAILABLE,        "weir_memory_available_bytes",   "What the machine has left.")            \
    X(PRESSURE,         "weir_memory_pressure",          "0 low, 1 normal, 2 high, 3 critical.")  \
    X(INSPECTED,        "weir_inspected",                "Models whose inspection has ended.")    \
    X(MODELS,           "weir_models",                   "Models that are registered.")
/* clang-format on */

enum model_gauge {
#define X(NAME, name, help) GAUGE_##NAME,
    MODEL_GAUGES(X)
#undef X
        MODEL_GAUGE_COUNT
};

enum pool_gauge {
#define X(NAME, name, help) POOL_##NAME,
    POOL_GAUGES(X)
#undef X
        POOL_GAUGE_COUNT
};

struct row {
    const char *name;
    struct model_stats stats;
    double gauges[MODEL_GAUGE_COUNT];
    uint64_t workers[CHILD_STATE_COUNT];
};

struct page {
    struct row *rows;
    size_t count;
    struct jsonw *out;
};

/* --- reading the state ------------------------------------------------------------------------ */

static void add_children(struct row *row, const struct model *m)
{
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        row->workers[c->state]++;
        row->gauges[GAUGE_RUNNING_JOBS] += (double)c->jobs_count;
        row->gauges[GAUGE_LEASED_MODEL] += (double)c->lease.context_bytes;
        row->gauges[GAUGE_MEASURED] += (double)c->measured_bytes;
    }
}

static void add_model(const struct supervisor *s, struct row *row, const struct model *m)
{
    const struct job *oldest = queue_oldest(&m->queue);
    double wait_s = oldest != NULL ? (double)(s->now_ms - oldest->queued_ms) / 1000 : 0;
    stats_add(&row->stats, m->stats);
    row->stats.merged += m->merged;
    row->gauges[GAUGE_QUEUE_JOBS] += (double)m->queue.jobs;
    row->gauges[GAUGE_QUEUE_BYTES] += (double)m->queue.bytes;
    if (wait_s > row->gauges[GAUGE_QUEUE_OLDEST])
        row->gauges[GAUGE_QUEUE_OLDEST] = wait_s;
    if (!m->gone)
        row->gauges[GAUGE_BREAKER] = m->breaker.state;
    row->gauges[GAUGE_LEASED_MODEL] += (double)m->weights_held;
    add_children(row, m);
}

static void read_rows(const struct supervisor *s, struct page *page)
{
    struct map by_name;
    size_t most = 0;
    map_init(&by_name);
    LIST_EACH(&s->models, at)
        most += CONTAINER_OF(at, struct model, link)->stats != NULL;
    page->rows = mem_new(most + 1, sizeof *page->rows);
    LIST_EACH(&s->models, at) {
        const struct model *m = CONTAINER_OF(at, struct model, link);
        if (m->stats == NULL)
            continue;
        struct row *row = map_get(&by_name, str_of(m->name));
        if (row == NULL) {
            row = &page->rows[page->count++];
            row->name = m->name;
            map_put(&by_name, str_of(row->name), row);
        }
        add_model(s, row, m);
    }
    map_finish(&by_name);
}

static void read_pool(const struct supervisor *s, double gauges[POOL_GAUGE_COUNT])
{
    gauges[POOL_BUDGET] = (double)s->budget_bytes;
    gauges[POOL_LEASED] = (double)s->leased_bytes;
    gauges[POOL_AVAILABLE] = (double)s->facts.available_bytes;
    gauges[POOL_PRESSURE] = governor_pressure(s->facts.total_bytes, s->facts.available_bytes);
    gauges[POOL_INSPECTED] = gauges[POOL_MODELS] = 0;
    LIST_EACH(&s->models, at) {
        const struct model *m = CONTAINER_OF(at, struct model, link);
        gauges[POOL_MODELS] += !m->gone;
        gauges[POOL_INSPECTED] += !m->gone && m->inspection != INSPECTION_PENDING;
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

static void begin_family(struct jsonw *out, const char *name, const char *type, const char *help)
{
    jsonw_object(out);
    jsonw_key(out, "name"), jsonw_text(out, name);
    jsonw_key(out, "type"), jsonw_text(out, type);
    jsonw_key(out, "help"), jsonw_text(out, help);
    jsonw_key(out, "samples"), jsonw_array(out);
}

static void end_family(struct jsonw *out)
{
    jsonw_end(out);
    jsonw_end(out);
}

/* Up to the value; NULL: the sample has no such label. */
static void begin_sample(struct jsonw *out, const char *model, const char *label, const char *value)
{
    jsonw_object(out);
    jsonw_key(out, "labels"), jsonw_object(out);
    if (model != NULL)
        jsonw_key(out, "model"), jsonw_text(out, model);
    if (label != NULL)
        jsonw_key(out, label), jsonw_text(out, value);
    jsonw_end(out);
}

static void write_sample(struct jsonw *out, const char *model, double value)
{
    begin_sample(out, model, NULL, NULL);
    jsonw_key(out, "value");
    if (value == (double)(uint64_t)value) /* as most are; written sooner */
        jsonw_u64(out, (uint64_t)value);
    else
        jsonw_double(out, value);
    jsonw_end(out);
}

static void write_single(struct jsonw *out, const char *name, const char *type, const char *help,
                         double value)
{
    begin_family(out, name, type, help);
    write_sample(out, NULL, value);
    end_family(out);
}

static void write_gauges(const struct page *p)
{
    static const struct {
        const char *name, *help;
    } families[] = {
#define X(NAME, name, help) { name, help },
        MODEL_GAUGES(X)
#undef X
    };
    for (size_t f = 0; f < MODEL_GAUGE_COUNT; f++) {
        begin_family(p->out, families[f].name, "gauge", families[f].help);
        for (size_t i = 0; i < p->count; i++)
            write_sample(p->out, p->rows[i].name, p->rows[i].gauges[f]);
        end_family(p->out);
    }
}

static void write_pool(const struct supervisor *s, struct jsonw *out)
{
    static const struct {
        const char *name, *help;
    } families[] = {
#define X(NAME, name, help) { name, help },
        POOL_GAUGES(X)
#undef X
    };
    double gauges[POOL_GAUGE_COUNT];
    read_pool(s, gauges);
    for (size_t f = 0; f < POOL_GAUGE_COUNT; f++)
        write_single(out, families[f].name, "gauge", families[f].help, gauges[f]);
    write_single(out, "weir_accepted_total", "counter", "Requests that were accepted.",
                 (double)s->totals.accepted);
    write_single(out, "weir_retries_total", "counter", "Jobs that lost a worker and were retried.",
                 (double)s->stats.retries);
    write_single(out, "weir_quarantined_total", "counter", "Inputs that ended two workers.",
                 (double)s->stats.quarantined);
    write_single(out, "weir_breaker_opened_total", "counter", "Times that a breaker opened.",
                 (double)s->stats.breaker_opened);
    begin_family(out, "weir_verdicts_total", "counter", "Judgements on memory for a worker.");
    for (unsigned v = 0; v < VERDICT_COUNT; v++) {
        begin_sample(out, NULL, "verdict", verdict_name((enum verdict)v));
        jsonw_key(out, "value"), jsonw_u64(out, s->totals.verdicts[v]);
        jsonw_end(out);
    }
    end_family(out);
}

static void write_counters(const struct page *p)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } families[] = {
        {"weir_worker_spawned_total", "Workers that were started.",
         offsetof(struct model_stats, spawned) },
        { "weir_restarts_total",      "Workers that were started after one had died.",
         offsetof(struct model_stats, restarts)},
        { "weir_merged_total",        "Requests that joined an equal job.",
         offsetof(struct model_stats, merged)  },
    };
    for (size_t f = 0; f < ARRAY_COUNT(families); f++) {
        begin_family(p->out, families[f].name, "counter", families[f].help);
        for (size_t i = 0; i < p->count; i++) {
            const char *stats = (const char *)&p->rows[i].stats;
            const uint64_t *value = (const void *)(stats + families[f].offset);
            write_sample(p->out, p->rows[i].name, (double)*value);
        }
        end_family(p->out);
    }
}

static const char *outcome_of(unsigned i)
{
    return error_name((enum weir_code)i);
}

static const char *eviction_of(unsigned i)
{
    return eviction_name((enum eviction)i);
}

static const char *exit_of(unsigned i)
{
    return exit_kind_name((enum exit_kind)i);
}

static const char *direction_of(unsigned i)
{
    return i == TOKENS_INPUT ? "input" : "output";
}

static const char *state_of(unsigned i)
{
    return child_state_name((enum child_state)i);
}

/* Families with a second label: so many numbers of a row, one a value of the label. */
struct split {
    const char *name, *type, *help, *label;
    const char *(*value_of)(unsigned i);
    unsigned values;
    bool skips_zero; /* where most values never come */
    size_t offset;   /* of the numbers, in struct row */
};

/* clang-format off */
static const struct split splits[] = {
    { "weir_requests_total", "counter", "Requests by how they ended.",
      "outcome", outcome_of, WEIR_CODE_COUNT, true, offsetof(struct row, stats.outcomes) },
    { "weir_worker_exits_total", "counter", "Workers by how they ended.",
      "how", exit_of, EXIT_COUNT, false, offsetof(struct row, stats.exits) },
    { "weir_evictions_total", "counter", "Workers by why they had to leave.",
      "reason", eviction_of, EVICTION_COUNT, false, offsetof(struct row, stats.evictions) },
    { "weir_tokens_total", "counter", "Tokens of the jobs that ended.",
      "direction", direction_of, TOKENS_COUNT, false, offsetof(struct row, stats.tokens) },
    { "weir_workers", "gauge", "Workers by state; dead ones for 5 s.",
      "state", state_of, CHILD_STATE_COUNT, false, offsetof(struct row, workers) },
};
/* clang-format on */

static void write_split(const struct page *p, const struct split *f)
{
    begin_family(p->out, f->name, f->type, f->help);
    for (size_t i = 0; i < p->count; i++) {
        const char *row = (const char *)&p->rows[i];
        const uint64_t *values = (const void *)(row + f->offset);
        for (unsigned v = 0; v < f->values; v++) {
            if (values[v] == 0 && v > 0 && f->skips_zero)
                continue;
            begin_sample(p->out, p->rows[i].name, f->label, f->value_of(v));
            jsonw_key(p->out, "value"), jsonw_u64(p->out, values[v]);
            jsonw_end(p->out);
        }
    }
    end_family(p->out);
}

static void write_histogram(struct jsonw *out, const char *model, const struct histogram *h)
{
    uint64_t below = 0;
    begin_sample(out, model, NULL, NULL);
    jsonw_key(out, "buckets"), jsonw_array(out);
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        below += h->buckets[i];
        jsonw_array(out);
        if (i < HISTOGRAM_BOUNDS)
            jsonw_raw(out, str_of(histogram_bounds_s[i]));
        else
            jsonw_null(out);
        jsonw_u64(out, below);
        jsonw_end(out);
    }
    jsonw_end(out);
    jsonw_key(out, "sum"), jsonw_double(out, (double)h->sum_ms / 1000);
    jsonw_key(out, "count"), jsonw_u64(out, h->count);
    jsonw_end(out);
}

static void write_histograms(const struct page *p)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } families[] = {
        {"weir_request_queue_wait_seconds", "From a request's acceptance to its worker.",
         offsetof(struct model_stats, queue_wait)},
        { "weir_request_duration_seconds",  "From a request's acceptance to its end.",
         offsetof(struct model_stats, duration)  },
        { "weir_load_seconds",              "From the order to load to a worker that is ready.",
         offsetof(struct model_stats, load)      },
    };
    for (size_t f = 0; f < ARRAY_COUNT(families); f++) {
        begin_family(p->out, families[f].name, "histogram", families[f].help);
        for (size_t i = 0; i < p->count; i++) {
            const char *stats = (const char *)&p->rows[i].stats;
            write_histogram(p->out, p->rows[i].name, (const void *)(stats + families[f].offset));
        }
        end_family(p->out);
    }
}

void supervisor_metrics(struct supervisor *s, struct jsonw *out)
{
    struct page page = { .out = out };
    memory_read(s);
    read_rows(s, &page);
    jsonw_object(out);
    jsonw_key(out, "metrics"), jsonw_array(out);
    write_pool(s, out);
    write_gauges(&page);
    write_counters(&page);
    for (size_t i = 0; i < ARRAY_COUNT(splits); i++)
        write_split(&page, &splits[i]);
    write_histograms(&page);
    jsonw_end(out);
    jsonw_end(out);
    mem_free(page.rows);
}
