/* inspect.c — what a model is, asked of one confined process a program, one model at a time.
 *
 * No process but a worker reads a model file. The inspector lives while there is something to ask;
 * a file that kills it costs that model its answer, and a new inspector goes on with the rest. */
#include "supervisor/state.h"

#include "base/error.h"
#include "wire/build_id.h"

#include <inttypes.h>
#include <string.h>

static struct inspector *find(struct supervisor *s, uint32_t id)
{
    for (size_t i = 0; i < WORKER_PROGRAM_COUNT; i++)
        if (s->inspectors[i].id == id && id != 0)
            return &s->inspectors[i];
    return NULL;
}

static struct model *next_for(struct supervisor *s, enum worker_program program)
{
    LIST_EACH(&s->to_inspect, at) {
        struct model *m = CONTAINER_OF(at, struct model, inspect_link);
        if (m->settings.program == program)
            return m;
    }
    return NULL;
}

static void answer(struct supervisor *s, struct model *m, const struct plan *plan,
                   const struct weir_error *problem)
{
    list_remove(&m->inspect_link);
    if (plan != NULL) {
        m->inspection = INSPECTION_DONE;
        m->plan = *plan;
        if (m->settings.context > m->plan.positions)
            m->settings.context = m->plan.positions;
    } else {
        m->inspection = INSPECTION_FAILED;
        m->problem = *problem;
        m->problem.code = WEIR_LOAD_FAILED; /* no fault of those who ask for it */
        model_fail_jobs(s, m, &m->problem);
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

static void start(struct supervisor *s, struct inspector *i, enum worker_program program,
                  struct model *first)
{
    struct weir_error err;
    struct spawn_spec spec = { .program = program, .title = "weir:inspect" };
    *i = (struct inspector){ .id = ++s->last_child, .since_ms = s->now_ms };
    s->totals.decisions++;
    if (s->world->spawn(s->world->context, SPAWN_INSPECT, i->id, &spec, &err) != WEIR_OK) {
        i->id = 0;
        answer_problem(s, first, err.text);
        return;
    }
    s->totals.children++;
}

static void ask(struct supervisor *s, struct inspector *i, struct model *m)
{
    i->current = m;
    i->asked = m->number;
    i->since_ms = s->now_ms;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_inspect_write(&body, &(struct message_inspect){ .path = str_of(m->path),
                                                            .context = m->settings.context });
    s->totals.decisions++;
    s->world->send(s->world->context, i->id, FRAME_INSPECT, m->number, buffer_view(&body),
                   (struct str){ 0 });
    buffer_finish(&body);
}

static int64_t patience(const struct supervisor *s, const struct inspector *i)
{
    return i->hello && !i->leaving ? s->options.limits.load_stall_ms : s->options.limits.hello_ms;
}

static bool is_waiting(const struct inspector *i)
{
    return i->id != 0 && !i->killed && (!i->hello || i->asked != 0 || i->leaving);
}

void inspect_turn(struct supervisor *s)
{
    for (size_t p = 0; p < WORKER_PROGRAM_COUNT; p++) {
        struct inspector *i = &s->inspectors[p];
        struct model *m = next_for(s, (enum worker_program)p);
        while (i->id == 0 && m != NULL && !s->draining) {
            start(s, i, (enum worker_program)p, m);
            m = next_for(s, (enum worker_program)p);
        }
        const bool drain_over = s->draining && s->now_ms >= s->drain_until_ms;
        if (is_waiting(i) && (drain_over || s->now_ms - i->since_ms >= patience(s, i))) {
            inspect_on_gone(s, i->id, false, "the inspector did not answer in time");
            continue;
        }
        if (i->id == 0 || !i->hello || i->asked != 0 || i->leaving || i->killed)
            continue;
        if (m != NULL && !s->draining) {
            ask(s, i, m);
        } else {
            i->leaving = true;
            i->since_ms = s->now_ms;
            s->totals.decisions++;
            s->world->send(s->world->context, i->id, FRAME_BYE, 0, (struct str){ 0 },
                           (struct str){ 0 });
        }
    }
}

static void on_inspected(struct supervisor *s, struct inspector *i, const struct frame *f)
{
    struct message_inspected m;
    struct weir_error err;
    struct model *model = i->current;
    if (i->asked == 0 || f->job != i->asked) {
        inspect_on_gone(s, i->id, false, "the inspector answered what nobody asked");
        return;
    }
    if (!message_inspected_read(f, &m, &err)) {
        inspect_on_gone(s, i->id, false, err.text);
        return;
    }
    i->current = NULL;
    i->asked = 0;
    i->answers++;
    if (model != NULL) /* else it was unregistered meanwhile */
        answer(s, model, m.error.code == WEIR_OK ? &m.plan : NULL, &m.error);
}

bool inspect_on_frame(struct supervisor *s, uint32_t id, const struct frame *f)
{
    struct inspector *i = find(s, id);
    if (i == NULL)
        return false;
    s->dirty = true;
    if (i->killed)
        return true;
    if (f->type == FRAME_INSPECTED && i->hello) {
        on_inspected(s, i, f);
    } else if (f->type == FRAME_HELLO && !i->hello) {
        struct message_hello m;
        struct weir_error err;
        if (!message_hello_read(f, &m, &err) || m.version != WIRE_VERSION ||
            !str_eq(m.build_id, str_of(build_id)))
            inspect_on_gone(s, id, false, "the inspector is of another build");
        else
            i->hello = true;
    } else {
        inspect_on_gone(s, id, false, "the inspector broke the protocol");
    }
    return true;
}

/* Lost or exited: the model it was on pays, or the next one when it never came so far as to answer.
 * So each inspector costs a model its answer or gives one: none is started for ever. */
bool inspect_on_gone(struct supervisor *s, uint32_t id, bool exited, const char *what)
{
    struct inspector *i = find(s, id);
    if (i == NULL)
        return false;
    s->dirty = true;
    if (!i->leaving && !i->killed) {
        struct model *m = i->current;
        if (i->asked == 0 && i->answers == 0)
            m = next_for(s, (enum worker_program)(i - s->inspectors));
        i->current = NULL;
        i->asked = 0;
        if (m != NULL)
            answer_problem(s, m, what);
    }
    if (exited) {
        CHECK(s->totals.children > 0);
        s->totals.children--;
        *i = (struct inspector){ 0 };
    } else if (!i->killed) {
        i->killed = true;
        s->totals.decisions++;
        s->world->kill(s->world->context, id, WORLD_KILL);
    }
    return true;
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
        if (is_waiting(i) && i->since_ms + patience(s, i) < at)
            at = i->since_ms + patience(s, i);
    }
    return at;
}
