/* frames.c — what a worker says, taken as facts. Nothing here trusts a byte of it. */
#include "supervisor/state.h"

#include "base/check.h"
#include "wire/build_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OUTPUT_COST  64  /* what even an empty output counts of those that need no credit */
#define PROGRESS_MAX 256 /* callers are told no more often in PROGRESS_MS; the rest is dropped */
#define PROGRESS_MS  1000

/* Which frames a worker may send in which state: the list in wire/frame.h, as bits. */
#define IN(state) (1u << (state))
#define INSPECTOR 0u
#define PREPARER  0u
static const uint32_t legal_states[FRAME_TYPES] = {
#define X(NAME, name, way, states) [FRAME_##NAME] = (states),
    WIRE_FRAMES(X)
#undef X
};

static void on_hello(struct supervisor *s, struct child *c, const struct frame *f)
{
    struct message_hello m;
    struct weir_error err;
    if (!message_hello_read(f, &m, &err))
        child_lost(s, c, "%.150s", err.text);
    else if (c->hello)
        child_lost(s, c, "said hello twice");
    else if (m.version != WIRE_VERSION)
        child_lost(s, c, "speaks version %u, this build speaks version %u", (unsigned)m.version,
                   (unsigned)WIRE_VERSION);
    else if (!str_eq(m.build_id, str_of(build_id)))
        child_lost(s, c, "is of another build: %.*s, not %s",
                   m.build_id.len < 40 ? (int)m.build_id.len : 40, m.build_id.data, build_id);
    else {
        c->hello = true;
        memory_bare(s, c);
    }
}

static void send_load(struct supervisor *s, struct child *c)
{
    const struct model *m = c->model;
    const char *cache = c->lease.packed ? s->options.cache : "";
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_load_write(&body, &(struct message_load){ .context = c->context,
                                                      .slots = c->slots,
                                                      .threads = s->options.threads,
                                                      .precision = m->settings.precision,
                                                      .attempt = m->load_attempts,
                                                      .cache = str_of(cache) });
    child_send(s, c, FRAME_LOAD, 0, buffer_view(&body), (struct str){ 0 });
    buffer_finish(&body);
}

static void on_plan(struct supervisor *s, struct child *c, const struct frame *f)
{
    struct plan plan;
    struct weir_error err;
    if (!c->hello || !message_plan_read(f, &plan, &err)) {
        child_lost(s, c, "%.150s", c->hello ? err.text : "said its plan before hello");
        return;
    }
    if (plan_larger(&plan, &c->model->plan)) {
        c->replan = true;
        snprintf(c->reason, sizeof c->reason, "its plan is larger than what was inspected");
        child_step(s, c, PLAN_FAILED, c->reason);
        return;
    }
    child_step(s, c, PLANNED, "its plan holds");
    c->ticks_ms = s->now_ms;
    send_load(s, c);
}

static void on_loaded(struct supervisor *s, struct child *c)
{
    struct model *m = c->model;
    c->ready_ms = c->last_used_ms = s->now_ms > 0 ? s->now_ms : 1;
    m->load_ms = s->now_ms - c->state_since_ms;
    learned_load(s, c, m->load_ms);
    m->last_used_ms = s->now_ms;
    m->load_crashed = m->replanned = false;
    if (m->breaker.state == BREAKER_CLOSED) /* else it says why that is not */
        m->problem = (struct weir_error){ .index = -1 };
    child_step(s, c, LOADED, "loaded");
}

static void on_failed(struct supervisor *s, struct child *c, const struct frame *f)
{
    struct weir_error err;
    if (!message_failed_read(f, &c->load_error, &err)) {
        child_lost(s, c, "%.150s", err.text);
        return;
    }
    snprintf(c->reason, sizeof c->reason, "%.159s", c->load_error.text);
    child_step(s, c, c->state == SPAWNING ? PLAN_FAILED : LOAD_FAILED, c->reason);
}

static void on_accepted(struct supervisor *s, struct child *c, struct job *j)
{
    if (j->accepted)
        child_lost(s, c, "acknowledged a job twice");
    j->accepted = true;
}

static void on_output(struct supervisor *s, struct child *c, struct job *j, const struct frame *f)
{
    struct message_output m;
    struct weir_error err;
    if (!message_output_read(f, &m, &err))
        child_lost(s, c, "%.150s", err.text);
    else if (j->output_want != 0)
        child_lost(s, c, "began an output within another");
    else if (m.payload_bytes > WIRE_PAYLOAD_MAX)
        child_lost(s, c, "announced an output of %u bytes, the limit is %zu", m.payload_bytes,
                   WIRE_PAYLOAD_MAX);
    else if (m.streamed && (j->credit_events <= 0 || j->credit_bytes <= 0))
        child_lost(s, c, "sent an output without credit");
    else if (!m.streamed && j->collected_bytes + m.payload_bytes > WIRE_PAYLOAD_MAX)
        child_lost(s, c, "sent collected outputs of more than %zu bytes", WIRE_PAYLOAD_MAX);
    else {
        j->output_want = m.payload_bytes;
        j->output_streamed = m.streamed;
        if (m.streamed) {
            j->credit_events--;
            j->credit_bytes -= m.payload_bytes;
        } else {
            j->collected_bytes += m.payload_bytes + OUTPUT_COST;
        }
        if (m.payload_bytes == 0) /* no part will follow */
            job_deliver(s, j);
    }
}

/* The bytes of a part may lie in memory that the worker can write: they are copied, and nobody has
 * looked at them before. */
static void on_part(struct supervisor *s, struct child *c, struct job *j, const struct frame *f)
{
    struct message_part m;
    struct weir_error err;
    if (!message_part_read(f, &m, &err)) {
        child_lost(s, c, "%.150s", err.text);
        return;
    }
    if (j->output_want == 0) {
        child_lost(s, c, "sent a part of no output");
        return;
    }
    if (m.bytes > j->output_want - j->output.len) {
        child_lost(s, c, "sent more of an output than it announced");
        return;
    }
    buffer_append(&j->output, m.data, m.bytes);
    if (j->output.failed)
        child_lost(s, c, "sent an output for which there is no memory");
    else if (j->output.len == j->output_want)
        job_deliver(s, j);
}

static void on_progress(struct supervisor *s, struct child *c, struct job *j, const struct frame *f)
{
    struct message_progress m;
    struct weir_error err;
    if (!message_progress_read(f, &m, &err)) {
        child_lost(s, c, "%.150s", err.text);
        return;
    }
    if (s->now_ms - j->progress_ms >= PROGRESS_MS) {
        j->progress_ms = s->now_ms;
        j->progress_told = 0;
    }
    if (j->progress_told++ >= PROGRESS_MAX)
        return;
    job_walk(j);
    for (struct request *r; (r = job_next_request(j)) != NULL;)
        if (r->callbacks->on_progress != NULL)
            r->callbacks->on_progress(r->context, r->id, m.step, m.steps);
}

static void on_end(struct supervisor *s, struct child *c, struct job *j, const struct frame *f)
{
    struct message_end m;
    struct weir_error err;
    if (!message_end_read(f, &m, &err)) {
        child_lost(s, c, "%.150s", err.text);
        return;
    }
    if (j->output_want != 0) {
        child_lost(s, c, "ended a job within an output");
        return;
    }
    LIST_EACH(&j->requests, at) {
        struct request *r = CONTAINER_OF(at, struct request, link);
        r->outcome.input_tokens = m.input_tokens;
        r->outcome.output_tokens = m.output_tokens;
        r->outcome.finish = m.finish;
    }
    struct model *model = j->model;
    if (m.error.code == WEIR_OK && !job_makes_sense(s, j, true, &err))
        m.error = err;
    const bool spoiled = j->spoiled; /* then it has failed, however it ends */
    stats_tokens(model, &m);
    if (m.error.code == WEIR_OK && !j->cancel_sent)
        forecast_ran(model, s->now_ms - j->sent_ms);
    job_end(s, j, &m.error);
    if (spoiled)
        return;
    if (m.error.code == WEIR_MODEL_FAILED || m.error.code == WEIR_INTERNAL)
        model_failed_on(s, model, &m.error);
    else if (m.error.code == WEIR_OK)
        model_success(s, model);
}

/* Frames about one job. */
static void on_job_frame(struct supervisor *s, struct child *c, const struct frame *f)
{
    struct job *j = map_get(&s->jobs, map_id(&f->job));
    if (j == NULL || j->child != c) {
        child_lost(s, c, "sent '%s' for a job that it does not have", frame_name(f->type));
        return;
    }
    switch (f->type) {
    case FRAME_ACCEPTED: on_accepted(s, c, j); break;
    case FRAME_OUTPUT: on_output(s, c, j, f); break;
    case FRAME_PART: on_part(s, c, j, f); break;
    case FRAME_PROGRESS: on_progress(s, c, j, f); break;
    default: on_end(s, c, j, f); break;
    }
}

static void on_pong(struct supervisor *s, struct child *c, const struct frame *f)
{
    uint64_t sequence;
    struct weir_error err;
    if (!message_ping_read(f, &sequence, &err) || sequence != c->ping_sequence || c->ping_ms == 0)
        child_lost(s, c, "sent a pong that answers no ping");
    c->ping_ms = 0;
}

void child_on_frame(struct supervisor *s, struct child *c, const struct frame *f)
{
    if (c->lost || c->exited || c->state == DEAD || c->state == FAILED)
        return;
    c->heard_ms = s->now_ms;
    if ((legal_states[f->type] & IN(c->state)) == 0) {
        /* One that was told to leave may not have heard it yet. */
        if (c->state != EVICTING)
            child_lost(s, c, "sent '%s' while %s", frame_name(f->type), child_state_name(c->state));
        return;
    }
    child_touch(s, c);
    switch (f->type) {
    case FRAME_HELLO: on_hello(s, c, f); break;
    case FRAME_PLAN: on_plan(s, c, f); break;
    case FRAME_LOADED: on_loaded(s, c); break;
    case FRAME_FAILED: on_failed(s, c, f); break;
    case FRAME_PONG: on_pong(s, c, f); break;
    default: on_job_frame(s, c, f); break;
    }
}
