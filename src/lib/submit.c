/* submit.c — weir_submit: a request on its way in, and its callbacks on their way out. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "lib/pool.h"
#include "lib/typed.h"

#include <string.h>

#define NAME_BYTES_MAX 256 /* of a client or a request's own name */

/* What the supervisor's callbacks need of a request; freed with its end. */
struct ticket {
    struct weir *w;
    const struct weir_callbacks *callbacks;
    void *context;
    const struct typed_operation *operation;
    struct typed_expected expected;
    size_t outputs;
    struct weir_error spoiled; /* its worker answered nonsense: the request fails */
};

/* Whether it is an answer to what was asked. */
static bool read_output(struct ticket *t, struct str payload, struct weir_output *out)
{
    const struct typed_expected *e = &t->expected;
    if (t->outputs == e->outputs) {
        weir_fail(&t->spoiled, WEIR_MODEL_FAILED, "its worker gave more than %zu answers",
                  e->outputs);
    } else if (!typed_output(t->operation, payload, &t->w->scratch, out, &t->spoiled)) {
        t->spoiled.code = WEIR_MODEL_FAILED;
    } else if (e->rows != SIZE_MAX && out->rows != e->rows) {
        weir_fail(&t->spoiled, WEIR_MODEL_FAILED, "its worker answered %zu rows for %zu inputs",
                  out->rows, e->rows);
    } else if (e->dim != 0 && out->dim != e->dim) {
        weir_fail(&t->spoiled, WEIR_MODEL_FAILED,
                  "its worker answered vectors of %zu numbers, asked for were %zu", out->dim,
                  e->dim);
    }
    return t->spoiled.code == WEIR_OK;
}

/* What makes no sense is not told: `check` ends the request. */
static void on_output(void *context, uint64_t id, struct str payload)
{
    struct ticket *t = context;
    struct weir_output out;
    arena_clear(&t->w->scratch);
    if (t->spoiled.code != WEIR_OK || !read_output(t, payload, &out))
        return;
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

/* An end that says it succeeded and does not fit what was asked. */
static void check_end(struct ticket *t, const struct request_outcome *o)
{
    if (t->expected.outputs != SIZE_MAX && t->outputs < t->expected.outputs)
        weir_fail(&t->spoiled, WEIR_MODEL_FAILED, "its worker gave %zu of %zu answers", t->outputs,
                  t->expected.outputs);
    else if (o->finish > WEIR_FINISH_LENGTH)
        weir_fail(&t->spoiled, WEIR_MODEL_FAILED,
                  "its worker ended with the finish %u, the last that there is is %d", o->finish,
                  WEIR_FINISH_LENGTH);
}

static bool check(void *context, const struct request_outcome *end, struct weir_error *err)
{
    struct ticket *t = context;
    if (t->spoiled.code == WEIR_OK && end != NULL)
        check_end(t, end);
    *err = t->spoiled;
    return t->spoiled.code == WEIR_OK;
}

static void on_end(void *context, uint64_t id, const struct request_outcome *outcome)
{
    struct ticket *t = context;
    world_flush(t->w); /* the caller may take its time: workers need not wait for it */
    const bool good = outcome->error.code == WEIR_OK;
    struct weir_end end = { .size = sizeof end,
                            .error = outcome->error,
                            .input_tokens = outcome->input_tokens,
                            .output_tokens = outcome->output_tokens,
                            .finish = good ? (enum weir_finish)outcome->finish : WEIR_FINISH_STOP,
                            .queued_ms = outcome->queued_ms,
                            .total_ms = outcome->total_ms };
    if (t->callbacks->on_end != NULL)
        t->callbacks->on_end(t->context, id, &end);
    mem_free(t);
}

static const struct request_callbacks ticket_callbacks = { on_output, on_progress, on_end, check };

static enum weir_code check_name(const char *field, const char *name, struct weir_error *err)
{
    const size_t bytes = name != NULL ? strlen(name) : 0;
    if (bytes <= NAME_BYTES_MAX)
        return WEIR_OK;
    return weir_fail(err, WEIR_INVALID, "weir_request: %s is %zu bytes long, the limit is %d",
                     field, bytes, NAME_BYTES_MAX);
}

/* A field that is out of its range. */
static enum weir_code wrong(const char *field, int64_t value, const char *range,
                            struct weir_error *err)
{
    return weir_fail(err, WEIR_INVALID, "weir_request: %s is %lld, it may be %s", field,
                     (long long)value, range);
}

static enum weir_code check_request(const struct weir_request *r, struct weir_error *err)
{
    if (r == NULL || r->size != sizeof *r || r->callbacks == NULL ||
        r->callbacks->size != sizeof *r->callbacks)
        return weir_fail(err, WEIR_INVALID,
                         "weir_request or its callbacks: missing, or of another "
                         "size than this library's");
    if (r->model == NULL)
        return weir_fail(err, WEIR_INVALID, "weir_request: model is missing");
    if ((unsigned)r->capability >= WEIR_CAPABILITY_COUNT)
        return wrong("capability", (int64_t)r->capability, "one of enum weir_capability", err);
    if ((unsigned)r->operation >= WEIR_OPERATION_COUNT)
        return wrong("operation", (int64_t)r->operation, "one of enum weir_operation", err);
    if ((unsigned)r->priority > WEIR_PRIORITY_BATCH)
        return wrong("priority", (int64_t)r->priority, "one of enum weir_priority", err);
    if ((r->flags & ~WEIR_FLAG_OWN_CREDIT) != 0)
        return wrong("flags", r->flags, "0 or WEIR_FLAG_OWN_CREDIT", err);
    if (r->deadline_ms < 0)
        return wrong("deadline_ms", r->deadline_ms, "0 or more", err);
    if (r->keep_alive_ms < WEIR_KEEP_ALIVE_NONE)
        return wrong("keep_alive_ms", r->keep_alive_ms, "0 or more, or one of WEIR_KEEP_ALIVE_",
                     err);
    if (check_name("client", r->client, err) != WEIR_OK)
        return WEIR_INVALID;
    return check_name("id", r->id, err);
}

static int64_t bounded_ms(int64_t ms)
{
    return ms < INT32_MAX ? ms : INT32_MAX;
}

/* The input with what it leaves to the model's settings; `own` has room for the changed one. */
static const void *settle_input(struct weir *w, const struct weir_request *r,
                                struct weir_embed *own)
{
    const struct weir_embed *e = r->input;
    if (r->capability != WEIR_TEXT_EMBEDDING || r->operation != WEIR_EMBED || e == NULL ||
        e->size != sizeof *e || e->truncate != WEIR_TRUNCATE_AS_MODEL ||
        !supervisor_truncates(w->supervisor, r->model))
        return r->input;
    *own = *e;
    own->truncate = WEIR_TRUNCATE_CUT;
    return own;
}

uint64_t weir_submit(struct weir *w, const struct weir_request *r, struct weir_error *err)
{
    /* weir.h puts the default first, the queue the most urgent. */
    static const uint8_t priorities[] = { PRIORITY_NORMAL, PRIORITY_CRITICAL, PRIORITY_HIGH,
                                          PRIORITY_LOW, PRIORITY_BATCH };
    uint8_t *payload = NULL;
    size_t bytes = 0;
    struct weir_embed embed;
    if (!pool_is_own(w, err) || check_request(r, err) != WEIR_OK)
        return 0;
    const struct typed_operation *o = typed_operation(r->operation, r->capability, err);
    const void *input = settle_input(w, r, &embed);
    if (o == NULL || typed_request(o, input, &payload, &bytes, err) != WEIR_OK)
        return 0;
    struct ticket *t = mem_new(1, sizeof *t);
    t->w = w;
    t->callbacks = r->callbacks;
    t->context = r->context;
    t->operation = o;
    t->expected = typed_expect(o, r->input);
    struct submission s = { .model = r->model,
                            .capability = r->capability,
                            .operation = r->operation,
                            .priority = priorities[r->priority],
                            .own_credit = (r->flags & WEIR_FLAG_OWN_CREDIT) != 0,
                            .mergeable = o->mergeable,
                            .deadline_ms = bounded_ms(r->deadline_ms),
                            .keep_alive_ms = bounded_ms(r->keep_alive_ms),
                            .affinity = r->affinity,
                            .client = r->client,
                            .label = r->id,
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
