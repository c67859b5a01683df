/* submit.c — what comes in: refused with a reason, or a request with a job of its own or an equal
 * one's. Nothing here calls back, starts or sends: the turn does. */
#include "supervisor/state.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

static uint64_t job_hash(const struct model *m, const struct submission *r)
{
    uint64_t parts[4] = { str_hash(str_of(m->name)), (uint64_t)r->capability,
                          (uint64_t)r->operation,
                          str_hash((struct str){ (const char *)r->payload, r->payload_bytes }) };
    return str_hash((struct str){ (const char *)parts, sizeof parts });
}

/* What the queue can't take, said with Retry-After from how long its jobs take. Requests that
 * joined a job cost no computation, but memory: they count like the others. */
static enum weir_code check_room(const struct supervisor *s, const struct model *m, size_t bytes,
                                 struct weir_error *err)
{
    const struct limits *l = &s->options.limits;
    uint64_t share = s->budget_bytes / 100 * (uint64_t)l->queues_share;
    int64_t value = 0, limit = 0;
    const char *what = NULL;
    if (m->queue.jobs + m->queue.joined >= (uint64_t)l->queue_jobs) {
        what = "jobs wait for this model";
        value = (int64_t)(m->queue.jobs + m->queue.joined);
        limit = l->queue_jobs;
    } else if (m->queue.bytes + bytes > (uint64_t)l->queue_bytes) {
        what = "bytes would wait for this model";
        value = (int64_t)(m->queue.bytes + bytes);
        limit = l->queue_bytes;
    } else if (s->bytes_waiting + bytes > share) {
        what = "bytes would wait for all models";
        value = (int64_t)(s->bytes_waiting + bytes);
        limit = (int64_t)share;
    }
    if (what == NULL)
        return WEIR_OK;
    weir_fail(err, WEIR_QUEUE_FULL,
              "the queue of model '%s' is full: %" PRId64 " %s, the limit is %" PRId64, m->name,
              value, what, limit);
    if (err != NULL) {
        err->value = value;
        err->limit = limit;
        err->retry_after_ms = forecast_retry_ms(s, m);
    }
    return WEIR_QUEUE_FULL;
}

static enum weir_code check_model(struct supervisor *s, struct model *m, const struct submission *r,
                                  bool *probe, struct weir_error *err)
{
    const struct limits *l = &s->options.limits;
    if (m->inspection == INSPECTION_FAILED) {
        if (err != NULL)
            *err = m->problem;
        return m->problem.code;
    }
    if (m->inspection == INSPECTION_DONE && r->operation != WEIR_LOAD &&
        !model_can(m, r->capability, err))
        return WEIR_INVALID;
    if (model_in_backoff(s, m, err))
        return WEIR_UNAVAILABLE;
    struct breaker_limits bl = { l->breaker_failures, l->breaker_open_ms, l->breaker_probes };
    if (!breaker_allows(&m->breaker, &bl, s->now_ms, probe)) {
        weir_fail(err, WEIR_UNAVAILABLE,
                  "model '%s' failed %" PRId64
                  " times in a row and is not asked for now; the last failure: %.90s",
                  m->name, l->breaker_failures, m->problem.text);
        if (err != NULL) {
            int64_t rest = m->breaker.open_until_ms - s->now_ms;
            err->retry_after_ms = rest > 1000 ? rest : 1000;
        }
        return WEIR_UNAVAILABLE;
    }
    return WEIR_OK;
}

/* A name of the caller's for logs and turns: what would break a line of a log is replaced. */
static void copy_name(char out[REQUEST_NAME_MAX], const char *name)
{
    size_t length = 0;
    for (; name != NULL && name[length] != '\0' && length + 1 < REQUEST_NAME_MAX; length++)
        out[length] =
            (unsigned char)name[length] < ' ' || name[length] == 0x7f ? '?' : name[length];
    out[length] = '\0';
}

static uint8_t priority_of(const struct model *m, const struct submission *r)
{
    const uint8_t asked = r->priority == PRIORITY_NORMAL ? m->settings.priority : r->priority;
    return asked < PRIORITIES ? asked : PRIORITIES - 1;
}

static struct request *new_request(struct supervisor *s, const struct model *m,
                                   const struct submission *r)
{
    struct request *q = mem_new(1, sizeof *q);
    q->id = ++s->last_id;
    q->callbacks = r->callbacks;
    q->context = r->context;
    q->own_credit = r->own_credit;
    q->keep_alive_ms = r->keep_alive_ms;
    q->priority = priority_of(m, r);
    copy_name(q->client, r->client);
    copy_name(q->label, r->label);
    if (q->label[0] == '\0') /* any name is better than none */
        str_print(q->label, sizeof q->label, "%" PRIu64, q->id);
    q->accepted_ms = q->placed_ms = s->now_ms;
    q->patience_ms = r->deadline_ms > 0 ? r->deadline_ms : s->options.limits.deadline_ms;
    map_put(&s->requests, map_id(&q->id), q);
    timer_set(&s->request_timers, &q->deadline, s->now_ms + q->patience_ms);
    return q;
}

static struct job *new_job(struct supervisor *s, struct model *m, const struct submission *r,
                           uint64_t hash)
{
    struct job *j = mem_new(1, sizeof *j);
    j->id = ++s->last_id;
    j->model = m;
    j->capability = r->capability;
    j->operation = r->operation;
    j->priority = priority_of(m, r);
    j->affinity = r->affinity;
    copy_name(j->client, r->client);
    j->payload = r->payload;
    j->payload_bytes = r->payload_bytes;
    j->hash = hash;
    j->queued_ms = s->now_ms;
    list_init(&j->requests);
    list_init(&j->untold);
    buffer_init(&j->output, WIRE_PAYLOAD_MAX);
    map_put(&s->jobs, map_id(&j->id), j);
    if (r->mergeable && !r->own_credit)
        merge_offer(s, j);
    return j;
}

static void add_request(struct supervisor *s, struct job *j, struct request *q)
{
    q->job = j;
    list_push_back(&j->requests, &q->link);
    stats_accepted(s, j->model);
    model_touch(s, j->model);
}

/* The job was there: its answer is this request's too. */
static void join(struct supervisor *s, struct job *j, struct request *q, uint8_t *payload)
{
    q->joined = true;
    j->model->queue.joined++;
    j->model->merged++;
    mem_free(payload);
    add_request(s, j, q);
    queue_raise(s, j, q->priority);
}

/* All that speaks against it, the cheapest first; a probe of the breaker is taken last. */
static enum weir_code check(struct supervisor *s, struct model *m, const struct submission *r,
                            uint64_t hash, bool joins, bool *probe, struct weir_error *err)
{
    if (quarantine_holds(s, hash))
        return weir_fail(err, WEIR_QUARANTINED,
                         "this input ended two workers of model '%s' and is refused "
                         "for %" PRId64 " s",
                         m->name, s->options.limits.quarantine_ms / 1000);
    const enum weir_code code = check_room(s, m, joins ? 0 : r->payload_bytes, err);
    return code != WEIR_OK ? code : check_model(s, m, r, probe, err);
}

uint64_t supervisor_submit(struct supervisor *s, const struct submission *r, struct weir_error *err)
{
    if (s->draining) {
        weir_fail(err, WEIR_SHUTTING_DOWN, "the pool is shutting down");
        if (err != NULL)
            err->retry_after_ms = forecast_drain_ms(s);
        return 0;
    }
    struct model *m = model_find(s, r->model);
    if (m == NULL) {
        weir_fail(err, WEIR_NO_SUCH_MODEL, "no model named '%.120s' is registered", r->model);
        return 0;
    }
    const uint64_t hash = job_hash(m, r);
    struct job *equal = merge_find(s, m, r, hash);
    bool probe = false;
    const enum weir_code refusal = check(s, m, r, hash, equal != NULL, &probe, err);
    if (refusal != WEIR_OK) {
        stats_refused(m, refusal);
        return 0;
    }
    struct request *q = new_request(s, m, r);
    q->probe = probe;
    if (equal != NULL) {
        join(s, equal, q, r->payload);
    } else {
        struct job *j = new_job(s, m, r, hash);
        add_request(s, j, q);
        queue_push(s, j, false);
    }
    return q->id;
}
