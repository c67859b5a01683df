/* job.c — jobs: from a worker's slot to the one end that each gets.
 *
 *     submit ──► waiting ──place──► running ──end──► ended ──deliver──► freed
 *                  ▲                   │ worker lost, nothing delivered yet
 *                  └───── alone ───────┘
 */
#include "supervisor/state.h"

#include "base/error.h"
#include "base/mem.h"

static void job_free(struct supervisor *s, struct job *j)
{
    merge_withdraw(s, j);
    map_remove(&s->jobs, map_id(&j->id));
    buffer_finish(&j->output);
    mem_free(j->payload);
    mem_free(j);
}

const char *job_label(const struct job *j)
{
    return list_empty(&j->requests) ? ""
                                    : CONTAINER_OF(j->requests.next, struct request, link)->label;
}

/* Nobody wants it any more: out of the queue, or told to stop where it runs. */
void job_abandon(struct supervisor *s, struct job *j)
{
    if (!list_empty(&j->requests) || !list_empty(&j->untold))
        return;
    if (j->child == NULL) {
        queue_remove(s, j);
        job_free(s, j);
    } else if (!j->cancel_sent) {
        j->cancel_sent = true;
        j->cancel_ms = s->now_ms;
        if (j->child->phase != LEAVE_KILL)
            child_send(s, j->child, FRAME_CANCEL, j->id, (struct str){ 0 }, (struct str){ 0 });
    }
}

/* The end of a drain: the callers are told now, the work is cancelled where it runs. */
void job_give_up(struct supervisor *s, struct job *j, const struct weir_error *error)
{
    if (list_empty(&j->requests)) /* it was given up before, and has not heard it yet */
        return;
    while (!list_empty(&j->requests))
        request_end(s, CONTAINER_OF(j->requests.next, struct request, link), error);
    job_abandon(s, j);
}

static void job_detach(struct supervisor *s, struct job *j)
{
    struct child *c = j->child;
    list_remove(&j->link);
    j->child = NULL;
    CHECK(c->jobs_count > 0);
    c->jobs_count--;
    c->last_used_ms = s->now_ms;
    c->model->last_used_ms = s->now_ms;
    if (c->jobs_count == 0) {
        if (c->state == PROCESSING)
            child_step(s, c, DRAINED, "its last job ended");
        share_leave(s, c);
        s->claims_dirty = true;
    }
    child_touch(s, c);
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
    queue_take(s, j);
    child_remember(c, j->affinity);
    j->child = c;
    j->accepted = false;
    j->sent_ms = s->now_ms;
    j->credit_events = WIRE_CREDIT_EVENTS;
    j->credit_bytes = WIRE_CREDIT_BYTES;
    j->owed_events = 0;
    j->owed_bytes = 0;
    j->collected_bytes = 0;
    LIST_EACH(&j->requests, at)
        CONTAINER_OF(at, struct request, link)->placed_ms = s->now_ms;
    list_push_back(&c->jobs, &j->link);
    if (c->jobs_count++ == 0) {
        c->ticks_ms = s->now_ms;
        child_step(s, c, JOB, "took a job");
        share_join(s, c);
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

void job_walk(struct job *j)
{
    list_move(&j->untold, &j->requests);
}

struct request *job_next_request(struct job *j)
{
    if (list_empty(&j->untold))
        return NULL;
    struct request *r = CONTAINER_OF(j->untold.next, struct request, link);
    list_remove(&r->link);
    list_push_back(&j->requests, &r->link);
    return r;
}

bool job_makes_sense(struct supervisor *s, const struct job *j, bool ended, struct weir_error *err)
{
    LIST_EACH(&j->requests, at) {
        const struct request *r = CONTAINER_OF(at, struct request, link);
        if (r->callbacks->check != NULL &&
            !r->callbacks->check(r->context, ended ? &r->outcome : NULL, err)) {
            log_write(s->options.log, LOG_WARN, "job",
                      "%s: worker %u makes no sense: %s request=%s", j->model->name, j->child->id,
                      err->text, job_label(j));
            return false;
        }
    }
    return true;
}

/* Who answers nonsense may go on with it for ever: nobody waits for its end. */
static void spoil(struct supervisor *s, struct job *j, const struct weir_error *error)
{
    j->spoiled = true;
    job_give_up(s, j, error);
    model_failed_on(s, j->model, error);
}

/* The whole output has arrived: to every request, and credit back when the caller asked for none.
 */
void job_deliver(struct supervisor *s, struct job *j)
{
    struct str payload = buffer_view(&j->output);
    bool own_credit = false;
    job_walk(j);
    for (struct request *r; (r = job_next_request(j)) != NULL;) {
        own_credit = own_credit || r->own_credit;
        j->output_seen = true;
        r->callbacks->on_output(r->context, r->id, payload);
    }
    if (j->output_seen) {
        /* Never again from the start: what a retry would need may go. */
        mem_free(j->payload);
        j->payload = NULL;
    }
    bool streamed = j->output_streamed;
    size_t bytes = payload.len;
    buffer_clear(&j->output);
    j->output_want = 0;
    struct weir_error error;
    if (!job_makes_sense(s, j, false, &error))
        spoil(s, j, &error);
    else if (streamed && !own_credit)
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

static void log_lost(struct supervisor *s, const struct job *j, const struct child *c,
                     const char *outcome)
{
    log_write(s->options.log, LOG_WARN, "job", "%s: a job of worker %u %s request=%s",
              j->model->name, c->id, outcome, job_label(j));
}

/* Its worker is gone. Once more alone, at the front of its queue, unless its answer had begun, it
 * was alone already, or nobody waits for it. */
void job_lost(struct supervisor *s, struct job *j, const struct child *c, bool blamed)
{
    struct weir_error error;
    struct model *m = j->model;
    const bool was_alone = blamed && j->alone;
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
        log_lost(s, j, c, "is lost, its answer had begun");
        job_end(s, j, &error);
        return;
    }
    if (was_alone) {
        weir_fail(&error, WEIR_QUARANTINED, "this input ended two workers of model '%s': %s; %s",
                  m->name, c->reason, c->exit_text);
        quarantine_add(s, j);
        s->stats.quarantined++;
        log_lost(s, j, c, "is quarantined");
        event_emit(s, &(struct pool_event){ .kind = "quarantine",
                                            .model = m->name,
                                            .worker = c->id,
                                            .reason = c->exit_text });
        job_end(s, j, &error);
        return;
    }
    log_lost(s, j, c, blamed ? "is tried once more, alone" : "is tried once more");
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
