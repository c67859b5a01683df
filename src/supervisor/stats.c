/* stats.c — what the pool counts of its own doing. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

const char *eviction_name(enum eviction e)
{
    static const char *const names[] = {
#define X(NAME, name) name,
        EVICTIONS(X)
#undef X
    };
    return names[e];
}

const char *exit_kind_name(enum exit_kind e)
{
    static const char *const names[] = {
#define X(NAME, name) name,
        EXITS(X)
#undef X
    };
    return names[e];
}

static struct model_stats *stats_of(struct model *m)
{
    if (m->stats == NULL)
        m->stats = mem_new(1, sizeof *m->stats);
    return m->stats;
}

void stats_accepted(struct supervisor *s, struct model *m)
{
    s->totals.accepted++;
    stats_of(m); /* from now on it is shown */
}

void stats_refused(struct model *m, enum weir_code code)
{
    stats_of(m)->outcomes[code]++;
}

/* Its job is still there: one that had reached a worker has a time of waiting. */
void stats_ended(struct supervisor *s, const struct request *r, enum weir_code code)
{
    struct model_stats *stats = stats_of(r->job->model);
    stats->outcomes[code]++;
    histogram_observe(&stats->duration, s->now_ms - r->accepted_ms);
    if (r->job->child != NULL)
        histogram_observe(&stats->queue_wait, r->placed_ms - r->accepted_ms);
}

void stats_tokens(struct model *m, const struct message_end *end)
{
    struct model_stats *stats = stats_of(m);
    stats->tokens[TOKENS_INPUT] += end->input_tokens;
    stats->tokens[TOKENS_OUTPUT] += end->output_tokens;
}

void stats_spawned(struct model *m)
{
    struct model_stats *stats = stats_of(m);
    stats->spawned++;
    stats->restarts += stats->restart_due;
    stats->restart_due = false;
}

static enum exit_kind exit_of(const struct child *c)
{
    if (c->lost)
        return EXIT_LOST;
    if (c->load_error.code != WEIR_OK || c->replan)
        return EXIT_FAILED;
    return c->phase == STAY ? EXIT_CRASHED : EXIT_LEFT;
}

void stats_step(struct supervisor *s, const struct child *c, enum child_event event)
{
    struct model_stats *stats = stats_of(c->model);
    enum child_state to;
    if (!child_rule(c->state, event, &to))
        return;
    if (event == LOADED)
        histogram_observe(&stats->load, s->now_ms - c->state_since_ms);
    else if (event == RETIRE)
        stats->evictions[c->eviction]++;
    else if (event == LOST)
        stats->evictions[EVICTION_LOST]++;
    if (to != DEAD)
        return;
    enum exit_kind how = exit_of(c);
    stats->exits[how]++;
    stats->restart_due = stats->restart_due || how == EXIT_CRASHED || how == EXIT_LOST;
}

void stats_add(struct model_stats *stats, const struct model_stats *more)
{
    for (size_t i = 0; i < WEIR_CODE_COUNT; i++)
        stats->outcomes[i] += more->outcomes[i];
    for (size_t i = 0; i < EVICTION_COUNT; i++)
        stats->evictions[i] += more->evictions[i];
    for (size_t i = 0; i < EXIT_COUNT; i++)
        stats->exits[i] += more->exits[i];
    for (size_t i = 0; i < TOKENS_COUNT; i++)
        stats->tokens[i] += more->tokens[i];
    stats->spawned += more->spawned;
    stats->restarts += more->restarts;
    stats->merged += more->merged;
    histogram_add(&stats->queue_wait, &more->queue_wait);
    histogram_add(&stats->duration, &more->duration);
    histogram_add(&stats->load, &more->load);
}

void stats_leave(struct supervisor *s, struct model *m)
{
    struct model *heir = m->gone ? model_find(s, m->name) : NULL;
    if (m->stats == NULL)
        return;
    m->stats->merged += m->merged;
    if (heir != NULL && strcmp(heir->name, m->name) == 0)
        stats_add(stats_of(heir), m->stats);
    mem_free(m->stats);
    m->stats = NULL;
}
