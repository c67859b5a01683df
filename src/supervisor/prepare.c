/* prepare.c — packed weights made once for all workers of a model, before the first one starts. */
#include "supervisor/state.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>

#define SLOWEST ((uint64_t)16 * 1024) /* bytes a millisecond, where others wait */

const char *preparation_name(enum preparation p)
{
    static const char *const names[] = {
#define X(NAME, name) [PREPARATION_##NAME] = (name),
        PREPARATIONS(X)
#undef X
    };
    return names[p];
}

bool prepare_shares(const struct supervisor *s, const struct model *m)
{
    if (model_living(m) > 0) /* all workers of a model are alike */
        return m->preparation == PREPARATION_SHARED;
    if (s->options.cache == NULL || model_packed_bytes(m) == 0)
        return false;
    return m->preparation != PREPARATION_FAILED || s->now_ms >= m->prepare_again_ms;
}

/* What was ready before this claim came up may be gone by now. */
bool prepare_is_due(const struct supervisor *s, const struct model *m)
{
    if (model_living(m) > 0 || !prepare_shares(s, m))
        return false;
    return m->preparation != PREPARATION_READY || m->prepared_ms < m->claim_ms;
}

void prepare_granted(struct model *m, bool shares)
{
    if (shares)
        m->preparation = PREPARATION_SHARED;
    else if (m->preparation != PREPARATION_FAILED)
        m->preparation = PREPARATION_NONE;
}

static void settle(struct supervisor *s, struct model *m, enum preparation to, const char *reason)
{
    m->preparation = to;
    s->totals.decisions++;
    s->claims_dirty = true;
    model_touch(s, m);
    event_emit(s, &(struct pool_event){ .kind = "prepared",
                                        .model = m->name,
                                        .to = preparation_name(to),
                                        .reason = reason });
}

static void fail(struct supervisor *s, struct model *m, const char *problem)
{
    m->prepare_again_ms = s->now_ms + s->options.limits.restart_max_ms;
    log_write(s->options.log, LOG_WARN, "prepare",
              "%s is not prepared, each of its workers packs its weights: %s", m->name, problem);
    settle(s, m, PREPARATION_FAILED, problem);
}

/* Its model waits no more, one way or the other. */
static struct model *release(struct preparer *p)
{
    struct model *m = p->model;
    p->model = NULL;
    p->helper.asked = 0;
    return m;
}

static struct preparer *find(struct supervisor *s, uint32_t id)
{
    for (size_t i = 0; i < WORKER_PROGRAM_COUNT; i++)
        if (s->preparers[i].helper.id == id && id != 0)
            return &s->preparers[i];
    return NULL;
}

bool prepare_start(struct supervisor *s, struct model *m, const struct pool_view *v)
{
    struct preparer *p = &s->preparers[m->settings.program];
    if (p->helper.id != 0) {
        p->wanted = true;
        return true;
    }
    const struct claim claim = { .context_bytes = PREPARE_BYTES, .model = m->number };
    if (judge(&v->ledger, &claim, v->residents, v->count, v->victims).verdict != VERDICT_GRANT) {
        fail(s, m, "no memory is free for it");
        return false;
    }
    struct weir_error err = { .index = -1 };
    const struct spawn_spec spec = { .program = m->settings.program, .title = "weir:prepare" };
    p->model = m;
    p->since_ms = s->now_ms;
    p->wanted = false;
    m->preparation = PREPARATION_RUNNING;
    lease_move(s, &p->lease, LEASE_GRANT, PREPARE_BYTES);
    event_emit(s, &(struct pool_event){ .kind = "prepare",
                                        .model = m->name,
                                        .reason = plan_precision_name(m->settings.precision) });
    if (helper_start(s, &p->helper, SPAWN_PREPARE, &spec, &err) == WEIR_OK)
        return true;
    prepare_on_gone(s, p->helper.id, true, err.text);
    return false;
}

static void ask(struct supervisor *s, struct preparer *p)
{
    const struct model *m = p->model;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_prepare_write(&body, &(struct message_prepare){ .path = str_of(m->path),
                                                            .context = m->context_asked,
                                                            .precision = m->settings.precision,
                                                            .cache = str_of(s->options.cache) });
    p->ticks = s->world->ticks(s->world->context, p->helper.id);
    helper_ask(s, &p->helper, FRAME_PREPARE, m->number, &body);
    buffer_finish(&body);
}

/* One that ticks has all the time it needs, but not at the cost of others: it may tick for ever. */
static int64_t turn_until(const struct supervisor *s, const struct preparer *p)
{
    if (p->model == NULL || !p->wanted || p->helper.killed)
        return TIMER_NEVER;
    return p->since_ms + s->options.limits.load_stall_ms +
           (int64_t)(model_packed_bytes(p->model) / SLOWEST);
}

/* Progress is any change of its counter. */
static void check_progress(struct supervisor *s, struct preparer *p)
{
    const int64_t patience_ms = s->options.limits.load_stall_ms;
    struct helper *h = &p->helper;
    const uint64_t ticks = h->asked != 0 ? s->world->ticks(s->world->context, h->id) : p->ticks;
    if (s->now_ms >= turn_until(s, p)) {
        char what[80];
        snprintf(what, sizeof what, "it took %" PRId64 " ms while others waited to be prepared",
                 s->now_ms - p->since_ms);
        prepare_on_gone(s, h->id, false, what);
    } else if (ticks != p->ticks) {
        p->ticks = ticks;
        h->since_ms = s->now_ms;
    } else if (s->now_ms >= helper_until(s, h, patience_ms)) {
        char what[80];
        snprintf(what, sizeof what, "the preparer made no progress for %" PRId64 " ms",
                 s->now_ms - h->since_ms);
        prepare_on_gone(s, h->id, false, what);
    }
}

void prepare_turn(struct supervisor *s)
{
    for (size_t i = 0; i < WORKER_PROGRAM_COUNT; i++) {
        struct preparer *p = &s->preparers[i];
        struct helper *h = &p->helper;
        if (h->id == 0)
            continue;
        if (s->draining) { /* what it makes is for nobody: nothing is started any more */
            if (p->model != NULL)
                settle(s, release(p), PREPARATION_NONE, "shutdown");
            helper_kill(s, h);
            continue;
        }
        check_progress(s, p);
        if (!helper_is_free(h))
            continue;
        if (p->model != NULL)
            ask(s, p);
        else
            helper_bye(s, h);
    }
}

static void on_prepared(struct supervisor *s, struct preparer *p, const struct frame *f)
{
    struct weir_error answer, err;
    if (p->helper.asked == 0 || f->job != p->helper.asked) {
        prepare_on_gone(s, p->helper.id, false, "the preparer answered what nobody asked");
        return;
    }
    if (!message_prepared_read(f, &answer, &err)) {
        prepare_on_gone(s, p->helper.id, false, err.text);
        return;
    }
    struct model *m = release(p);
    m->prepared_ms = s->now_ms;
    if (answer.code == WEIR_OK)
        settle(s, m, PREPARATION_READY, NULL);
    else
        fail(s, m, answer.text);
}

void prepare_on_frame(struct supervisor *s, uint32_t id, const struct frame *f)
{
    struct preparer *p = find(s, id);
    if (p == NULL)
        return;
    s->dirty = true;
    if (p->helper.killed)
        return;
    if (f->type == FRAME_PREPARED && p->helper.hello) {
        on_prepared(s, p, f);
    } else if (f->type == FRAME_HELLO && !p->helper.hello) {
        if (!helper_greet(&p->helper, f))
            prepare_on_gone(s, id, false, "the preparer is of another build");
    } else {
        prepare_on_gone(s, id, false, "the preparer broke the protocol");
    }
}

/* Lost or exited: the model that waits for it goes on without. */
void prepare_on_gone(struct supervisor *s, uint32_t id, bool exited, const char *what)
{
    struct preparer *p = find(s, id);
    if (p == NULL)
        return;
    s->dirty = true;
    if (p->model != NULL)
        fail(s, release(p), what);
    if (!exited) {
        helper_kill(s, &p->helper);
        return;
    }
    lease_move(s, &p->lease, LEASE_REAPED, 0);
    helper_reaped(s, &p->helper);
    s->claims_dirty = true; /* memory came back, and the next one may be prepared */
}

void prepare_stop(struct supervisor *s, struct model *m, const char *why)
{
    struct preparer *p = &s->preparers[m->settings.program];
    if (p->model != m)
        return;
    settle(s, release(p), PREPARATION_NONE, why);
    helper_kill(s, &p->helper);
}

uint64_t prepare_leased_bytes(const struct supervisor *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < WORKER_PROGRAM_COUNT; i++)
        bytes += s->preparers[i].lease.context_bytes;
    return bytes;
}

int64_t prepare_wake(const struct supervisor *s)
{
    int64_t at = TIMER_NEVER;
    for (size_t i = 0; i < WORKER_PROGRAM_COUNT; i++) {
        const struct helper *h = &s->preparers[i].helper;
        const int64_t patience_ms = s->options.limits.load_stall_ms;
        const int64_t until = helper_until(s, h, patience_ms);
        const int64_t look = h->asked != 0 ? s->now_ms + patience_ms / 4 + 1 : until;
        const int64_t turn = turn_until(s, &s->preparers[i]);
        at = until < at ? until : at;
        at = turn < at ? turn : at;
        at = look < at ? look : at;
    }
    return at;
}
