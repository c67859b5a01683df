/* model.c — one model: how long its workers stay, what failures mean, when it is tried again. */
#include "supervisor/state.h"

#include "base/capability.h"
#include "base/error.h"

#include <inttypes.h>

#define KEEP_ALIVE_MAX_MS (INT64_C(24) * 24 * 60 * 60 * 1000)

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

bool model_can(const struct model *m, enum weir_capability capability, struct weir_error *err)
{
    if ((m->plan.capabilities & 1u << capability) != 0)
        return true;
    weir_fail(err, WEIR_INVALID, "model '%s' (%s) is not for %s", m->name, m->plan.architecture,
              capability_name(capability));
    return false;
}

uint32_t model_living(const struct model *m)
{
    uint32_t living = 0;
    LIST_EACH(&m->children, at)
        living += child_state_is_living(CONTAINER_OF(at, struct child, link)->state);
    return living;
}

uint64_t model_packed_bytes(const struct model *m)
{
    return m->plan.packed_bytes[m->settings.precision];
}

uint32_t model_least(const struct model *m)
{
    if (m->gone)
        return 0;
    return m->settings.min_workers == 0 && m->settings.pin ? 1 : m->settings.min_workers;
}

int64_t model_idle_ms(const struct model *m)
{
    if (m->keep_alive_ms == 0)
        return m->settings.idle_ms;
    return m->keep_alive_ms > 0 ? m->keep_alive_ms : INT64_MAX;
}

void model_keep_alive(struct supervisor *s, struct model *m, int64_t keep_alive_ms, bool succeeded)
{
    if (keep_alive_ms < 0 && keep_alive_ms != KEEP_ALIVE_NONE)
        keep_alive_ms = KEEP_ALIVE_FOREVER;
    if (keep_alive_ms > KEEP_ALIVE_MAX_MS)
        keep_alive_ms = KEEP_ALIVE_MAX_MS;
    m->keep_alive_ms = keep_alive_ms;
    if (succeeded) /* one that only loaded it had no job whose end would count */
        m->last_used_ms = s->now_ms;
    model_touch(s, m);
}

void model_skip_preload(struct supervisor *s, struct model *m)
{
    if (!m->preload_due)
        return;
    m->preload_due = false;
    event_emit(s, &(struct pool_event){ .kind = "skipped",
                                        .model = m->name,
                                        .reason = "no memory is free to preload it" });
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
    for (struct job *j; (j = queue_oldest(&m->queue)) != NULL;)
        job_end(s, j, error);
}

void model_failure(struct supervisor *s, struct model *m)
{
    const struct limits *l = &s->options.limits;
    struct breaker_limits bl = { l->breaker_failures, l->breaker_open_ms, l->breaker_probes };
    enum breaker_state before = m->breaker.state;
    breaker_failure(&m->breaker, &bl, s->now_ms);
    if (m->breaker.state != BREAKER_OPEN || before == BREAKER_OPEN)
        return;
    s->stats.breaker_opened++;
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

void model_failed_on(struct supervisor *s, struct model *m, const struct weir_error *error)
{
    if (m->inspection != INSPECTION_FAILED) /* whose answer is why it takes no requests */
        m->problem = *error;
    model_failure(s, m);
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

/* It was told to go, and stays away until somebody asks, however its last worker ends. */
static void refill_after(struct model *m, int64_t at_ms)
{
    if (m->refill_at_ms != INT64_MAX)
        m->refill_at_ms = at_ms;
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
    refill_after(m, s->now_ms + restart_delay(s, m));
    log_write(s->options.log, LOG_WARN, "model", "%s could not be loaded: %s", m->name,
              error->text);
    fail_if_alone(s, m);
    model_failure(s, m);
    model_touch(s, m);
}

/* The first load that was lost is worth another try at once; the second is the model's answer. */
static void try_once_more(struct supervisor *s, struct model *m)
{
    m->crashes++;
    const int64_t again_ms = s->now_ms + restart_delay(s, m);
    refill_after(m, again_ms);
    if (m->load_crashed) {
        m->load_crashed = false;
        m->restart_at_ms = again_ms;
        fail_if_alone(s, m);
    } else {
        m->load_crashed = true;
    }
    model_failure(s, m);
    model_touch(s, m);
}

void model_crashed_loading(struct supervisor *s, struct model *m, const char *what)
{
    weir_fail(&m->problem, WEIR_LOAD_FAILED, "a worker of model '%s' died while loading: %.140s",
              m->name, what);
    try_once_more(s, m);
}

void model_lost_preparation(struct supervisor *s, struct model *m, const struct weir_error *error)
{
    weir_fail(&m->problem, WEIR_LOAD_FAILED, "what was prepared for model '%s' is gone: %.140s",
              m->name, error->text);
    log_write(s->options.log, LOG_WARN, "model", "%s", m->problem.text);
    try_once_more(s, m);
}

void model_crashed(struct supervisor *s, struct model *m, const char *what, bool counts)
{
    if (m->inspection != INSPECTION_FAILED) /* whose answer is why it takes no requests */
        weir_fail(&m->problem, WEIR_WORKER_LOST, "a worker of model '%s' died: %.150s", m->name,
                  what);
    m->crashes++;
    m->restart_at_ms = s->now_ms + restart_delay(s, m);
    refill_after(m, m->restart_at_ms);
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
    inspect_again(s, m);
}
