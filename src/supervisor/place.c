/* place.c — which job goes to which worker, and how many cores each worker gets. Level-triggered,
 * as every step of the turn: a second run over the same facts decides nothing. */
#include "supervisor/state.h"

#include "base/error.h"

bool child_takes_jobs(const struct child *c)
{
    return child_state_takes_jobs(c->state) && !c->lost && !c->exited;
}

bool child_runs_alone(const struct child *c)
{
    return c->jobs_count == 1 && CONTAINER_OF(c->jobs.next, struct job, link)->alone;
}

/* Where the next job goes: the worker with the fewest jobs, among equals the one used last, so that
 * a surplus worker stays quiet and can go. `held` is being emptied for a job that must run alone.
 */
static struct child *choose_child(struct model *m, bool alone, const struct child *held)
{
    struct child *best = NULL;
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (!child_takes_jobs(c) || c->jobs_count >= c->slots || child_runs_alone(c) || c == held ||
            (alone && c->jobs_count > 0))
            continue;
        if (best == NULL || c->jobs_count < best->jobs_count ||
            (c->jobs_count == best->jobs_count && c->last_used_ms > best->last_used_ms))
            best = c;
    }
    return best;
}

static struct child *fewest_jobs(struct model *m)
{
    struct child *best = NULL;
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (child_takes_jobs(c) && !child_runs_alone(c) &&
            (best == NULL || c->jobs_count < best->jobs_count))
            best = c;
    }
    return best;
}

static void end_load_request(struct supervisor *s, struct job *j)
{
    struct weir_error ok = { .code = WEIR_OK, .index = -1 };
    job_end(s, j, &ok);
}

/* Those that must run alone stand in front of their class. */
static struct job *first_alone(const struct queue *q)
{
    for (size_t i = 0; i < PRIORITIES; i++) {
        if (list_empty(&q->classes[i]))
            continue;
        struct job *front = CONTAINER_OF(q->classes[i].next, struct job, link);
        if (front->alone)
            return front;
    }
    return NULL;
}

void turn_place(struct supervisor *s, struct model *m)
{
    /* One that must run alone goes first; while no worker is empty, one is being emptied. */
    const struct child *held = NULL;
    for (struct job *j; held == NULL && (j = first_alone(&m->queue)) != NULL;) {
        struct child *c = choose_child(m, true, NULL);
        if (c != NULL)
            job_place(s, j, c);
        else if ((held = fewest_jobs(m)) == NULL)
            break;
    }
    for (struct job *j; (j = queue_peek(s, &m->queue)) != NULL;) {
        struct child *c = choose_child(m, false, held);
        if (c == NULL)
            break;
        if (j->operation == WEIR_LOAD) {
            end_load_request(s, j);
            continue;
        }
        if (j->capability < WEIR_CAPABILITY_COUNT &&
            (m->plan.capabilities & 1u << j->capability) == 0) {
            struct weir_error error;
            weir_fail(&error, WEIR_INVALID, "model '%s' (%s) has not the capability asked for",
                      m->name, m->plan.architecture);
            job_end(s, j, &error);
            continue;
        }
        job_place(s, j, c);
    }
}

/* The cores, shared out among the workers that compute now; each gets at least one. In the order in
 * which they became busy, so that the same workers always get the same shares. */
void turn_share(struct supervisor *s)
{
    if (!s->shares_dirty)
        return;
    s->shares_dirty = false;
    uint32_t busy = 0, given = 0;
    LIST_EACH(&s->busy, at)
        busy++;
    LIST_EACH(&s->busy, at) {
        struct child *c = CONTAINER_OF(at, struct child, busy_link);
        uint32_t share = s->options.threads / busy + (given++ < s->options.threads % busy ? 1 : 0);
        share = share > 0 ? share : 1;
        if (share == c->threads)
            continue;
        c->threads = share;
        s->totals.decisions++;
        s->world->share(s->world->context, c->id, share);
    }
}
