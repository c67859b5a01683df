/* retire.c — which worker leaves because nobody needs it. Level-triggered, as every step of the
 * turn: a second run over the same facts decides nothing. */
#include "supervisor/state.h"

static void retire_all(struct supervisor *s, struct model *m, enum eviction why, const char *reason)
{
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (child_state_is_living(c->state) && !c->exited)
            child_retire(s, c, why, reason);
    }
}

/* Those that still load go before those that serve, then the least recently used. */
static bool goes_before(const struct child *a, const struct child *b)
{
    const bool a_serves = a->ready_ms > 0, b_serves = b->ready_ms > 0;
    return a_serves != b_serves ? b_serves : a->last_used_ms < b->last_used_ms;
}

/* The first to go of the living; of those without a job that serve, when only they may. */
static struct child *first_to_go(const struct model *m, bool quiet_only)
{
    struct child *first = NULL;
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        const bool quiet = child_state_may_be_victim(c->state);
        if (!child_state_is_living(c->state) || c->exited || (quiet_only && !quiet))
            continue;
        if (first == NULL || goes_before(c, first))
            first = c;
    }
    return first;
}

/* The settings allow fewer than there are: what has nothing to do goes before it gets a job. */
void turn_trim(struct supervisor *s, struct model *m)
{
    uint32_t living = model_living(m);
    for (; living > m->settings.max_workers; living--) {
        struct child *c = first_to_go(m, true);
        if (c == NULL)
            break;
        child_retire(s, c, EVICTION_SETTINGS, "fewer workers are allowed");
    }
    m->workers_most = living > m->settings.max_workers ? living : m->settings.max_workers;
}

/* The last request wished that nothing stays: now, when no other is left. */
static void retire_unwanted(struct supervisor *s, struct model *m)
{
    if (model_has_jobs(m))
        return;
    m->second_due = false;
    for (uint32_t living = model_living(m); living > model_least(m); living--) {
        struct child *c = first_to_go(m, false);
        if (c == NULL)
            break;
        child_retire(s, c, EVICTION_IDLE, "not to be kept alive");
    }
}

/* One surplus worker a quiet period, the least recently used first, down to the minimum. */
void turn_retire(struct supervisor *s, struct model *m)
{
    if (m->queue.jobs > 0)
        return;
    if (s->draining || m->gone) {
        if (s->draining)
            retire_all(s, m, EVICTION_SHUTDOWN, "shutdown");
        else
            retire_all(s, m, EVICTION_UNREGISTER, m->gone_reason);
        return;
    }
    if (m->keep_alive_ms == KEEP_ALIVE_NONE) {
        retire_unwanted(s, m);
        return;
    }
    uint32_t living = 0, quiet = 0;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        living += child_state_is_living(c->state);
        quiet += child_state_may_be_victim(c->state);
    }
    const int64_t idle_ms = model_idle_ms(m);
    /* A busy or loading worker: the model is not quiet. */
    if (quiet < living || living <= model_least(m) || idle_ms == INT64_MAX)
        return;
    int64_t since = m->last_used_ms > m->last_retired_ms ? m->last_used_ms : m->last_retired_ms;
    if (s->now_ms - since < idle_ms) {
        model_wake_at(s, m, since + idle_ms);
        return;
    }
    struct child *oldest = first_to_go(m, true);
    if (oldest == NULL)
        return;
    m->last_retired_ms = s->now_ms;
    m->second_due = false;
    child_retire(s, oldest, EVICTION_IDLE, "idle");
}
