/* model.c — the registry: entries, what is known of them, and what their failures mean. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

#define SLOTS_MAX 64 /* as many as a control page has cancel words */

struct model *model_find(struct supervisor *s, const char *name)
{
    return map_get(&s->by_name, str_of(name));
}

static void refuse_backoff(struct weir_error *err, const struct model *m, int64_t rest_ms)
{
    weir_fail(err, WEIR_UNAVAILABLE,
              "model '%s' crashed %u times in a row and is restarted in %" PRId64 " ms", m->name,
              m->crashes, rest_ms);
    if (err != NULL)
        err->retry_after_ms = rest_ms > 1000 ? rest_ms : 1000;
}

/* No worker and none to be started yet: new requests are told when. */
bool model_in_backoff(const struct supervisor *s, const struct model *m, struct weir_error *err)
{
    if (s->now_ms >= m->restart_at_ms || model_living(m) > 0)
        return false;
    refuse_backoff(err, m, m->restart_at_ms - s->now_ms);
    return true;
}

static bool name_is_legal(const char *name)
{
    static const char legal[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:-@";
    size_t length = strlen(name);
    return length > 0 && length <= 200 && strspn(name, legal) == length;
}

enum weir_code supervisor_register(struct supervisor *s, const struct model_settings *settings,
                                   struct weir_error *err)
{
    if (!name_is_legal(settings->name))
        return weir_fail(err, WEIR_INVALID,
                         "'%.100s' is no model name: 1 to 200 of A-Z a-z 0-9 . _ / "
                         ": - and an @revision",
                         settings->name);
    if (s->draining)
        return weir_fail(err, WEIR_SHUTTING_DOWN, "the pool is shutting down");
    if (model_find(s, settings->name) != NULL)
        return weir_fail(err, WEIR_EXISTS, "a model named '%s' is registered already",
                         settings->name);
    if (settings->max_workers == 0 || settings->min_workers > settings->max_workers)
        return weir_fail(err, WEIR_INVALID, "model '%s': min_workers is %u, max_workers %u",
                         settings->name, settings->min_workers, settings->max_workers);
    if (settings->idle_label_ms > settings->idle_ms)
        return weir_fail(err, WEIR_INVALID,
                         "model '%s': idle_label is %" PRId64 " ms, more than idle, %" PRId64 " ms",
                         settings->name, settings->idle_label_ms, settings->idle_ms);
    if (settings->slots > SLOTS_MAX)
        return weir_fail(err, WEIR_INVALID, "model '%s': slots is %u, the limit is %u",
                         settings->name, settings->slots, SLOTS_MAX);
    struct model *m = mem_new(1, sizeof *m);
    m->number = ++s->last_model;
    m->name = mem_copy_text(settings->name, strlen(settings->name));
    m->path = mem_copy_text(settings->path, strlen(settings->path));
    m->settings = *settings;
    m->settings.name = m->name;
    m->settings.path = m->path;
    queue_init(&m->queue);
    list_init(&m->children);
    list_push_back(&s->models, &m->link);
    list_push_back(&s->to_inspect, &m->inspect_link);
    map_put(&s->by_name, str_of(m->name), m);
    m->last_used_ms = m->last_retired_ms = s->now_ms;
    event_emit(s, &(struct pool_event){ .kind = "registered", .model = m->name });
    model_touch(s, m);
    return WEIR_OK;
}

enum weir_code supervisor_unregister(struct supervisor *s, const char *name, struct weir_error *err)
{
    struct model *m = model_find(s, name);
    if (m == NULL)
        return weir_fail(err, WEIR_NO_SUCH_MODEL, "no model named '%.120s' is registered", name);
    map_remove(&s->by_name, str_of(m->name));
    m->gone = true;
    inspect_forget(s, m);
    if (m->inspection == INSPECTION_PENDING) {
        struct weir_error error;
        weir_fail(&error, WEIR_NO_SUCH_MODEL, "model '%s' was unregistered", m->name);
        model_fail_jobs(s, m, &error);
    }
    model_touch(s, m);
    return WEIR_OK;
}

enum weir_code supervisor_unload(struct supervisor *s, const char *name, struct weir_error *err)
{
    struct model *m = model_find(s, name);
    if (m == NULL)
        return weir_fail(err, WEIR_NO_SUCH_MODEL, "no model named '%.120s' is registered", name);
    m->second_due = false;
    m->refill_at_ms = INT64_MAX; /* min_workers counts again from the next request on */
    model_touch(s, m);           /* it may stand in the queue for memory without a worker */
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (child_state_is_living(c->state))
            child_retire(s, c, "unload");
    }
    return WEIR_OK;
}

void model_free(struct supervisor *s, struct model *m)
{
    CHECK(list_empty(&m->children) && m->queue.jobs == 0 && m->holders == 0);
    timer_clear(&s->model_timers, &m->wake);
    list_remove(&m->link);
    list_remove(&m->dirty_link);
    inspect_forget(s, m); /* its files may have been looked at anew since it was unregistered */
    list_remove(&m->claim_link);
    mem_free(m->name);
    mem_free(m->path);
    mem_free(m);
}

uint32_t model_living(const struct model *m)
{
    uint32_t living = 0;
    LIST_EACH(&m->children, at)
        living += child_state_is_living(CONTAINER_OF(at, struct child, link)->state);
    return living;
}

bool model_has_jobs(const struct model *m)
{
    if (m->queue.jobs > 0)
        return true;
    LIST_EACH(&m->children, at)
        if (CONTAINER_OF(at, struct child, link)->jobs_count > 0)
            return true;
    return false;
}

void model_wake_at(struct supervisor *s, struct model *m, int64_t at_ms)
{
    if (m->wake.place == 0 || at_ms < m->wake.at_ms)
        timer_set(&s->model_timers, &m->wake, at_ms);
}

/* Ends every job that waits; those that run are their worker's. */
void model_fail_jobs(struct supervisor *s, struct model *m, const struct weir_error *error)
{
    for (size_t i = 0; i < PRIORITIES; i++)
        while (!list_empty(&m->queue.classes[i]))
            job_end(s, CONTAINER_OF(m->queue.classes[i].next, struct job, link), error);
}

void model_failure(struct supervisor *s, struct model *m)
{
    const struct limits *l = &s->options.limits;
    struct breaker_limits bl = { l->breaker_failures, l->breaker_open_ms, l->breaker_probes };
    enum breaker_state before = m->breaker.state;
    breaker_failure(&m->breaker, &bl, s->now_ms);
    if (m->breaker.state != BREAKER_OPEN || before == BREAKER_OPEN)
        return;
    event_emit(s, &(struct pool_event){ .kind = "breaker",
                                        .model = m->name,
                                        .from = breaker_name(before),
                                        .to = "open",
                                        .reason = m->problem.text });
    struct weir_error error;
    weir_fail(&error, WEIR_UNAVAILABLE, "model '%s' failed too often; the last failure: %.120s",
              m->name, m->problem.text);
    error.retry_after_ms = l->breaker_open_ms;
    model_fail_jobs(s, m, &error);
}

void model_success(struct supervisor *s, struct model *m)
{
    const struct limits *l = &s->options.limits;
    struct breaker_limits bl = { l->breaker_failures, l->breaker_open_ms, l->breaker_probes };
    enum breaker_state before = m->breaker.state;
    breaker_success(&m->breaker, &bl);
    if (before != BREAKER_CLOSED && m->breaker.state == BREAKER_CLOSED)
        event_emit(s, &(struct pool_event){ .kind = "breaker",
                                            .model = m->name,
                                            .from = breaker_name(before),
                                            .to = "closed" });
}

/* Once at once, then 1, 2, 4 … s, with 20 % either way so that models do not come back in step. */
static int64_t restart_delay(struct supervisor *s, const struct model *m)
{
    if (m->crashes <= 1)
        return 0;
    int64_t most = s->options.limits.restart_max_ms;
    uint32_t doublings = m->crashes - 2;
    int64_t delay = doublings >= 16 ? most : (int64_t)1000 << doublings;
    if (delay > most)
        delay = most;
    s->jitter = s->jitter * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return delay * (int64_t)(80 + (s->jitter >> 33) % 41) / 100;
}

/* No living worker: what could not be loaded answers everyone who waits. */
static void fail_if_alone(struct supervisor *s, struct model *m)
{
    if (model_living(m) == 0)
        model_fail_jobs(s, m, &m->problem);
    else
        m->second_due = false; /* a part of the workers is a success */
}

void model_load_failed(struct supervisor *s, struct model *m, const struct weir_error *error)
{
    m->problem = *error;
    m->problem.code = WEIR_LOAD_FAILED;
    m->crashes++;
    m->refill_at_ms = s->now_ms + restart_delay(s, m);
    log_write(s->options.log, LOG_WARN, "model", "%s could not be loaded: %s", m->name,
              error->text);
    fail_if_alone(s, m);
    model_failure(s, m);
    model_touch(s, m);
}

/* The first crash while loading is worth another try at once; the second is the model's answer. */
void model_crashed_loading(struct supervisor *s, struct model *m, const char *what)
{
    weir_fail(&m->problem, WEIR_LOAD_FAILED, "a worker of model '%s' died while loading: %.140s",
              m->name, what);
    m->crashes++;
    m->refill_at_ms = s->now_ms + restart_delay(s, m);
    if (m->load_crashed) {
        m->load_crashed = false;
        m->restart_at_ms = m->refill_at_ms;
        fail_if_alone(s, m);
        model_wake_at(s, m, m->restart_at_ms);
    } else {
        m->load_crashed = true;
    }
    model_failure(s, m);
    model_touch(s, m);
}

void model_crashed(struct supervisor *s, struct model *m, const char *what, bool counts)
{
    weir_fail(&m->problem, WEIR_WORKER_LOST, "a worker of model '%s' died: %.150s", m->name, what);
    m->crashes++;
    m->restart_at_ms = m->refill_at_ms = s->now_ms + restart_delay(s, m);
    model_wake_at(s, m, m->restart_at_ms);
    if (counts)
        model_failure(s, m);
    model_touch(s, m);
}

/* Its files have changed since: what was found is not true any more. */
void model_inspect_anew(struct supervisor *s, struct model *m)
{
    if (m->inspection == INSPECTION_PENDING)
        return;
    if (m->replanned) {
        struct weir_error error;
        weir_fail(&error, WEIR_LOAD_FAILED,
                  "the workers of model '%s' state a larger plan than its inspection did, twice",
                  m->name);
        m->replanned = false;
        model_load_failed(s, m, &error);
        return;
    }
    m->replanned = true;
    m->inspection = INSPECTION_PENDING;
    list_push_back(&s->to_inspect, &m->inspect_link);
    s->dirty = true;
}
