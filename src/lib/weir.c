/* weir.c — the eight functions of weir.h. */
#include "weir/weir.h"

#include "base/capability.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "lib/machine.h"
#include "lib/pool.h"

#include <string.h>

#define CLOSE_WAIT_MS    10
#define EVENTS_BYTES_MAX ((size_t)16 * 1024 * 1024) /* of one turn, or between two */
#define ANSWER_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* What the supervisor's callbacks need of a request; freed with its end. */
struct ticket {
    struct weir *w;
    const struct weir_callbacks *callbacks;
    void *context;
    enum weir_operation operation;
    size_t outputs_expected, rows_expected; /* SIZE_MAX: any number */
    size_t outputs;
    struct weir_error spoiled; /* its worker answered nonsense: the request fails */
};

const char *weir_code_name(enum weir_code code)
{
    return error_name(code);
}

const char *weir_capability_name(enum weir_capability capability)
{
    return capability_name(capability);
}

const char *weir_version(void)
{
    return WEIR_VERSION;
}

static void log_to_user(void *context, enum log_level level, const char *line)
{
    struct weir *w = context;
    if (w->log_user != NULL)
        w->log_user(w->log_context, (enum weir_log_level)level, line);
}

/* Kept until the supervisor has decided: it is told of in the midst of a decision, and who is told
 * may use the pool. */
static void keep_event(void *context, const struct pool_event *e)
{
    struct weir *w = context;
    struct jsonw j;
    const size_t before = w->events.len;
    if (w->event_user == NULL)
        return;
    jsonw_init(&j, &w->events);
    jsonw_object(&j);
    jsonw_key(&j, "time_ms"), jsonw_i64(&j, clock_wall_ms());
    jsonw_key(&j, "kind"), jsonw_text(&j, e->kind);
    jsonw_key(&j, "model"), jsonw_text(&j, e->model);
    jsonw_key(&j, "worker");
    if (e->worker > 0)
        jsonw_u64(&j, e->worker);
    else
        jsonw_null(&j);
    jsonw_key(&j, "request"), jsonw_text(&j, e->request);
    jsonw_key(&j, "from"), jsonw_text(&j, e->from);
    jsonw_key(&j, "to"), jsonw_text(&j, e->to);
    jsonw_key(&j, "reason"), jsonw_text(&j, e->reason);
    jsonw_end(&j);
    buffer_u8(&w->events, 0);
    if (w->events.failed) {
        w->events.len = before;
        w->events.failed = false;
        log_write(&w->log, LOG_WARN, "lib", "an event is lost: more than %zu bytes of them wait",
                  EVENTS_BYTES_MAX);
    }
}

/* What comes meanwhile is for the next step. */
static void tell_events(struct weir *w)
{
    struct buffer told = w->events;
    buffer_init(&w->events, EVENTS_BYTES_MAX);
    for (size_t at = 0; at < told.len;) {
        const char *json = (const char *)told.data + at;
        const size_t bytes = strlen(json);
        w->event_user(w->event_context, json, bytes);
        at += bytes + 1;
    }
    buffer_finish(&told);
}

static enum weir_code take_limits(const struct weir_options *o, struct limits *out,
                                  struct weir_error *err)
{
    *out = limits_default;
    for (size_t i = 0; i < o->limits_count; i++) {
        enum weir_code code = limits_set(out, o->limits[i].name, o->limits[i].value, err);
        if (code != WEIR_OK)
            return code;
    }
    return WEIR_OK;
}

static enum weir_code check_options(const struct weir_options *o, struct weir_error *err)
{
    if (o == NULL || o->size != sizeof *o)
        return weir_fail(err, WEIR_INVALID, "weir_options: size is %zu, this library's is %zu",
                         o != NULL ? o->size : 0, sizeof *o);
    if (o->idle_ms < 0 || o->idle_ms > INT32_MAX || o->idle_label_ms < 0 ||
        o->idle_label_ms > INT32_MAX)
        return weir_fail(err, WEIR_INVALID,
                         "idle_ms is %lld and idle_label_ms %lld, each may be 0 to %d",
                         (long long)o->idle_ms, (long long)o->idle_label_ms, INT32_MAX);
    if (o->memory_percent > 100)
        return weir_fail(err, WEIR_INVALID, "memory is %u %% of the machine, the limit is 100",
                         o->memory_percent);
    if (o->threads > 4096)
        return weir_fail(err, WEIR_INVALID, "threads is %u, the limit is 4096", o->threads);
    return WEIR_OK;
}

static enum weir_code take_defaults(const struct weir_options *o, struct model_settings *out,
                                    struct weir_error *err)
{
    int64_t idle_ms = o->idle_ms > 0 ? o->idle_ms : 60000;
    int64_t label_ms = o->idle_label_ms > 0 ? o->idle_label_ms : 30000;
    *out = (struct model_settings){
        .max_workers = o->max_workers > 0 ? o->max_workers : 4,
        .min_workers = o->min_workers,
        .idle_ms = idle_ms,
        .idle_label_ms = o->idle_label_ms == 0 && label_ms > idle_ms ? idle_ms : label_ms,
    };
    if (out->max_workers > WORKERS_MOST || out->min_workers > out->max_workers)
        return weir_fail(err, WEIR_INVALID, "min_workers is %u and max_workers %u, the limit is %d",
                         out->min_workers, out->max_workers, WORKERS_MOST);
    if (out->idle_label_ms > out->idle_ms)
        return weir_fail(err, WEIR_INVALID, "idle_label_ms is %lld, more than idle_ms, %lld",
                         (long long)out->idle_label_ms, (long long)out->idle_ms);
    return WEIR_OK;
}

struct weir *weir_open(const struct weir_options *o, struct weir_error *err)
{
    struct limits limits;
    struct model_settings defaults;
    if (check_options(o, err) != WEIR_OK || take_limits(o, &limits, err) != WEIR_OK ||
        take_defaults(o, &defaults, err) != WEIR_OK)
        return NULL;
    struct weir *w = mem_new(1, sizeof *w);
    w->log_user = o->log;
    w->log_context = o->log_context;
    w->log = (struct log){ .sink = log_to_user, .context = w, .least = LOG_DEBUG };
    w->event_user = o->on_event;
    w->event_context = o->event_context;
    w->words_max = (size_t)limits.stderr_bytes;
    w->drain_ms = limits.drain_ms;
    w->timer_ms = INT64_MAX;
    if (o->worker != NULL)
        w->worker_folder = mem_copy_text(o->worker, strlen(o->worker));
    w->defaults = defaults;
    buffer_init(&w->events, EVENTS_BYTES_MAX);
    buffer_init(&w->answer, ANSWER_BYTES_MAX);
    arena_init(&w->scratch, WIRE_PAYLOAD_MAX * 2);
    world_init(w);
    if (world_open(w, err) != WEIR_OK) {
        weir_close(w);
        return NULL;
    }
    struct supervisor_options so = { .limits = limits,
                                     .memory_bytes = o->memory_bytes,
                                     .memory_percent = o->memory_percent,
                                     .threads = o->threads > 0 ? o->threads : machine_cores(),
                                     .log = &w->log,
                                     .on_event = keep_event,
                                     .event_context = w };
    w->supervisor = supervisor_create(&so, &w->world, clock_ms());
    return w;
}

void weir_close(struct weir *w)
{
    if (w == NULL)
        return;
    CHECK(!w->stepping);
    if (w->supervisor != NULL) {
        supervisor_clock(w->supervisor, clock_ms());
        supervisor_drain(w->supervisor, 0);
        w->stepping = true;
        for (;;) {
            struct weir_error err;
            supervisor_turn(w->supervisor, clock_ms());
            tell_events(w);
            world_kill_all(w);
            if (supervisor_drained(w->supervisor))
                break;
            /* Without an end of its own: a worker that was killed and does not go waits in the
             * kernel, and its pages are in use until it comes back. */
            CHECK(world_wait(w, CLOSE_WAIT_MS, &err) == WEIR_OK);
        }
        supervisor_destroy(w->supervisor);
    }
    world_close(w);
    buffer_finish(&w->events);
    buffer_finish(&w->answer);
    arena_finish(&w->scratch);
    mem_free(w->worker_folder);
    mem_free(w);
}

static void on_output(void *context, uint64_t id, struct str payload)
{
    struct ticket *t = context;
    struct weir_output out;
    if (t->spoiled.code != WEIR_OK)
        return;
    if (t->outputs == t->outputs_expected) {
        weir_fail(&t->spoiled, WEIR_MODEL_FAILED, "its worker gave more than %zu answers",
                  t->outputs_expected);
        return;
    }
    arena_clear(&t->w->scratch);
    if (!typed_output(t->operation, payload, &t->w->scratch, &out, &t->spoiled)) {
        t->spoiled.code = WEIR_MODEL_FAILED;
        return;
    }
    if (t->rows_expected != SIZE_MAX && out.rows != t->rows_expected) {
        weir_fail(&t->spoiled, WEIR_MODEL_FAILED, "its worker answered %zu rows for %zu inputs",
                  out.rows, t->rows_expected);
        return;
    }
    t->outputs++;
    if (t->callbacks->on_output != NULL)
        t->callbacks->on_output(t->context, id, &out);
}

static void on_progress(void *context, uint64_t id, uint32_t step, uint32_t steps)
{
    struct ticket *t = context;
    if (t->callbacks->on_progress != NULL)
        t->callbacks->on_progress(t->context, id, step, steps);
}

static void on_end(void *context, uint64_t id, const struct request_outcome *outcome)
{
    struct ticket *t = context;
    const struct weir_error *error = &outcome->error;
    if (error->code == WEIR_OK && t->spoiled.code == WEIR_OK && t->outputs_expected != SIZE_MAX &&
        t->outputs < t->outputs_expected)
        weir_fail(&t->spoiled, WEIR_MODEL_FAILED, "its worker gave %zu of %zu answers", t->outputs,
                  t->outputs_expected);
    struct weir_end end = { .size = sizeof end,
                            .error = t->spoiled.code != WEIR_OK ? t->spoiled : *error,
                            .input_tokens = outcome->input_tokens,
                            .output_tokens = outcome->output_tokens,
                            .finish = (enum weir_finish)outcome->finish,
                            .queued_ms = outcome->queued_ms,
                            .total_ms = outcome->total_ms };
    if (t->callbacks->on_end != NULL)
        t->callbacks->on_end(t->context, id, &end);
    mem_free(t);
}

static const struct request_callbacks ticket_callbacks = { on_output, on_progress, on_end };

static enum weir_code check_request(const struct weir_request *r, struct weir_error *err)
{
    if (r == NULL || r->size != sizeof *r || r->callbacks == NULL ||
        r->callbacks->size != sizeof *r->callbacks)
        return weir_fail(err, WEIR_INVALID,
                         "weir_request or its callbacks: missing, or of another "
                         "size than this library's");
    if (r->model == NULL || (unsigned)r->capability >= WEIR_CAPABILITY_COUNT ||
        (unsigned)r->operation >= WEIR_OPERATION_COUNT || (unsigned)r->priority > 4 ||
        (r->flags & ~WEIR_FLAG_OWN_CREDIT) != 0 || r->deadline_ms < 0 || r->keep_alive_ms != 0)
        return weir_fail(err, WEIR_INVALID,
                         "weir_request: model, capability, operation, priority, "
                         "flags, deadline_ms or keep_alive_ms is out of range");
    return WEIR_OK;
}

uint64_t weir_submit(struct weir *w, const struct weir_request *r, struct weir_error *err)
{
    /* weir.h puts the default first, the queue the most urgent. */
    static const uint8_t priorities[] = { 2, 0, 1, 3, 4 };
    uint8_t *payload = NULL;
    size_t bytes = 0;
    if (check_request(r, err) != WEIR_OK || typed_request(r, &payload, &bytes, err) != WEIR_OK)
        return 0;
    struct ticket *t = mem_new(1, sizeof *t);
    t->w = w;
    t->callbacks = r->callbacks;
    t->context = r->context;
    t->operation = r->operation;
    typed_expected(r, &t->outputs_expected, &t->rows_expected);
    struct submission s = { .model = r->model,
                            .capability = r->capability,
                            .operation = r->operation,
                            .priority = priorities[r->priority],
                            .own_credit = (r->flags & WEIR_FLAG_OWN_CREDIT) != 0,
                            .deadline_ms = r->deadline_ms < INT32_MAX ? r->deadline_ms : INT32_MAX,
                            .affinity = r->affinity,
                            .payload = payload,
                            .payload_bytes = bytes,
                            .callbacks = &ticket_callbacks,
                            .context = t };
    supervisor_clock(w->supervisor, clock_ms());
    uint64_t id = supervisor_submit(w->supervisor, &s, err);
    if (id == 0) {
        mem_free(payload);
        mem_free(t);
    } else {
        world_wake(w);
    }
    return id;
}

bool weir_cancel(struct weir *w, uint64_t id)
{
    supervisor_clock(w->supervisor, clock_ms());
    world_wake(w);
    return supervisor_cancel(w->supervisor, id);
}

bool weir_credit(struct weir *w, uint64_t id, uint32_t events, uint64_t bytes)
{
    supervisor_clock(w->supervisor, clock_ms());
    world_wake(w);
    return supervisor_credit(w->supervisor, id, events, bytes);
}

int weir_fd(struct weir *w)
{
    return w->epoll;
}

enum weir_code weir_step(struct weir *w, int timeout_ms, struct weir_error *err)
{
    if (w->stepping)
        return weir_fail(err, WEIR_INVALID, "weir_step was called from within a callback");
    w->stepping = true;
    enum weir_code code = world_wait(w, timeout_ms, err);
    int64_t next = supervisor_turn(w->supervisor, clock_ms());
    tell_events(w);
    world_arm(w, next);
    if (supervisor_is_dirty(w->supervisor))
        world_wake(w);
    w->stepping = false;
    return code;
}
