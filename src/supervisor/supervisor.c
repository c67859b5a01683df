/* supervisor.c — the pool's life and its turn. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS_MAX   8  /* a caller that submits from on_end has the rest in the next turn */
#define NAMES_A_TURN 64 /* looked at by the checks of a checked build */

void event_emit(struct supervisor *s, const struct pool_event *event)
{
    if (s->options.on_event != NULL)
        s->options.on_event(s->options.event_context, event);
}

void model_touch(struct supervisor *s, struct model *m)
{
    if (!link_is_on_list(&m->dirty_link))
        list_push_back(&s->dirty_models, &m->dirty_link);
    s->dirty = true;
}

void child_touch(struct supervisor *s, struct child *c)
{
    if (!link_is_on_list(&c->dirty_link))
        list_push_back(&s->dirty_children, &c->dirty_link);
    s->dirty = true;
}

struct supervisor *supervisor_create(const struct supervisor_options *options,
                                     const struct world *world, int64_t now_ms)
{
    struct supervisor *s = mem_new(1, sizeof *s);
    s->options = *options;
    if (options->cache != NULL)
        s->options.cache = mem_copy_text(options->cache, strlen(options->cache));
    s->world = world;
    s->now_ms = now_ms;
    s->jitter = (uint64_t)now_ms;
    struct link *heads[] = { &s->models, &s->dirty_models, &s->dirty_children,
                             &s->ended,  &s->claims,       &s->busy };
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++)
        list_init(heads[i]);
    inspect_init(s);
    map_init(&s->by_name);
    map_init(&s->children);
    map_init(&s->jobs);
    map_init(&s->requests);
    map_init(&s->mergeable);
    timer_heap_init(&s->request_timers);
    timer_heap_init(&s->child_timers);
    timer_heap_init(&s->model_timers);
    memory_read(s);
    return s;
}

void supervisor_destroy(struct supervisor *s)
{
    if (s == NULL)
        return;
    CHECK(s->totals.children == 0);
    LIST_EACH(&s->models, at) {
        struct model *m = CONTAINER_OF(at, struct model, link);
        model_fail_jobs(s, m, &(struct weir_error){ .code = WEIR_SHUTTING_DOWN, .index = -1 });
    }
    while (!list_empty(&s->ended)) {
        struct request *r = CONTAINER_OF(s->ended.next, struct request, link);
        list_remove(&r->link);
        mem_free(r);
    }
    while (!list_empty(&s->models)) {
        struct model *m = CONTAINER_OF(s->models.next, struct model, link);
        while (!list_empty(&m->children))
            child_free(s, CONTAINER_OF(m->children.next, struct child, link));
        model_free(s, m);
    }
    learned_finish(&s->learned);
    map_finish(&s->by_name);
    map_finish(&s->children);
    map_finish(&s->jobs);
    map_finish(&s->requests);
    map_finish(&s->mergeable);
    timer_heap_finish(&s->request_timers);
    timer_heap_finish(&s->child_timers);
    timer_heap_finish(&s->model_timers);
    mem_free((char *)s->options.cache);
    mem_free(s);
}

void supervisor_clock(struct supervisor *s, int64_t now_ms)
{
    if (now_ms > s->now_ms)
        s->now_ms = now_ms;
}

void supervisor_on_frame(struct supervisor *s, uint32_t id, const struct frame *f)
{
    uint64_t key = id;
    struct child *c = map_get(&s->children, map_id(&key));
    if (c != NULL) {
        child_on_frame(s, c, f);
        return;
    }
    inspect_on_frame(s, id, f);
    prepare_on_frame(s, id, f);
}

void supervisor_on_lost(struct supervisor *s, uint32_t id, const char *reason)
{
    uint64_t key = id;
    struct child *c = map_get(&s->children, map_id(&key));
    if (c == NULL) {
        inspect_on_gone(s, id, false, reason);
        prepare_on_gone(s, id, false, reason);
        return;
    }
    /* A worker that was told to leave closes its channel first: that is no loss. */
    if (c->phase < LEAVE_BYE)
        child_lost(s, c, "%s", reason);
}

void supervisor_on_exit(struct supervisor *s, uint32_t id, const char *status,
                        const char *last_words)
{
    uint64_t key = id;
    struct child *c = map_get(&s->children, map_id(&key));
    if (c == NULL) {
        inspect_on_gone(s, id, true, status);
        prepare_on_gone(s, id, true, status);
        return;
    }
    if (c->exited || c->state == DEAD)
        return;
    c->exited = true;
    snprintf(c->exit_text, sizeof c->exit_text, "%.63s", status);
    if (last_words != NULL && last_words[0] != '\0')
        log_write(s->options.log, LOG_WARN, "child", "%s worker %u, last words: %s", c->model->name,
                  c->id, last_words);
    child_touch(s, c);
}

void supervisor_drain(struct supervisor *s, int64_t limit_ms)
{
    int64_t until = s->now_ms + limit_ms;
    if (s->draining && until >= s->drain_until_ms)
        return;
    if (!s->draining)
        event_emit(s, &(struct pool_event){ .kind = "drain", .reason = "shutdown" });
    s->draining = true;
    s->drain_until_ms = until;
    s->dirty = true;
    LIST_EACH(&s->models, at) {
        struct model *m = CONTAINER_OF(at, struct model, link);
        model_touch(s, m);
        LIST_EACH(&m->children, child)
            child_touch(s, CONTAINER_OF(child, struct child, link));
    }
}

bool supervisor_drained(const struct supervisor *s)
{
    return s->draining && s->requests.count == 0 && s->totals.children == 0;
}

bool supervisor_is_dirty(const struct supervisor *s)
{
    return s->dirty;
}

/* Step 1: deadlines, and that of a drain is news for every model. */
static void expire_jobs(struct supervisor *s)
{
    for (struct timer *t; (t = timer_take(&s->request_timers, s->now_ms)) != NULL;)
        request_expire(s, CONTAINER_OF(t, struct request, deadline));
    if (!s->draining || s->drain_over || s->now_ms < s->drain_until_ms)
        return;
    s->drain_over = true;
    LIST_EACH(&s->models, at)
        model_touch(s, CONTAINER_OF(at, struct model, link));
}

/* What can't be served any more is answered: all that is left when the time is over, and before
 * that what waits for a model without a worker, since nothing is started any more. */
static void drain_model(struct supervisor *s, struct model *m)
{
    struct weir_error error;
    weir_fail(&error, WEIR_SHUTTING_DOWN, "the pool shut down before the request was done");
    error.retry_after_ms = forecast_drain_ms(s);
    if (s->drain_over || model_living(m) == 0)
        model_fail_jobs(s, m, &error);
    if (!s->drain_over)
        return;
    LIST_EACH(&m->children, c)
        LIST_EACH(&CONTAINER_OF(c, struct child, link)->jobs, j)
            job_give_up(s, CONTAINER_OF(j, struct job, link), &error);
}

static void settle_children(struct supervisor *s)
{
    for (struct timer *t; (t = timer_take(&s->child_timers, s->now_ms)) != NULL;)
        child_touch(s, CONTAINER_OF(t, struct child, wake));
    struct link walk;
    list_move(&walk, &s->dirty_children);
    while (!list_empty(&walk)) {
        struct child *c = CONTAINER_OF(walk.next, struct child, dirty_link);
        list_remove(&c->dirty_link);
        child_settle(s, c);
    }
}

static void wake_models(struct supervisor *s)
{
    for (struct timer *t; (t = timer_take(&s->model_timers, s->now_ms)) != NULL;) {
        if (t == &s->memory_timer) {
            memory_read(s);
            if (!list_empty(&s->claims))
                s->claims_dirty = true;
        } else {
            model_touch(s, CONTAINER_OF(t, struct model, wake));
        }
    }
    /* A server without workers sleeps: what an inspector uses is nobody's to give back. */
    if (s->memory_timer.place == 0 && (s->children.count > 0 || !list_empty(&s->claims)))
        timer_set(&s->model_timers, &s->memory_timer, s->now_ms + s->options.limits.pressure_ms);
}

/* Steps 3 to 5 for each model that something happened to. */
static void decide(struct supervisor *s)
{
    struct link walk;
    list_move(&walk, &s->dirty_models);
    while (!list_empty(&walk)) {
        struct model *m = CONTAINER_OF(walk.next, struct model, dirty_link);
        list_remove(&m->dirty_link);
        if (s->draining)
            drain_model(s, m);
        if (m->queue.jobs > 0 && m->refill_at_ms == INT64_MAX)
            m->refill_at_ms = s->now_ms;
        if (m->queue.jobs > 0 && m->inspection == INSPECTION_PENDING)
            inspect_hurry(s, m);
        turn_trim(s, m);
        turn_place(s, m);
        turn_want(s, m);
        turn_retire(s, m);
        registry_settle(s, m);
    }
}

static bool is_settled(const struct supervisor *s)
{
    return list_empty(&s->dirty_models) && list_empty(&s->dirty_children) &&
           list_empty(&s->ended) && !s->claims_dirty;
}

/* One pass over everything that is dirty. */
static void pass(struct supervisor *s)
{
    expire_jobs(s);
    settle_children(s);
    wake_models(s);
    inspect_turn(s);
    prepare_turn(s);
    decide(s);
    turn_press(s);
    turn_admit(s);
    turn_share(s);
}

#ifdef WEIR_CHECKED
/* A look at everything is worth as many turns as there are names to look at, so that ten thousand
 * models can be tested too. */
static bool check_is_due(struct supervisor *s)
{
    if (++s->turns_since_check * NAMES_A_TURN < s->by_name.count)
        return false;
    s->turns_since_check = 0;
    return true;
}

/* The property that keeps a missed edge from wedging the server: over the same facts, the same
 * steps over everything decide nothing more. */
static void check_settled(struct supervisor *s)
{
    uint64_t before = s->totals.decisions;
    LIST_EACH(&s->models, at) {
        struct model *m = CONTAINER_OF(at, struct model, link);
        model_touch(s, m);
        LIST_EACH(&m->children, c)
            child_touch(s, CONTAINER_OF(c, struct child, link));
    }
    s->shares_dirty = true;
    pass(s);
    CHECK(s->totals.decisions == before);
    supervisor_check(s);
}
#endif

int64_t supervisor_turn(struct supervisor *s, int64_t now_ms)
{
    supervisor_clock(s, now_ms);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        s->dirty = false;
        pass(s);
        deliver_ends(s);
        if (is_settled(s) && !s->dirty)
            break;
    }
    if (s->dirty || !is_settled(s)) {
        s->dirty = true;
        return s->now_ms;
    }
#ifdef WEIR_CHECKED
    if (check_is_due(s))
        check_settled(s);
#endif
    s->dirty = false;
    int64_t next = timer_next(&s->request_timers);
    int64_t others[] = { timer_next(&s->child_timers), timer_next(&s->model_timers),
                         inspect_wake(s), prepare_wake(s),
                         s->draining && s->now_ms < s->drain_until_ms ? s->drain_until_ms
                                                                      : TIMER_NEVER };
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        if (others[i] < next)
            next = others[i];
    return next;
}

void supervisor_totals(const struct supervisor *s, struct supervisor_totals *out)
{
    *out = s->totals;
    out->requests = s->requests.count;
    out->queued_jobs = s->jobs_waiting;
    out->running_jobs = s->jobs.count - s->jobs_waiting;
    out->leased_bytes = s->leased_bytes;
    out->budget_bytes = s->budget_bytes;
}
