#include "supervisor/forecast.h"

#include "supervisor/state.h"

#define WEIGHT 8 /* a new time counts one in so many */

static int64_t clamp(int64_t ms)
{
    ms = ms > FORECAST_LEAST_MS ? ms : FORECAST_LEAST_MS;
    return ms < FORECAST_MOST_MS ? ms : FORECAST_MOST_MS;
}

void forecast_ran(struct model *m, int64_t ran_ms)
{
    const double ran = (double)ran_ms;
    m->service_ms = m->jobs_timed ? m->service_ms + (ran - m->service_ms) / WEIGHT : ran;
    m->jobs_timed = true;
}

/* What is left of the load under way, or a whole one. */
static int64_t load_left(const struct supervisor *s, const struct model *m)
{
    int64_t left = m->load_ms;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        if (c->state == LOADING)
            left = m->load_ms - (s->now_ms - c->state_since_ms);
    }
    return left > 0 ? left : 0;
}

int64_t forecast_wait_ms(const struct supervisor *s, const struct model *m, size_t place)
{
    uint64_t slots = 0, taken = 0;
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        if (!child_takes_jobs(c))
            continue;
        slots += c->slots;
        taken += c->jobs_count;
    }
    const int64_t load = slots == 0 ? load_left(s, m) : 0;
    if (slots == 0) /* as soon as there is one worker */
        slots = m->settings.slots > 0 ? m->settings.slots : m->plan.slots;
    if (slots == 0)
        slots = 1;
    if (place + taken <= slots)
        return load;
    const double ahead = (double)(place + taken - slots) / (double)slots * m->service_ms;
    return load + (ahead < (double)FORECAST_MOST_MS * 1000 ? (int64_t)ahead
                                                           : (int64_t)FORECAST_MOST_MS * 1000);
}

int64_t forecast_retry_ms(const struct supervisor *s, const struct model *m)
{
    return clamp(forecast_wait_ms(s, m, m->queue.jobs));
}

/* Idle workers would have left already: memory comes from a busy model that runs out of work. */
int64_t forecast_memory_ms(const struct supervisor *s, const struct model *m)
{
    int64_t soonest = INT64_MAX;
    LIST_EACH(&s->models, at) {
        const struct model *other = CONTAINER_OF(at, struct model, link);
        if (other == m || other->holders == 0 || !other->jobs_timed)
            continue;
        const int64_t done =
            forecast_wait_ms(s, other, other->queue.jobs) + (int64_t)other->service_ms;
        soonest = done < soonest ? done : soonest;
    }
    return clamp(soonest == INT64_MAX ? s->options.limits.pressure_ms : soonest);
}

int64_t forecast_drain_ms(const struct supervisor *s)
{
    return clamp(s->drain_until_ms - s->now_ms);
}
