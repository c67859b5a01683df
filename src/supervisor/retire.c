/* retire.c — which worker leaves because nobody needs it. Level-triggered, as every step of the
 * turn: a second run over the same facts decides nothing. */
#include "supervisor/state.h"

static void retire_all(struct supervisor *s, struct model *m, const char *reason)
{
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (child_state_is_living(c->state) && !c->exited)
            child_retire(s, c, reason);
    }
}

/* One surplus worker a quiet period, the least recently used first, down to the minimum. */
void turn_retire(struct supervisor *s, struct model *m)
{
    if (m->queue.jobs > 0)
        return;
    if (s->draining || m->gone) {
        retire_all(s, m, s->draining ? "shutdown" : "unregistered");
        return;
    }
    uint32_t living = 0;
    struct child *oldest = NULL;
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (!child_state_is_living(c->state))
            continue;
        if (!child_state_may_be_victim(c->state) || c->jobs_count > 0)
            return; /* a busy or loading worker: the model is not quiet */
        living++;
        if (oldest == NULL || c->last_used_ms < oldest->last_used_ms)
            oldest = c;
    }
    if (oldest == NULL || living <= m->settings.min_workers)
        return;
    int64_t since = m->last_used_ms > m->last_retired_ms ? m->last_used_ms : m->last_retired_ms;
    if (s->now_ms - since < m->settings.idle_ms) {
        model_wake_at(s, m, since + m->settings.idle_ms);
        return;
    }
    m->last_retired_ms = s->now_ms;
    m->second_due = false;
    child_retire(s, oldest, "idle");
}
