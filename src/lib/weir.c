/* weir.c — the functions of weir.h but for submit.c and control.c: a pool from open to close. */
#include "weir/weir.h"

#include "base/capability.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "lib/machine.h"
#include "lib/model_stamp.h"
#include "lib/pool.h"

#include <string.h>
#include <unistd.h>

#define CLOSE_WAIT_MS    10
#define CACHE_PATH_MAX   4000                       /* it travels in frames to the workers */
#define EVENTS_BYTES_MAX ((size_t)16 * 1024 * 1024) /* of one turn, or between two */
#define ANSWER_BYTES_MAX ((size_t)64 * 1024 * 1024)

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

static void keep_learned(void *context, const struct learned *row)
{
    struct weir *w = context;
    learned_file_note(&w->learned, row);
}

/* Only what is still true of the files: they may have changed while they were read. */
static void keep_inspected(void *context, const struct inspected *what)
{
    struct weir *w = context;
    if (what->stamp != 0 && model_stamp(what->path, clock_wall_ms()) == what->stamp)
        inspected_file_note(&w->inspected, what);
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
    if (o->limits == NULL && o->limits_count > 0)
        return weir_fail(err, WEIR_INVALID, "%zu limits, but no pointer to them", o->limits_count);
    for (size_t i = 0; i < o->limits_count; i++) {
        if (o->limits[i].name == NULL)
            return weir_fail(err, WEIR_INVALID, "limit %zu has no name", i);
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
    if (o->memory_bytes > 0 && o->memory_percent > 0)
        return weir_fail(err, WEIR_INVALID,
                         "memory_bytes and memory_percent say two things of one budget");
    if (o->cache != NULL && strlen(o->cache) > CACHE_PATH_MAX)
        return weir_fail(err, WEIR_INVALID, "the path of the cache has %zu bytes, the limit is %d",
                         strlen(o->cache), CACHE_PATH_MAX);
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
        .priority = PRIORITY_NORMAL,
    };
    if (out->max_workers > WORKERS_MOST)
        return weir_fail(err, WEIR_INVALID, "max_workers is %u, the limit is %d", out->max_workers,
                         WORKERS_MOST);
    if (out->min_workers > out->max_workers)
        return weir_fail(err, WEIR_INVALID, "min_workers is %u, more than max_workers, %u",
                         out->min_workers, out->max_workers);
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
    w->owner = getpid();
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
                                     .cache = o->cache,
                                     .log = &w->log,
                                     .on_event = keep_event,
                                     .event_context = w,
                                     .on_learned = keep_learned,
                                     .learned_context = w,
                                     .on_inspected = keep_inspected,
                                     .inspected_context = w };
    w->supervisor = supervisor_create(&so, &w->world, clock_ms());
    learned_file_open(&w->learned, o->cache, &w->log, clock_ms());
    inspected_file_open(&w->inspected, o->cache, machine_processor(), &w->log, clock_ms());
    for (size_t i = 0; i < w->learned.count; i++)
        supervisor_learn(w->supervisor, &w->learned.rows[i]);
    return w;
}

bool pool_is_own(const struct weir *w, struct weir_error *err)
{
    if (w->owner == getpid())
        return true;
    weir_fail(err, WEIR_INVALID, "the pool is of process %ld, this is another", (long)w->owner);
    return false;
}

void weir_close(struct weir *w)
{
    if (w == NULL || !pool_is_own(w, NULL))
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
    learned_file_close(&w->learned);
    inspected_file_close(&w->inspected);
    world_close(w);
    buffer_finish(&w->events);
    buffer_finish(&w->answer);
    arena_finish(&w->scratch);
    mem_free(w->worker_folder);
    mem_free(w);
}

bool weir_cancel(struct weir *w, uint64_t id)
{
    if (!pool_is_own(w, NULL))
        return false;
    supervisor_clock(w->supervisor, clock_ms());
    world_wake(w);
    return supervisor_cancel(w->supervisor, id);
}

bool weir_credit(struct weir *w, uint64_t id, uint32_t events, uint64_t bytes)
{
    if (!pool_is_own(w, NULL))
        return false;
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
    if (!pool_is_own(w, err))
        return WEIR_INVALID;
    if (w->stepping)
        return weir_fail(err, WEIR_INVALID, "weir_step was called from within a callback");
    w->stepping = w->turn_ahead = true;
    enum weir_code code = world_wait(w, timeout_ms, err);
    w->turn_ahead = false;
    int64_t next = supervisor_turn(w->supervisor, clock_ms());
    world_flush(w);
    tell_events(w);
    int64_t saves[] = { learned_file_step(&w->learned, clock_ms()),
                        inspected_file_step(&w->inspected, clock_ms()) };
    for (size_t i = 0; i < ARRAY_COUNT(saves); i++)
        next = saves[i] < next ? saves[i] : next;
    world_arm(w, next);
    if (supervisor_is_dirty(w->supervisor))
        world_wake(w);
    w->stepping = false;
    return code;
}
