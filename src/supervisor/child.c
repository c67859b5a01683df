/* child.c — one worker process: its state, its deadlines, its leaving.
 *
 * Facts (a frame, a loss, an exit) are recorded as they come; child_settle, run by the turn, acts
 * on them: it steps, orders, kills and buries. It is level-triggered: run twice, the second changes
 * nothing. */
#include "supervisor/state.h"

#include "base/capability.h"
#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DRAIN_TERM_MS 250 /* at the end of a drain, from SIGTERM to SIGKILL */

void child_send(struct supervisor *s, struct child *c, enum frame_type type, uint64_t job,
                struct str body, struct str payload)
{
    s->totals.decisions++;
    s->world->send(s->world->context, c->id, type, job, body, payload);
}

static void child_signal(struct supervisor *s, struct child *c, enum world_signal signal)
{
    s->totals.decisions++;
    s->world->kill(s->world->context, c->id, signal);
}

/* The only writer of child->state. */
void child_step(struct supervisor *s, struct child *c, enum child_event event, const char *reason)
{
    enum child_state from = c->state, to;
    if (!child_rule(from, event, &to))
        return;
    stats_step(s, c, event);
    c->state = to;
    c->state_since_ms = s->now_ms;
    s->totals.rules[from][event]++;
    s->totals.decisions++;
    log_write(s->options.log, LOG_INFO, "child", "%s worker %u: %s -> %s (%s: %s)", c->model->name,
              c->id, child_state_name(from), child_state_name(to), child_event_name(event), reason);
    event_emit(s, &(struct pool_event){ .kind = "state",
                                        .model = c->model->name,
                                        .worker = c->id,
                                        .from = child_state_name(from),
                                        .to = child_state_name(to),
                                        .reason = reason });
    if (to == READY) /* it may have to make way */
        s->claims_dirty = true;
    child_touch(s, c);
    model_touch(s, c->model);
}

struct child *child_create(struct supervisor *s, struct model *m, const struct claim *claim)
{
    struct child *c = mem_new(1, sizeof *c);
    c->lease = (struct lease){ .model = m, .packed = prepare_shares(s, m) };
    prepare_granted(m, c->lease.packed);
    c->id = ++s->last_child;
    c->key = c->id;
    c->model = m;
    c->state = SPAWNING;
    c->slots = m->granted_slots = claim->slots;
    c->context = m->granted_context = claim->context;
    c->spawned_ms = c->state_since_ms = c->last_used_ms = c->ticks_ms = c->heard_ms = s->now_ms;
    list_init(&c->jobs);
    list_push_back(&m->children, &c->link);
    map_put(&s->children, map_id(&c->key), c);
    m->spawned++;
    stats_spawned(m);
    m->load_attempts++;
    s->totals.children++;
    lease_move(s, &c->lease, LEASE_GRANT, claim->context_bytes);
    event_emit(s, &(struct pool_event){ .kind = "state",
                                        .model = m->name,
                                        .worker = c->id,
                                        .to = child_state_name(SPAWNING),
                                        .reason = "granted" });

    unsigned first = 0;
    while ((m->plan.capabilities & 1u << first) == 0) /* no plan is without any */
        first++;
    char title[256];
    snprintf(title, sizeof title, "weir:%s:%s:%u", capability_name(first), m->name, c->id);
    struct spawn_spec spec = { .program = m->settings.program, .title = title, .path = m->path };
    struct weir_error err;
    s->totals.decisions++;
    if (s->world->spawn(s->world->context, SPAWN_WORK, c->id, &spec, &err) != WEIR_OK) {
        c->exited = true;
        snprintf(c->reason, sizeof c->reason, "could not be started");
        snprintf(c->exit_text, sizeof c->exit_text, "%.63s", err.text);
    }
    c->pid = s->world->pid(s->world->context, c->id);
    child_touch(s, c);
    return c;
}

void child_free(struct supervisor *s, struct child *c)
{
    CHECK(c->state == DEAD && c->jobs_count == 0);
    timer_clear(&s->child_timers, &c->wake);
    list_remove(&c->dirty_link);
    list_remove(&c->link);
    CHECK(!link_is_on_list(&c->busy_link));
    map_remove(&s->children, map_id(&c->key));
    mem_free(c);
}

/* A fact: it is not to be trusted any more. The turn acts on it. */
void child_lost(struct supervisor *s, struct child *c, const char *format, ...)
{
    if (c->lost || c->exited || c->state == DEAD || c->state == FAILED)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(c->reason, sizeof c->reason, format, args);
    va_end(args);
    c->lost = true;
    child_touch(s, c);
    model_touch(s, c->model); /* it wants nothing until the reap, whatever the state says */
}

void child_retire(struct supervisor *s, struct child *c, enum eviction why, const char *reason)
{
    c->eviction = why;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
    child_step(s, c, RETIRE, reason);
}

static void enter_phase(struct supervisor *s, struct child *c, enum leave_phase phase,
                        int64_t patience_ms)
{
    c->phase = phase;
    c->phase_until_ms = s->now_ms + patience_ms;
    if (phase == LEAVE_BYE)
        child_send(s, c, FRAME_BYE, 0, (struct str){ 0 }, (struct str){ 0 });
    else if (phase == LEAVE_TERM)
        child_signal(s, c, WORLD_TERM);
    else if (phase == LEAVE_KILL)
        child_signal(s, c, WORLD_KILL);
}

/* Jobs finish, then bye, then SIGTERM, then SIGKILL. What was lost, or has nothing to finish
 * because it never loaded, is killed at once. */
static void advance_leaving(struct supervisor *s, struct child *c)
{
    const struct limits *l = &s->options.limits;
    bool drain_over = s->draining && s->now_ms >= s->drain_until_ms;
    if (c->phase == STAY) {
        bool worked = c->ready_ms > 0 || c->load_error.code != WEIR_OK || c->replan;
        if (c->lost || !worked)
            enter_phase(s, c, LEAVE_KILL, 0);
        else
            enter_phase(s, c, LEAVE_JOBS, l->evict_ms);
    }
    if (drain_over && c->phase < LEAVE_TERM && c->jobs_count > 0)
        enter_phase(s, c, LEAVE_TERM, DRAIN_TERM_MS);
    if (c->lost && c->phase != LEAVE_KILL)
        enter_phase(s, c, LEAVE_KILL, 0);
    if (c->phase == LEAVE_JOBS && (c->jobs_count == 0 || s->now_ms >= c->phase_until_ms))
        enter_phase(s, c, LEAVE_BYE, l->bye_ms);
    if (c->phase == LEAVE_BYE && s->now_ms >= c->phase_until_ms)
        enter_phase(s, c, LEAVE_TERM, l->term_ms);
    if (c->phase == LEAVE_TERM && s->now_ms >= c->phase_until_ms)
        enter_phase(s, c, LEAVE_KILL, 0);
}

/* The exit was reaped: the one place where memory comes back and its jobs learn of it. */
static void bury(struct supervisor *s, struct child *c)
{
    struct model *m = c->model;
    bool loading = c->state == SPAWNING || c->state == LOADING;
    bool unexpected = c->phase == STAY && c->load_error.code == WEIR_OK && !c->replan;
    bool blamed = c->lost || c->phase <= LEAVE_JOBS; /* else it went because it was told to */
    if (c->reason[0] == '\0')
        snprintf(c->reason, sizeof c->reason, "it exited");
    if (unexpected || c->lost)
        log_write(s->options.log, LOG_WARN, "child", "%s worker %u died: %s; %s", m->name, c->id,
                  c->reason, c->exit_text);
    if (loading)
        child_step(s, c, EXITED, c->reason);
    child_step(s, c, EXITED, c->exit_text);
    CHECK(c->state == DEAD);
    lease_move(s, &c->lease, LEASE_REAPED, 0);
    c->measured_bytes = 0;
    CHECK(s->totals.children > 0);
    s->totals.children--;
    m->unloading -= c->unloads;
    s->claims_dirty = s->shares_dirty = true;

    bool second_death = false;
    while (!list_empty(&c->jobs)) {
        struct job *j = CONTAINER_OF(c->jobs.prev, struct job, link);
        second_death = second_death || j->alone;
        job_lost(s, j, c, blamed);
    }
    if (unexpected || c->lost) {
        char what[240];
        snprintf(what, sizeof what, "%s; %s", c->reason, c->exit_text);
        if (c->ready_ms == 0) {
            model_crashed_loading(s, m, what);
        } else {
            if (s->now_ms - c->ready_ms >= s->options.limits.restart_max_ms)
                m->crashes = 0;
            model_crashed(s, m, what, !second_death);
        }
    }
    timer_set(&s->child_timers, &c->wake, s->now_ms + GRAVE_MS);
}

/* Progress is any change of its counter; a worker all of whose jobs wait for credit need not move.
 */
static void check_progress(struct supervisor *s, struct child *c, int64_t patience_ms,
                           const char *doing)
{
    uint64_t ticks = s->world->ticks(s->world->context, c->id);
    bool parked = c->jobs_count > 0;
    LIST_EACH(&c->jobs, at) {
        const struct job *j = CONTAINER_OF(at, struct job, link);
        if (!j->accepted && s->now_ms - j->sent_ms >= s->options.limits.accept_ms) {
            child_lost(s, c, "did not acknowledge a job within %" PRId64 " ms",
                       s->options.limits.accept_ms);
            return;
        }
        if (j->cancel_sent && s->now_ms - j->cancel_ms >= s->options.limits.job_stall_ms) {
            child_lost(s, c, "did not stop a cancelled job within %" PRId64 " ms",
                       s->options.limits.job_stall_ms);
            return;
        }
        /* A cancelled job needs no credit to end. */
        parked = parked && !j->cancel_sent && (j->credit_events <= 0 || j->credit_bytes <= 0);
    }
    if (ticks != c->ticks || parked) {
        c->ticks = ticks;
        c->ticks_ms = s->now_ms;
    } else if (s->now_ms - c->ticks_ms >= patience_ms) {
        child_lost(s, c, "no progress for %" PRId64 " ms while %s", s->now_ms - c->ticks_ms, doing);
    }
}

static void check_quiet(struct supervisor *s, struct child *c)
{
    const struct limits *l = &s->options.limits;
    if (c->ping_ms > 0 && s->now_ms - c->ping_ms >= l->pong_ms) {
        child_lost(s, c, "did not answer a ping within %" PRId64 " ms", l->pong_ms);
        return;
    }
    if (c->ping_ms == 0 && s->now_ms - c->heard_ms >= l->ping_ms) {
        struct buffer body;
        buffer_init(&body, FRAME_BODY_MAX);
        message_ping_write(&body, ++c->ping_sequence);
        child_send(s, c, FRAME_PING, 0, buffer_view(&body), (struct str){ 0 });
        buffer_finish(&body);
        c->ping_ms = s->now_ms;
    }
    if (c->state == READY && s->now_ms - c->last_used_ms >= c->model->settings.idle_label_ms)
        child_step(s, c, QUIET, "no request for a while");
}

/* One that found nothing where it was told that packed weights are says so with UNAVAILABLE. */
static void tell_load_failed(struct supervisor *s, struct child *c)
{
    if (c->lease.packed && c->load_error.code == WEIR_UNAVAILABLE)
        model_lost_preparation(s, c->model, &c->load_error);
    else
        model_load_failed(s, c->model, &c->load_error);
}

void child_settle(struct supervisor *s, struct child *c)
{
    const struct limits *l = &s->options.limits;
    if (c->state == DEAD) {
        if (s->now_ms - c->state_since_ms >= GRAVE_MS) {
            model_touch(s, c->model);
            child_free(s, c);
        }
        return;
    }
    /* Before the exit: it may have failed and gone in one turn. */
    if (c->state == FAILED && c->phase == STAY && c->load_error.code != WEIR_OK)
        tell_load_failed(s, c);
    if (c->state == FAILED && c->phase == STAY && c->replan)
        model_inspect_anew(s, c->model);
    if (c->exited) {
        bury(s, c);
        return;
    }
    if (!c->lost) {
        if (c->state == SPAWNING && s->now_ms - c->state_since_ms >= l->hello_ms)
            child_lost(s, c, "did not say its plan within %" PRId64 " ms", l->hello_ms);
        else if (c->state == LOADING)
            check_progress(s, c, l->load_stall_ms, "loading");
        else if (c->state == PROCESSING || (c->state == EVICTING && c->phase == LEAVE_JOBS))
            check_progress(s, c, l->job_stall_ms, "working");
        else if (c->state == READY || c->state == IDLE)
            check_quiet(s, c);
    }
    if (c->lost && child_state_is_living(c->state))
        child_step(s, c, LOST, c->reason);
    if (c->state == EVICTING || c->state == FAILED)
        advance_leaving(s, c);
    child_arm(s, c);
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

/* Progress is looked at now and then, and in any case when patience would end. */
static int64_t next_look(const struct supervisor *s, const struct child *c, int64_t patience_ms)
{
    int64_t at = earlier(s->now_ms + patience_ms / 4 + 1, c->ticks_ms + patience_ms);
    LIST_EACH(&c->jobs, link) {
        const struct job *j = CONTAINER_OF(link, struct job, link);
        if (!j->accepted)
            at = earlier(at, j->sent_ms + s->options.limits.accept_ms);
        if (j->cancel_sent)
            at = earlier(at, j->cancel_ms + s->options.limits.job_stall_ms);
    }
    return at;
}

/* The next moment at which child_settle may find something to do. */
void child_arm(struct supervisor *s, struct child *c)
{
    const struct limits *l = &s->options.limits;
    int64_t at = TIMER_NEVER;
    switch (c->state) {
    case SPAWNING: at = c->state_since_ms + l->hello_ms; break;
    case LOADING: at = next_look(s, c, l->load_stall_ms); break;
    case PROCESSING: at = next_look(s, c, l->job_stall_ms); break;
    case READY:
    case IDLE:
        at = c->ping_ms > 0 ? c->ping_ms + l->pong_ms : c->heard_ms + l->ping_ms;
        if (c->state == READY)
            at = earlier(at, c->last_used_ms + c->model->settings.idle_label_ms);
        break;
    case EVICTING:
    case FAILED:
        if (c->phase != LEAVE_KILL)
            at = c->phase_until_ms;
        if (c->phase == LEAVE_JOBS)
            at = earlier(at, next_look(s, c, l->job_stall_ms));
        if (s->draining && c->phase < LEAVE_TERM && s->now_ms < s->drain_until_ms)
            at = earlier(at, s->drain_until_ms);
        break;
    default: /* a grave keeps the timer that bury set */ return;
    }
    timer_set(&s->child_timers, &c->wake, at);
}
