/* job.c — requests and jobs: from the submit to the one end that each gets.
 *
 *     submit ──► waiting ──place──► running ──end──► ended ──deliver──► freed
 *                  ▲                   │ worker lost, nothing delivered yet
 *                  └───── alone ───────┘
 *
 * An end is recorded first and delivered at the end of the turn, so that no caller's code runs
 * while a decision is under way. */
#include "supervisor/state.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

static void job_free(struct supervisor *s, struct job *j)
{
    map_remove(&s->jobs, map_id(&j->id));
    buffer_finish(&j->output);
    mem_free(j->payload);
    mem_free(j);
}

static uint64_t job_hash(const struct model *m, const struct submission *r)
{
    uint64_t parts[4] = { str_hash(str_of(m->name)), (uint64_t)r->capability,
                          (uint64_t)r->operation,
                          str_hash((struct str){ (const char *)r->payload, r->payload_bytes }) };
    return str_hash((struct str){ (const char *)parts, sizeof parts });
}

static bool is_quarantined(const struct supervisor *s, uint64_t hash)
{
    for (size_t i = 0; i < QUARANTINE_ROWS; i++)
        if (s->quarantine[i].hash == hash && s->quarantine[i].until_ms > s->now_ms)
            return true;
    return false;
}

static void quarantine(struct supervisor *s, const struct job *j)
{
    s->quarantine[s->quarantine_next] =
        (struct quarantine_row){ .hash = j->hash,
                                 .until_ms = s->now_ms + s->options.limits.quarantine_ms };
    s->quarantine_next = (s->quarantine_next + 1) % QUARANTINE_ROWS;
}

/* What the queue can't take, said with Retry-After from how long the last jobs took. */
static enum weir_code check_room(const struct supervisor *s, const struct model *m, size_t bytes,
                                 struct weir_error *err)
{
    const struct limits *l = &s->options.limits;
    uint64_t share = s->budget_bytes / 100 * (uint64_t)l->queues_share;
    int64_t value = 0, limit = 0;
    const char *what = NULL;
    if (m->queue.jobs >= (uint64_t)l->queue_jobs) {
        what = "jobs wait for this model";
        value = (int64_t)m->queue.jobs;
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
        err->retry_after_ms = 1000;
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
        (m->plan.capabilities & 1u << r->capability) == 0)
        return weir_fail(err, WEIR_INVALID, "model '%s' (%s) has not the capability asked for",
                         m->name, m->plan.architecture);
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

uint64_t supervisor_submit(struct supervisor *s, const struct submission *r, struct weir_error *err)
{
    if (s->draining) {
        weir_fail(err, WEIR_SHUTTING_DOWN, "the pool is shutting down");
        if (err != NULL)
            err->retry_after_ms = 1000;
        return 0;
    }
    struct model *m = model_find(s, r->model);
    if (m == NULL) {
        weir_fail(err, WEIR_NO_SUCH_MODEL, "no model named '%.120s' is registered", r->model);
        return 0;
    }
    uint64_t hash = job_hash(m, r);
    if (is_quarantined(s, hash)) {
        weir_fail(err, WEIR_QUARANTINED,
                  "this input ended two workers of model '%s' and is refused "
                  "for %" PRId64 " s",
                  m->name, s->options.limits.quarantine_ms / 1000);
        stats_refused(m, WEIR_QUARANTINED);
        return 0;
    }
    bool probe = false;
    enum weir_code refusal = check_room(s, m, r->payload_bytes, err);
    if (refusal == WEIR_OK)
        refusal = check_model(s, m, r, &probe, err);
    if (refusal != WEIR_OK) {
        stats_refused(m, refusal);
        return 0;
    }

    struct job *j = mem_new(1, sizeof *j);
    j->id = ++s->last_id;
    j->model = m;
    j->capability = r->capability;
    j->operation = r->operation;
    j->priority = r->priority < PRIORITIES ? r->priority : PRIORITIES - 1;
    j->payload = r->payload;
    j->payload_bytes = r->payload_bytes;
    j->hash = hash;
    j->queued_ms = s->now_ms;
    list_init(&j->requests);
    buffer_init(&j->output, WIRE_PAYLOAD_MAX);
    map_put(&s->jobs, map_id(&j->id), j);

    struct request *q = mem_new(1, sizeof *q);
    q->id = ++s->last_id;
    q->job = j;
    q->callbacks = r->callbacks;
    q->context = r->context;
    q->own_credit = r->own_credit;
    q->keep_alive_ms = r->keep_alive_ms;
    q->probe = probe;
    q->accepted_ms = q->placed_ms = s->now_ms;
    map_put(&s->requests, map_id(&q->id), q);
    list_push_back(&j->requests, &q->link);
    int64_t patience = r->deadline_ms > 0 ? r->deadline_ms : s->options.limits.deadline_ms;
    q->patience_ms = patience;
    timer_set(&s->request_timers, &q->deadline, s->now_ms + patience);

    queue_push(s, j, false);
    stats_accepted(s, m);
    model_touch(s, m);
    return q->id;
}

/* Records the end; the job goes on for the requests that are left, or is dropped or cancelled. */
void request_end(struct supervisor *s, struct request *r, const struct weir_error *error)
{
    CHECK(r->job != NULL);
    if (r->probe) {
        breaker_probe_ended(&r->job->model->breaker);
        r->probe = false;
    }
    stats_ended(s, r, error->code);
    r->outcome.error = *error;
    model_keep_alive(s, r->job->model, r->keep_alive_ms, error->code == WEIR_OK);
    r->job = NULL;
    timer_clear(&s->request_timers, &r->deadline);
    list_remove(&r->link);
    list_push_back(&s->ended, &r->link);
    s->totals.decisions++;
    s->dirty = true;
}

/* Nobody wants it any more: out of the queue, or told to stop where it runs. */
static void job_abandon(struct supervisor *s, struct job *j)
{
    if (!list_empty(&j->requests))
        return;
    model_touch(s, j->model);
    if (j->child == NULL) {
        queue_remove(s, j);
        job_free(s, j);
    } else if (!j->cancel_sent) {
        j->cancel_sent = true;
        j->cancel_ms = s->now_ms;
        if (j->child->phase != LEAVE_KILL)
            child_send(s, j->child, FRAME_CANCEL, j->id, (struct str){ 0 }, (struct str){ 0 });
        child_touch(s, j->child); /* it has a deadline for it */
    }
}

static void request_leave(struct supervisor *s, struct request *r, const struct weir_error *error)
{
    struct job *j = r->job;
    request_end(s, r, error);
    job_abandon(s, j);
}

/* The end of a drain: the callers are told now, the work is cancelled where it runs. */
void job_give_up(struct supervisor *s, struct job *j, const struct weir_error *error)
{
    while (!list_empty(&j->requests))
        request_leave(s, CONTAINER_OF(j->requests.next, struct request, link), error);
}

bool supervisor_cancel(struct supervisor *s, uint64_t id)
{
    struct request *r = map_get(&s->requests, map_id(&id));
    if (r == NULL || r->job == NULL)
        return false;
    struct weir_error error;
    weir_fail(&error, WEIR_CANCELLED, "the request was cancelled");
    request_leave(s, r, &error);
    return true;
}

/* The deadline passed: said with what the request was waiting for. */
void request_expire(struct supervisor *s, struct request *r)
{
    struct job *j = r->job;
    struct weir_error error;
    int64_t waited = s->now_ms - r->accepted_ms;
    if (j->child == NULL && link_is_on_list(&j->model->claim_link)) {
        struct claim need = ledger_claim(s, j->model);
        weir_fail(&error, WEIR_NO_MEMORY,
                  "no memory became free for model '%s' in %" PRId64 " ms: it needs %" PRIu64
                  " bytes, %" PRIu64 " of the budget of %" PRIu64 " are leased",
                  j->model->name, waited, need.weights_bytes + need.context_bytes, s->leased_bytes,
                  s->budget_bytes);
        error.retry_after_ms = 5000;
    } else {
        weir_fail(&error, WEIR_DEADLINE,
                  "the deadline of %" PRId64 " ms passed while the request %s", r->patience_ms,
                  j->child != NULL ? "ran" : "waited");
    }
    error.value = waited;
    error.limit = r->patience_ms;
    request_leave(s, r, &error);
}

/* Ends every request of the job the same way and frees it, wherever it is. */
void job_end(struct supervisor *s, struct job *j, const struct weir_error *error)
{
    while (!list_empty(&j->requests))
        request_end(s, CONTAINER_OF(j->requests.next, struct request, link), error);
    if (j->child != NULL)
        job_detach(s, j);
    else
        queue_remove(s, j);
    model_touch(s, j->model);
    job_free(s, j);
}

void job_place(struct supervisor *s, struct job *j, struct child *c)
{
    queue_remove(s, j);
    j->child = c;
    j->accepted = false;
    j->sent_ms = s->now_ms;
    j->credit_events = WIRE_CREDIT_EVENTS;
    j->credit_bytes = WIRE_CREDIT_BYTES;
    j->owed_events = 0;
    j->owed_bytes = 0;
    LIST_EACH(&j->requests, at)
        CONTAINER_OF(at, struct request, link)->placed_ms = s->now_ms;
    list_push_back(&c->jobs, &j->link);
    if (c->jobs_count++ == 0) {
        list_push_back(&s->busy, &c->busy_link);
        c->ticks_ms = s->now_ms;
        child_step(s, c, JOB, "took a job");
        s->shares_dirty = true;
    }
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_run_write(&body, &(struct message_run){ .capability = (uint8_t)j->capability,
                                                    .operation = (uint8_t)j->operation,
                                                    .credit_events = WIRE_CREDIT_EVENTS,
                                                    .credit_bytes = WIRE_CREDIT_BYTES,
                                                    .payload_bytes = (uint32_t)j->payload_bytes });
    child_send(s, c, FRAME_RUN, j->id, buffer_view(&body),
               (struct str){ (const char *)j->payload, j->payload_bytes });
    buffer_finish(&body);
    child_arm(s, c);
}

void job_detach(struct supervisor *s, struct job *j)
{
    struct child *c = j->child;
    list_remove(&j->link);
    j->child = NULL;
    CHECK(c->jobs_count > 0);
    c->jobs_count--;
    c->last_used_ms = s->now_ms;
    c->model->last_used_ms = s->now_ms;
    if (c->jobs_count == 0) {
        list_remove(&c->busy_link);
        if (c->state == PROCESSING)
            child_step(s, c, DRAINED, "its last job ended");
        s->shares_dirty = true;
        s->claims_dirty = true;
    }
    child_touch(s, c);
}

struct request *job_next_request(struct job *j, struct link *walk)
{
    if (list_empty(walk))
        return NULL;
    struct request *r = CONTAINER_OF(walk->next, struct request, link);
    list_remove(&r->link);
    list_push_back(&j->requests, &r->link);
    return r;
}

/* The whole output has arrived: to every request, and credit back when the caller asked for none.
 */
void job_deliver(struct supervisor *s, struct job *j)
{
    struct str payload = buffer_view(&j->output);
    bool own_credit = false;
    struct link walk;
    list_move(&walk, &j->requests);
    for (struct request *r; (r = job_next_request(j, &walk)) != NULL;) {
        own_credit = own_credit || r->own_credit;
        j->output_seen = true;
        r->callbacks->on_output(r->context, r->id, payload);
    }
    bool streamed = j->output_streamed;
    size_t bytes = payload.len;
    buffer_clear(&j->output);
    j->output_want = 0;
    if (streamed && !own_credit)
        job_return_credit(s, j, 1, bytes);
}

/* Returned in portions, so that a stream costs a credit frame for each quarter of its window. */
void job_return_credit(struct supervisor *s, struct job *j, uint32_t events, uint64_t bytes)
{
    j->owed_events += events;
    j->owed_bytes += bytes;
    if (j->child == NULL ||
        (j->owed_events < WIRE_CREDIT_EVENTS / 4 && j->owed_bytes < WIRE_CREDIT_BYTES / 4))
        return;
    uint32_t give = j->owed_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)j->owed_bytes;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_credit_write(&body,
                         &(struct message_credit){ .events = j->owed_events, .bytes = give });
    child_send(s, j->child, FRAME_CREDIT, j->id, buffer_view(&body), (struct str){ 0 });
    buffer_finish(&body);
    j->credit_events += j->owed_events;
    j->credit_bytes += give;
    j->owed_events = 0;
    j->owed_bytes -= give;
    j->child->ticks_ms = s->now_ms; /* it could not move before */
}

bool supervisor_credit(struct supervisor *s, uint64_t id, uint32_t events, uint64_t bytes)
{
    struct request *r = map_get(&s->requests, map_id(&id));
    if (r == NULL || r->job == NULL || !r->own_credit)
        return false;
    job_return_credit(s, r->job, events, bytes);
    return true;
}

/* Its worker is gone. Once more alone, at the front of its queue, unless its answer had begun, it
 * was alone already, or nobody waits for it. */
void job_lost(struct supervisor *s, struct job *j, const struct child *c, bool blamed)
{
    struct weir_error error;
    struct model *m = j->model;
    bool was_alone = blamed && j->alone && j->deaths > 0;
    j->deaths += blamed;
    if (list_empty(&j->requests)) {
        weir_fail(&error, WEIR_CANCELLED, "the request was cancelled");
        job_end(s, j, &error);
        return;
    }
    if (j->output_seen) {
        weir_fail(&error, WEIR_WORKER_LOST,
                  "worker %u of model '%s' was lost after the answer had "
                  "begun: %s; %s",
                  c->id, m->name, c->reason, c->exit_text);
        job_end(s, j, &error);
        return;
    }
    if (was_alone) {
        weir_fail(&error, WEIR_QUARANTINED, "this input ended two workers of model '%s': %s; %s",
                  m->name, c->reason, c->exit_text);
        quarantine(s, j);
        s->stats.quarantined++;
        event_emit(s, &(struct pool_event){ .kind = "quarantine",
                                            .model = m->name,
                                            .worker = c->id,
                                            .reason = c->exit_text });
        job_end(s, j, &error);
        return;
    }
    job_detach(s, j);
    j->alone = j->alone || blamed;
    j->cancel_sent = false;
    j->output_want = 0;
    buffer_clear(&j->output);
    queue_push(s, j, true);
    s->stats.retries++;
    event_emit(s, &(struct pool_event){
                      .kind = "retry", .model = m->name, .worker = c->id, .reason = c->exit_text });
    model_touch(s, m);
}

/* Runs the callers' on_end. They may submit and cancel: what they do counts in the next round. */
void deliver_ends(struct supervisor *s)
{
    struct link walk;
    list_move(&walk, &s->ended);
    while (!list_empty(&walk)) {
        struct request *r = CONTAINER_OF(walk.next, struct request, link);
        list_remove(&r->link);
        map_remove(&s->requests, map_id(&r->id));
        if (r->outcome.error.code == WEIR_OK)
            s->totals.succeeded++;
        else
            s->totals.failed++;
        r->outcome.queued_ms = r->placed_ms - r->accepted_ms;
        r->outcome.total_ms = s->now_ms - r->accepted_ms;
        r->callbacks->on_end(r->context, r->id, &r->outcome);
        mem_free(r);
    }
}
