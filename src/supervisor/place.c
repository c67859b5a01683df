/* place.c — which job goes to which worker. Level-triggered, as every step of the turn: a second
 * run over the same facts decides nothing. */
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

static size_t find_affinity(const struct child *c, uint64_t affinity)
{
    size_t i = 0;
    while (i < AFFINITIES && c->affinity[i] != affinity)
        i++;
    return i;
}

/* To the front; what was asked for the longest ago makes room. */
void child_remember(struct child *c, uint64_t affinity)
{
    if (affinity == 0)
        return;
    size_t i = find_affinity(c, affinity);
    for (i = i < AFFINITIES ? i : AFFINITIES - 1; i > 0; i--)
        c->affinity[i] = c->affinity[i - 1];
    c->affinity[0] = affinity;
}

static bool knows(const struct child *c, const struct job *j)
{
    return j->affinity != 0 && find_affinity(c, j->affinity) < AFFINITIES;
}

/* The one that served the conversation; then by jobs: where each token takes memory, decode steps
 * are shared and one worker is filled before the next, elsewhere the one with the fewest. Among
 * equals the one used last, so that a surplus worker stays quiet and can go. */
static bool is_better(const struct child *a, const struct child *b, const struct job *j)
{
    const bool knows_a = knows(a, j), knows_b = knows(b, j);
    if (knows_a != knows_b)
        return knows_a;
    if (a->jobs_count != b->jobs_count)
        return (a->jobs_count > b->jobs_count) == (a->model->plan.per_token_bytes > 0);
    return a->last_used_ms > b->last_used_ms;
}

/* Where the job goes. `held` is being emptied for one that must run alone. */
static struct child *choose_child(struct model *m, const struct job *j, const struct child *held)
{
    struct child *best = NULL;
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (!child_takes_jobs(c) || c->jobs_count >= c->slots || child_runs_alone(c) || c == held ||
            (j->alone && c->jobs_count > 0))
            continue;
        if (best == NULL || is_better(c, best, j))
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

void turn_place(struct supervisor *s, struct model *m)
{
    /* One that must run alone goes first; while no worker is empty, one is being emptied. */
    const struct child *held = NULL;
    for (struct job *j; held == NULL && (j = queue_first_alone(&m->queue)) != NULL;) {
        struct child *c = choose_child(m, j, NULL);
        if (c != NULL)
            job_place(s, j, c);
        else if ((held = fewest_jobs(m)) == NULL)
            break;
    }
    for (struct job *j; (j = queue_peek(s, &m->queue)) != NULL;) {
        struct child *c = choose_child(m, j, held);
        if (c == NULL)
            break;
        if (j->operation == WEIR_LOAD) {
            end_load_request(s, j);
            continue;
        }
        struct weir_error error;
        if (!model_can(m, j->capability, &error)) {
            job_end(s, j, &error);
            continue;
        }
        job_place(s, j, c);
    }
}
