/* watch.c — the pool from the outside: its events form legal lives, nobody is pushed out who may
 * not be, its numbers agree with those of its world and its callers, and memory that lies idle is
 * not refused for ever to somebody who waits for it. */
#include "process.h"
#include "sim.h"

#include "base/check.h"

#include <string.h>

#define LOOK_MS      1000  /* between looks at who waits for memory */
#define STARVED_MS   60000 /* all who wait could be served from idle memory, and nobody is */
#define STAY_MS      10000 /* a worker stays at most so long while its own model has requests */
#define STUCK_MS     (60000)
#define JUMP_MS      10000
#define RETRY_MS     30000 /* a job that runs alone may keep a worker for itself */
#define LATE_MS      100
#define NONE_STARVES (-1)

static bool state_of(const char *name, enum child_state *state)
{
    for (unsigned i = 0; i < CHILD_STATE_COUNT; i++)
        if (strcmp(child_state_name((enum child_state)i), name) == 0) {
            *state = (enum child_state)i;
            return true;
        }
    return false;
}

static bool may_follow(enum child_state from, enum child_state to)
{
    enum child_state next;
    for (unsigned event = 0; event < CHILD_EVENT_COUNT; event++)
        if (child_rule(from, (enum child_event)event, &next) && next == to)
            return true;
    return false;
}

static uint32_t living(const struct world_sim *w, const struct sim_entry *e)
{
    uint32_t count = 0;
    size_t cursor = 0;
    for (const struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        count += p->entry == e && child_state_is_living(p->state);
    return count;
}

/* By somebody whose patience has not ended in this very turn. */
static bool is_waited_for(const struct sim *s, const struct sim_entry *e)
{
    if (e->opened_ms == s->events.now_ms) /* all that waited have been told so */
        return false;
    LIST_EACH(&e->waiting, at) {
        const struct caller *c = CONTAINER_OF(at, struct caller, link);
        if (!c->cancelled && !c->wrong && c->order.caller != CALLER_SHARED &&
            s->events.now_ms < c->deadline_at_ms)
            return true;
    }
    return false;
}

/* For another model, for being idle or for the machine's sake only a quiet worker may go, and of
 * those that its model keeps none. */
static void check_retired(const struct sim *s, const struct process *p,
                          const struct pool_event *event)
{
    const bool pushed = strcmp(event->reason, "idle") == 0 ||
                        strncmp(event->reason, "evicted", strlen("evicted")) == 0;
    if (!pushed)
        return;
    const uint32_t kept = p->entry->pinned && p->entry->model->min_workers == 0 ? 1
                          : p->entry->registered ? p->entry->model->min_workers
                                                 : 0;
    SIM_EXPECT(child_state_may_be_victim(p->state) && p->works_count == 0,
               "%s worker %u of '%s' was pushed out: %s", event->from, event->worker,
               p->entry->path, event->reason);
    const int64_t load_ms = p->entry->load_ms;
    const int64_t stay_ms = 2 * load_ms < STAY_MS ? 2 * load_ms : STAY_MS;
    SIM_EXPECT(event->reason[0] == 'i' || !is_waited_for(s, p->entry) ||
                   s->events.now_ms - p->ready_ms >= stay_ms,
               "worker %u of '%s', whose requests wait, left after %lld ms: %s", event->worker,
               p->entry->path, (long long)(s->events.now_ms - p->ready_ms), event->reason);
    SIM_EXPECT(living(&s->world, p->entry) > kept, "worker %u of '%s' was one of %u to stay: %s",
               event->worker, p->entry->path, kept, event->reason);
}

/* Trust is lost only in those who gave a reason for it. */
static void check_trust(struct sim *s, const struct process *p, enum child_state from)
{
    struct supervisor_totals t;
    supervisor_totals(s->supervisor, &t);
    const bool lost = t.rules[from][LOST] != s->lost[from];
    s->lost[from] = t.rules[from][LOST];
    SIM_EXPECT(!lost || p->sick || p->dead || p->channel_lost,
               "worker %llu was sound and was given up while %s", (unsigned long long)p->key,
               child_state_name(from));
}

static void on_state(struct sim *s, const struct pool_event *event)
{
    enum child_state from, to;
    SIM_EXPECT(state_of(event->to, &to) && event->reason != NULL, "a state '%s'", event->to);
    if (event->from == NULL)
        return;
    SIM_EXPECT(state_of(event->from, &from) && may_follow(from, to), "worker %u: %s after %s",
               event->worker, event->to, event->from);
    s->steps[from][to]++;
    struct process *p = process_find(&s->world, event->worker);
    if (p == NULL) /* its exit was reported: it is being buried */
        return;
    SIM_EXPECT(p->state == from, "worker %u: %s, and it was %s", event->worker, event->from,
               child_state_name(p->state));
    SIM_EXPECT(to != IDLE || s->events.now_ms - p->quiet_ms >= SIM_LABEL_MS,
               "worker %u is called quiet after %lld ms", event->worker,
               (long long)(s->events.now_ms - p->quiet_ms));
    if (to == EVICTING || to == FAILED)
        check_trust(s, p, from);
    if (to == EVICTING)
        check_retired(s, p, event);
    p->state = to;
}

void watch_on_event(void *context, const struct pool_event *event)
{
    struct sim *s = context;
    events_note(&s->events, event->kind, event->worker, 0);
    if (strcmp(event->kind, "state") == 0)
        on_state(s, event);
    if (strcmp(event->kind, "breaker") == 0)
        LIST_EACH(&s->world.entries, at) {
            struct sim_entry *e = CONTAINER_OF(at, struct sim_entry, link);
            if (strcmp(e->model->name, event->model) == 0)
                e->opened_ms = s->events.now_ms;
        }
    if (strcmp(event->kind, "prepare") == 0) /* of all who wait for their turn with that */
        s->starved_since_ms = NONE_STARVES;
    if (strcmp(event->kind, "prepared") == 0 && strcmp(event->to, "failed") == 0)
        LIST_EACH(&s->world.entries, at) {
            struct sim_entry *e = CONTAINER_OF(at, struct sim_entry, link);
            e->unprepared |= strcmp(e->model->name, event->model) == 0;
        }
    if (strcmp(event->kind, "inspected") != 0)
        return;
    s->world.inspections++;
    for (size_t i = 0; i < s->world.models_count; i++)
        if (s->current[i] != NULL && strcmp(sim_models[i].name, event->model) == 0) {
            s->current[i]->inspected = true;
            s->current[i]->spoilt |= strcmp(event->to, "problem") == 0;
        }
}

/* What could not be had for somebody else now: what works, loads, is kept, or is too fresh. */
struct held {
    uint64_t leased, resident, to_come;
};

static bool is_held(const struct sim *s, const struct process *p)
{
    if (p->works_count > 0 || p->state == SPAWNING || p->state == LOADING)
        return true;
    const bool fresh = s->events.now_ms - p->quiet_ms < STAY_MS && p->entry->requests > 0;
    return fresh || p->entry->pinned || p->entry->model->min_workers > 0;
}

static struct held held(const struct sim *s)
{
    struct held h = { 0 };
    size_t cursor = 0;
    LIST_EACH(&s->world.entries, at) {
        const struct sim_entry *e = CONTAINER_OF(at, struct sim_entry, link);
        bool any = false;
        cursor = 0;
        for (const struct process *p; (p = map_next(&s->world.processes, &cursor)) != NULL;) {
            if (p->entry != e || !is_held(s, p))
                continue;
            const uint64_t most = p->grows ? p->needs_bytes + p->needs_bytes / 4 : p->needs_bytes;
            const bool loads = p->state == SPAWNING || p->state == LOADING;
            h.leased += most;
            *(loads ? &h.to_come : &h.resident) += most;
            any = true;
        }
        h.leased += any ? e->model->plan.weights_bytes + e->packed_bytes : 0;
        h.to_come += any ? e->model->plan.weights_bytes + e->packed_bytes : 0;
    }
    return h;
}

static bool would_fit(const struct sim *s, const struct sim_entry *e, const struct held *h)
{
    const struct world_sim *w = &s->world;
    const uint64_t need = process_most_bytes(e) + e->model->plan.weights_bytes;
    const uint64_t quiet = w->total_bytes / 20 * 7; /* well below high pressure in the end */
    return h->leased + need <= world_sim_budget(w) &&
           w->foreign_bytes + h->resident + h->to_come + need + quiet <= w->total_bytes;
}

/* True when somebody waits without a worker, and everybody who does could have one. */
static bool all_who_wait_fit(const struct sim *s)
{
    const struct held h = held(s);
    bool any = false;
    LIST_EACH(&s->world.entries, at) {
        const struct sim_entry *e = CONTAINER_OF(at, struct sim_entry, link);
        if (e->requests == 0 || e->processes > 0)
            continue;
        if (!e->inspected || e->spoilt || e->model->temper != TEMPER_SOUND || !would_fit(s, e, &h))
            return false;
        any = true;
    }
    return any;
}

static void look_for_the_starved(struct sim *s)
{
    const int64_t now = s->events.now_ms;
    if (s->world.draining || !all_who_wait_fit(s))
        s->starved_since_ms = NONE_STARVES;
    else if (s->starved_since_ms == NONE_STARVES)
        s->starved_since_ms = now;
    else
        SIM_EXPECT(now - s->starved_since_ms <= STARVED_MS,
                   "idle memory was refused to all who wait for %lld ms",
                   (long long)(now - s->starved_since_ms));
}

/* None of its jobs has credit: whether it hangs cannot be told. */
static bool is_parked(const struct process *p)
{
    for (size_t i = 0; i < SIM_SLOTS_MAX; i++)
        if (p->works[i].job != 0 && p->works[i].credit_events > 0 && p->works[i].credit_bytes > 0)
            return false;
    return p->works_count > 0;
}

/* One worker, at rest: it is called what it is, and what went wrong with it was seen. */
static void look_at_process(const struct sim *s, const struct process *p)
{
    const int64_t now = s->events.now_ms;
    const unsigned long long id = p->key;
    SIM_EXPECT(!p->broke || p->dead || !child_state_is_living(p->state),
               "worker %llu broke the protocol and is %s", id, child_state_name(p->state));
    SIM_EXPECT(!p->stuck || is_parked(p) || now - p->stuck_ms <= STUCK_MS,
               "worker %llu does nothing for %lld ms", id, (long long)(now - p->stuck_ms));
    SIM_EXPECT(p->state != READY || p->works_count > 0 ||
                   now - p->quiet_ms <= SIM_LABEL_MS + LATE_MS,
               "worker %llu is Ready and quiet for %lld ms", id, (long long)(now - p->quiet_ms));
}

/* Work and cores go to those that can use them. */
static void look_at_work(const struct sim *s)
{
    uint32_t busy = 0, threads = 0;
    uint64_t works = 0, workers = 0;
    size_t cursor = 0;
    for (const struct process *p; (p = map_next(&s->world.processes, &cursor)) != NULL;) {
        if (p->entry == NULL) {
            SIM_EXPECT(!p->broke || p->dead || p->killed, "helper %llu is trusted",
                       (unsigned long long)p->key);
            continue;
        }
        look_at_process(s, p);
        workers++;
        works += p->works_count;
        busy += p->works_count > 0;
        threads += p->works_count > 0 ? p->threads : 0;
        SIM_EXPECT(p->dead || p->works_count > 0 || !child_state_takes_jobs(p->state) ||
                       !is_waited_for(s, p->entry) ||
                       s->events.now_ms - p->entry->lost_ms < RETRY_MS,
                   "worker %llu has nothing to do and requests of '%s' wait",
                   (unsigned long long)p->key, p->entry->path);
    }
    struct supervisor_totals t;
    supervisor_totals(s->supervisor, &t);
    SIM_EXPECT(works <= t.running_jobs, "%llu jobs run, the pool knows of %llu",
               (unsigned long long)works, (unsigned long long)t.running_jobs);
    SIM_EXPECT(
        works < t.running_jobs ||
            (busy <= SIM_THREADS ? threads == (busy > 0 ? SIM_THREADS : 0) : threads == busy),
        "%u workers compute with %u threads of %u", busy, threads, SIM_THREADS);
    SIM_EXPECT(
        workers == 0 || s->events.now_ms - s->world.told_ms <= limits_default.pressure_ms + LOOK_MS,
        "memory was not looked at for %lld ms", (long long)(s->events.now_ms - s->world.told_ms));
}

/* From the outside: the pool's own numbers agree with those of its world and its callers. */
static void check_totals(const struct sim *s)
{
    struct supervisor_totals t;
    supervisor_totals(s->supervisor, &t);
    const unsigned long long children = t.children, alive = world_sim_alive(&s->world);
    SIM_EXPECT(children == alive, "the pool counts %llu children, the world %llu", children, alive);
    SIM_EXPECT(t.accepted == s->accepted && t.requests == s->live,
               "the pool has %llu requests, the callers wait for %llu",
               (unsigned long long)t.requests, (unsigned long long)s->live);
    SIM_EXPECT(t.succeeded == s->codes[WEIR_OK] &&
                   t.succeeded + t.failed + t.requests == t.accepted,
               "of %llu requests %llu succeeded, %llu failed and %llu are open",
               (unsigned long long)t.accepted, (unsigned long long)t.succeeded,
               (unsigned long long)t.failed, (unsigned long long)t.requests);
    const uint64_t needs = world_sim_needs(&s->world);
    SIM_EXPECT(needs <= t.leased_bytes && t.leased_bytes <= needs + world_sim_slack(&s->world),
               "processes may use %llu bytes and perhaps %llu more, leased are %llu",
               (unsigned long long)needs, (unsigned long long)world_sim_slack(&s->world),
               (unsigned long long)t.leased_bytes);
}

void watch_settled(struct sim *s)
{
    const int64_t since = s->events.now_ms - s->looked_ms;
    check_totals(s);
    if (since < LOOK_MS)
        return;
    s->looked_ms = s->events.now_ms;
    if (since > JUMP_MS) {
        s->starved_since_ms = NONE_STARVES;
        return;
    }
    look_at_work(s);
    look_for_the_starved(s);
    /* Each inspector gives an answer, costs one, or loses it with the one who asked. */
    const uint64_t lost =
        s->world.deeds_count[DEED_UNREGISTERED] + s->world.deeds_count[DEED_REPLACED];
    SIM_EXPECT(s->world.inspectors <= s->world.inspections + lost + 1,
               "%llu inspectors for %llu inspections", (unsigned long long)s->world.inspectors,
               (unsigned long long)s->world.inspections);
}
