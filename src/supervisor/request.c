/* request.c — callers: how each comes to its one end, and what it may ask meanwhile.
 *
 * An end is recorded first and delivered at the end of the turn, so that no caller's code runs
 * while a decision is under way. */
#include "supervisor/state.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>

/* Records the end; the job goes on for the requests that are left, or is dropped or cancelled. */
void request_end(struct supervisor *s, struct request *r, const struct weir_error *error)
{
    CHECK(r->job != NULL);
    struct model *m = r->job->model;
    if (r->probe) {
        breaker_probe_ended(&m->breaker);
        r->probe = false;
    }
    if (r->joined) {
        CHECK(m->queue.joined > 0);
        m->queue.joined--;
        r->joined = false;
    }
    stats_ended(s, r, error->code);
    r->outcome.error = *error;
    model_keep_alive(s, m, r->keep_alive_ms, error->code == WEIR_OK);
    r->job = NULL;
    timer_clear(&s->request_timers, &r->deadline);
    list_remove(&r->link);
    list_push_back(&s->ended, &r->link);
    s->totals.decisions++;
    s->dirty = true;
}

static void request_leave(struct supervisor *s, struct request *r, const struct weir_error *error)
{
    struct job *j = r->job;
    request_end(s, r, error);
    job_abandon(s, j);
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
    if (j->child == NULL && j->model->waiting_told) {
        struct claim need = ledger_claim(s, j->model);
        weir_fail(&error, WEIR_NO_MEMORY,
                  "no memory became free for model '%s' in %" PRId64 " ms: it needs %" PRIu64
                  " bytes, %" PRIu64 " of the budget of %" PRIu64 " are leased",
                  j->model->name, waited, need.weights_bytes + need.context_bytes, s->leased_bytes,
                  s->budget_bytes);
        error.retry_after_ms = forecast_memory_ms(s, j->model);
    } else {
        weir_fail(&error, WEIR_DEADLINE,
                  "the deadline of %" PRId64 " ms passed while the request %s", r->patience_ms,
                  j->child != NULL ? "ran" : "waited");
    }
    error.value = waited;
    error.limit = r->patience_ms;
    log_write(s->options.log, LOG_INFO, "request", "%s: expired request=%s waited=%" PRId64 "ms",
              j->model->name, r->label, waited);
    request_leave(s, r, &error);
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

bool supervisor_credit(struct supervisor *s, uint64_t id, uint32_t events, uint64_t bytes)
{
    struct request *r = map_get(&s->requests, map_id(&id));
    if (r == NULL || r->job == NULL || !r->own_credit)
        return false;
    job_return_credit(s, r->job, events, bytes);
    return true;
}

bool supervisor_request(struct supervisor *s, uint64_t id, struct jsonw *out)
{
    const struct request *r = map_get(&s->requests, map_id(&id));
    if (r == NULL || r->job == NULL)
        return false;
    const struct job *j = r->job;
    const bool runs = j->child != NULL;
    const size_t place = runs ? 0 : queue_place(&j->model->queue, j);
    jsonw_object(out);
    jsonw_key(out, "model"), jsonw_text(out, j->model->name);
    jsonw_key(out, "state"), jsonw_text(out, runs ? "running" : "waiting");
    jsonw_key(out, "position"), jsonw_u64(out, place);
    jsonw_key(out, "predicted_wait_ms");
    jsonw_i64(out, runs ? 0 : forecast_wait_ms(s, j->model, place));
    jsonw_key(out, "age_ms"), jsonw_i64(out, s->now_ms - r->accepted_ms);
    jsonw_key(out, "priority"), jsonw_u64(out, r->priority);
    jsonw_key(out, "client"), jsonw_text(out, r->client[0] != '\0' ? r->client : NULL);
    jsonw_end(out);
    return true;
}
