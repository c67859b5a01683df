/* inspect.c — what a model is, asked of one confined process a program, one model at a time.
 *
 * No process but a worker reads a model file. The inspector lives while there is something to ask;
 * a file that kills it costs that model its answer, and a new inspector goes on with the rest. */
#include "supervisor/state.h"

#include "base/capability.h"
#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RETRY_MS 1000 /* until a refused start is tried again, doubled each time */

void inspect_init(struct supervisor *s)
{
    for (size_t p = 0; p < WORKER_PROGRAM_COUNT; p++) {
        list_init(&s->to_inspect[p]);
        list_init(&s->waited_for[p]);
    }
}

void inspect_later(struct supervisor *s, struct model *m)
{
    if (!link_is_on_list(&m->inspect_link))
        list_push_back(&s->to_inspect[m->settings.program], &m->inspect_link);
    s->dirty = true;
}

void inspect_hurry(struct supervisor *s, struct model *m)
{
    if (m->hurried || !link_is_on_list(&m->inspect_link))
        return;
    m->hurried = true;
    list_remove(&m->inspect_link);
    list_push_back(&s->waited_for[m->settings.program], &m->inspect_link);
}

void inspect_again(struct supervisor *s, struct model *m)
{
    if (m->inspection == INSPECTION_PENDING)
        return;
    if (m->inspection == INSPECTION_FAILED)
        m->problem = (struct weir_error){ .index = -1 };
    m->inspection = INSPECTION_PENDING;
    inspect_later(s, m);
}

static struct inspector *find(struct supervisor *s, uint32_t id)
{
    for (size_t i = 0; i < WORKER_PROGRAM_COUNT; i++)
        if (s->inspectors[i].helper.id == id && id != 0)
            return &s->inspectors[i];
    return NULL;
}

static struct model *next_for(const struct supervisor *s, size_t program)
{
    const struct link *first = s->waited_for[program].next;
    if (first == &s->waited_for[program])
        first = s->to_inspect[program].next;
    if (first == &s->to_inspect[program])
        return NULL;
    return CONTAINER_OF(first, struct model, inspect_link);
}

static void answer(struct supervisor *s, struct model *m, const struct plan *plan,
                   const struct weir_error *problem)
{
    list_remove(&m->inspect_link);
    m->hurried = false;
    if (plan != NULL) {
        m->inspection = INSPECTION_DONE;
        m->plan = *plan;
        m->settings.context =
            m->context_asked < m->plan.positions ? m->context_asked : m->plan.positions;
        if (m->settings.capabilities != 0)
            m->plan.capabilities = m->settings.capabilities;
    } else {
        m->inspection = INSPECTION_FAILED;
        m->problem = *problem;
        m->problem.code = WEIR_LOAD_FAILED; /* no fault of those who ask for it */
        model_fail_jobs(s, m, &m->problem);
        log_write(s->options.log, LOG_DEBUG, "inspect", "model '%s': %s", m->name, problem->text);
    }
    s->totals.decisions++;
    event_emit(s, &(struct pool_event){ .kind = "inspected",
                                        .model = m->name,
                                        .to = plan != NULL ? plan->architecture : "problem",
                                        .reason = plan != NULL ? NULL : problem->text });
    model_touch(s, m);
}

static void answer_problem(struct supervisor *s, struct model *m, const char *what)
{
    struct weir_error problem;
    weir_fail(&problem, WEIR_LOAD_FAILED, "'%.80s' could not be inspected: %.110s", m->path, what);
    answer(s, m, NULL, &problem);
}

/* Its settings may name a part of what its files can, and nothing beyond. */
static bool find_lack(const struct model *m, const struct plan *plan, struct weir_error *err)
{
    const uint32_t lacks = m->settings.capabilities & ~plan->capabilities;
    unsigned first = 0;
    if (lacks == 0)
        return false;
    while ((lacks & 1u << first) == 0)
        first++;
    weir_fail(err, WEIR_LOAD_FAILED,
              "model '%.80s' is configured for %s, which its files (%.32s) do not have", m->name,
              capability_name(first), plan->architecture);
    return true;
}

void inspect_known(struct supervisor *s, struct model *m, const struct message_inspected *known)
{
    struct weir_error problem = known->error;
    const bool good = problem.code == WEIR_OK && !find_lack(m, &known->plan, &problem);
    answer(s, m, good ? &known->plan : NULL, &problem);
}

/* The system is short of something now: no word about a model, or about the program. */
static bool is_passing(const struct weir_error *err)
{
    return err->code == WEIR_NO_MEMORY || err->os_errno == EAGAIN || err->os_errno == ENOMEM ||
           err->os_errno == EMFILE || err->os_errno == ENFILE;
}

static void start_failed(struct supervisor *s, struct inspector *i, enum worker_program program,
                         const struct weir_error *err)
{
    const int64_t most_ms = s->options.limits.restart_max_ms;
    if (is_passing(err)) {
        int64_t delay_ms = i->refusals < 16 ? (int64_t)RETRY_MS << i->refusals : most_ms;
        delay_ms = delay_ms < most_ms ? delay_ms : most_ms;
        i->refusals++;
        i->retry_at_ms = s->now_ms + delay_ms;
        log_write(s->options.log, LOG_WARN, "inspect",
                  "no inspector could be started, the next try is in %" PRId64 " ms: %s", delay_ms,
                  err->text);
        return;
    }
    /* What is wrong with the program is the same for all that it should look at. */
    for (struct model *m; (m = next_for(s, program)) != NULL;)
        answer_problem(s, m, err->text);
}

static void start(struct supervisor *s, struct inspector *i, enum worker_program program)
{
    struct weir_error err = { .index = -1 };
    struct spawn_spec spec = { .program = program, .title = "weir:inspect" };
    const uint32_t refusals = i->refusals;
    *i = (struct inspector){ .refusals = refusals };
    if (helper_start(s, &i->helper, SPAWN_INSPECT, &spec, &err) == WEIR_OK)
        return;
    helper_reaped(s, &i->helper);
    start_failed(s, i, program, &err);
}

static void ask(struct supervisor *s, struct inspector *i, struct model *m)
{
    struct buffer body;
    i->current = m;
    buffer_init(&body, FRAME_BODY_MAX);
    message_inspect_write(
        &body, &(struct message_inspect){ .path = str_of(m->path), .context = m->context_asked });
    helper_ask(s, &i->helper, FRAME_INSPECT, m->number, &body);
    buffer_finish(&body);
}

void inspect_turn(struct supervisor *s)
{
    for (size_t p = 0; p < WORKER_PROGRAM_COUNT; p++) {
        struct inspector *i = &s->inspectors[p];
        struct helper *h = &i->helper;
        if (h->id == 0 && next_for(s, p) != NULL && !s->draining && s->now_ms >= i->retry_at_ms)
            start(s, i, (enum worker_program)p);
        struct model *m = next_for(s, p);
        const bool drain_over = s->draining && s->now_ms >= s->drain_until_ms;
        if (helper_is_waited_for(h) &&
            (drain_over || s->now_ms >= helper_until(s, h, s->options.limits.load_stall_ms))) {
            inspect_on_gone(s, h->id, false, "the inspector did not answer in time");
            continue;
        }
        if (!helper_is_free(h))
            continue;
        if (m != NULL && !s->draining)
            ask(s, i, m);
        else
            helper_bye(s, h);
    }
}

static void on_inspected(struct supervisor *s, struct inspector *i, const struct frame *f)
{
    struct message_inspected m;
    struct weir_error err;
    struct model *model = i->current;
    if (i->helper.asked == 0 || f->job != i->helper.asked) {
        inspect_on_gone(s, i->helper.id, false, "the inspector answered what nobody asked");
        return;
    }
    if (!message_inspected_read(f, &m, &err)) {
        inspect_on_gone(s, i->helper.id, false, err.text);
        return;
    }
    i->current = NULL;
    i->helper.asked = 0;
    i->answers++;
    if (model == NULL) /* it was unregistered meanwhile */
        return;
    if (s->options.on_inspected != NULL)
        s->options.on_inspected(s->options.inspected_context,
                                &(struct inspected){ .path = model->path,
                                                     .program = model->settings.program,
                                                     .context = model->context_asked,
                                                     .stamp = model->settings.stamp,
                                                     .answer = &m });
    inspect_known(s, model, &m);
}

void inspect_on_frame(struct supervisor *s, uint32_t id, const struct frame *f)
{
    struct inspector *i = find(s, id);
    if (i == NULL)
        return;
    s->dirty = true;
    if (i->helper.killed)
        return;
    if (f->type == FRAME_INSPECTED && i->helper.hello) {
        on_inspected(s, i, f);
    } else if (f->type == FRAME_HELLO && !i->helper.hello) {
        if (!helper_greet(&i->helper, f))
            inspect_on_gone(s, id, false, "the inspector is of another build");
    } else {
        inspect_on_gone(s, id, false, "the inspector broke the protocol");
    }
}

/* Lost or exited: the model it was on pays, or the next one when it never came so far as to answer.
 * So each inspector costs a model its answer or gives one: none is started for ever. */
void inspect_on_gone(struct supervisor *s, uint32_t id, bool exited, const char *what)
{
    struct inspector *i = find(s, id);
    if (i == NULL)
        return;
    s->dirty = true;
    if (!i->helper.leaving && !i->helper.killed) {
        struct model *m = i->current;
        if (i->helper.asked == 0 && i->answers == 0)
            m = next_for(s, (size_t)(i - s->inspectors));
        i->current = NULL;
        i->helper.asked = 0;
        if (m != NULL)
            answer_problem(s, m, what);
    }
    if (exited) {
        helper_reaped(s, &i->helper);
        *i = (struct inspector){ 0 };
    } else {
        helper_kill(s, &i->helper);
    }
}

void inspect_forget(struct supervisor *s, struct model *m)
{
    list_remove(&m->inspect_link);
    for (size_t i = 0; i < WORKER_PROGRAM_COUNT; i++)
        if (s->inspectors[i].current == m)
            s->inspectors[i].current = NULL;
    s->dirty = true;
}

int64_t inspect_wake(const struct supervisor *s)
{
    int64_t at = TIMER_NEVER;
    for (size_t p = 0; p < WORKER_PROGRAM_COUNT; p++) {
        const struct inspector *i = &s->inspectors[p];
        const int64_t until = helper_until(s, &i->helper, s->options.limits.load_stall_ms);
        if (until < at)
            at = until;
        if (i->helper.id == 0 && next_for(s, p) != NULL && !s->draining && i->retry_at_ms < at)
            at = i->retry_at_ms;
    }
    return at;
}
