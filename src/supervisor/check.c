/* check.c — the invariants of the whole pool, each checked from the ground up. */
#include "supervisor/state.h"

#include "base/check.h"

struct sums {
    uint64_t leased, bytes_waiting;
    size_t jobs_waiting, jobs_running, requests, joined, names;
    uint32_t busy;
    uint64_t children;
};

static void check_job(const struct job *j, const struct model *m, const struct child *c,
                      struct sums *sums)
{
    CHECK(j->model == m && j->child == c && list_empty(&j->untold));
    CHECK(j->output.len <= j->output_want || j->output_want == 0);
    CHECK(c == NULL || j->lane == NULL);
    LIST_EACH(&j->requests, at) {
        const struct request *r = CONTAINER_OF(at, struct request, link);
        CHECK(r->job == j && r->deadline.place != 0);
        CHECK(j->priority <= r->priority);
        sums->requests++;
        sums->joined += r->joined;
    }
}

static void check_child(const struct supervisor *s, const struct child *c, struct sums *sums)
{
    uint32_t jobs = 0, alone = 0;
    LIST_EACH(&c->jobs, at) {
        const struct job *j = CONTAINER_OF(at, struct job, link);
        check_job(j, c->model, c, sums);
        jobs++;
        alone += j->alone;
    }
    sums->jobs_running += jobs;
    CHECK(jobs == c->jobs_count && jobs <= c->slots);
    CHECK(alone == 0 || jobs == 1);
    CHECK(link_is_on_list(&c->busy_link) == (jobs > 0));
    sums->busy += jobs > 0;
    CHECK(map_get(&s->children, map_id(&c->key)) == c);
    switch (c->state) {
    case SPAWNING:
    case LOADING: CHECK(jobs == 0 && c->ready_ms == 0 && c->phase == STAY); break;
    case READY:
    case IDLE: CHECK(jobs == 0 && c->phase == STAY && c->ready_ms > 0); break;
    case PROCESSING: CHECK(jobs > 0 && c->phase == STAY); break;
    case FAILED: CHECK(jobs == 0); break;
    case DEAD: CHECK(jobs == 0 && c->lease.context_bytes == 0); break;
    default: break;
    }
    if (c->state != DEAD) {
        sums->children++;
        sums->leased += c->lease.context_bytes;
    }
}

/* Names lead to whom they name and to nobody else; who is to be inspected stands in that queue. */
static void check_names(const struct supervisor *s, const struct model *m, struct sums *sums)
{
    const bool asked = link_is_on_list(&m->inspect_link);
    CHECK(!asked || m->inspection == INSPECTION_PENDING);
    CHECK(asked || m->inspection != INSPECTION_PENDING || (m->gone && !model_has_jobs(m)));
    for (size_t i = 0; i <= m->settings.aliases_count; i++) {
        const char *name = i == 0 ? m->name : m->aliases[i - 1];
        CHECK((map_get(&s->by_name, str_of(name)) == m) == !m->gone);
        sums->names += !m->gone;
    }
}

/* One client's jobs at one level; gives how many there are. */
static size_t check_lane(const struct lane *lane, size_t level, const struct model *m,
                         struct sums *sums, uint64_t *bytes)
{
    size_t jobs = 0;
    LIST_EACH(&lane->jobs, at) {
        const struct job *j = CONTAINER_OF(at, struct job, link);
        CHECK(j->lane == lane && j->level == level && !j->alone && !list_empty(&j->requests));
        CHECK(link_is_on_list(&j->entered) && link_is_on_list(&j->arrival));
        check_job(j, m, NULL, sums);
        jobs++;
        *bytes += j->payload_bytes;
    }
    CHECK(jobs == lane->count && jobs > 0);
    return jobs;
}

/* In order of their coming to a level, and of their arrival. */
static size_t check_order(const struct queue *q)
{
    size_t jobs = 0;
    for (size_t i = 0; i < PRIORITIES; i++) {
        int64_t last = INT64_MIN;
        LIST_EACH(&q->levels[i].entered, at) {
            const struct job *j = CONTAINER_OF(at, struct job, entered);
            CHECK(j->level == i && i <= j->priority && j->level_ms >= last);
            last = j->level_ms;
            jobs++;
        }
    }
    int64_t last = INT64_MIN;
    LIST_EACH(&q->arrivals, at) {
        const struct job *j = CONTAINER_OF(at, struct job, arrival);
        CHECK(j->queued_ms >= last);
        last = j->queued_ms;
        jobs++;
    }
    return jobs;
}

static void check_queue(const struct model *m, struct sums *sums)
{
    const struct queue *q = &m->queue;
    size_t lanes = 0, clients = 0, cursor = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < PRIORITIES; i++)
        LIST_EACH(&q->levels[i].lanes, at)
            lanes += check_lane(CONTAINER_OF(at, struct lane, turn), i, m, sums, &bytes);
    for (const struct queue_client *c; (c = map_next(&q->clients, &cursor)) != NULL;) {
        CHECK(c->jobs > 0);
        clients += c->jobs;
    }
    CHECK(clients == lanes && check_order(q) == 2 * lanes);
    size_t alone = 0;
    LIST_EACH(&q->alone, at) {
        const struct job *j = CONTAINER_OF(at, struct job, link);
        CHECK(j->alone && j->lane == NULL && !list_empty(&j->requests));
        check_job(j, m, NULL, sums);
        alone++;
        bytes += j->payload_bytes;
    }
    CHECK(lanes + alone == q->jobs && bytes == q->bytes);
}

/* Before its first worker, once at a time; and of what was prepared all workers have a share. */
static void check_preparation(const struct supervisor *s, const struct model *m, uint32_t living)
{
    const bool runs = m->preparation == PREPARATION_RUNNING;
    CHECK((s->preparers[m->settings.program].model == m) == runs);
    CHECK(living == 0 || (!runs && m->preparation != PREPARATION_READY));
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        CHECK(c->lease.model == m);
        if (child_state_is_living(c->state))
            CHECK(c->lease.packed == (m->preparation == PREPARATION_SHARED));
    }
}

static void check_model(const struct supervisor *s, const struct model *m, struct sums *sums)
{
    uint32_t living = 0, holders = 0, starting = 0, unloading = 0;
    const size_t joined = sums->joined;
    check_queue(m, sums);
    LIST_EACH(&m->children, at) {
        const struct child *c = CONTAINER_OF(at, struct child, link);
        CHECK(c->model == m);
        living += child_state_is_living(c->state);
        holders += child_state_holds_memory(c->state);
        starting += c->state == SPAWNING || c->state == LOADING;
        unloading += c->unloads && c->state != DEAD;
        check_child(s, c, sums);
    }
    CHECK(living <= m->workers_most && unloading == m->unloading);
    CHECK(!m->gone || !m->preload_due);
    check_names(s, m, sums);
    check_preparation(s, m, living);
    CHECK(starting <= 1); /* one spawner a key */
    CHECK(holders == m->holders && (holders > 0 || m->weights_held == 0));
    CHECK(sums->joined - joined == m->queue.joined);
    sums->leased += m->weights_held;
    sums->jobs_waiting += m->queue.jobs;
    sums->bytes_waiting += m->queue.bytes;
}

/* What may be joined is there, and found by its own hash. */
static void check_mergeable(const struct supervisor *s)
{
    size_t cursor = 0;
    for (const struct job *j; (j = map_next(&s->mergeable, &cursor)) != NULL;)
        CHECK(map_get(&s->jobs, map_id(&j->id)) == j &&
              map_get(&s->mergeable, map_id(&j->hash)) == j);
}

static uint32_t check_busy(const struct supervisor *s)
{
    uint32_t count = 0, last = 0;
    LIST_EACH(&s->busy, at) {
        const struct child *c = CONTAINER_OF(at, struct child, busy_link);
        CHECK(c->jobs_count > 0 && c->id > last);
        last = c->id;
        count++;
    }
    CHECK(count == s->busy_count);
    return count;
}

/* The processes of one program that are no workers. */
static void check_helpers(const struct supervisor *s, size_t program, struct sums *sums)
{
    const struct preparer *p = &s->preparers[program];
    const bool runs = p->helper.id != 0;
    sums->children += s->inspectors[program].helper.id != 0;
    sums->children += runs;
    CHECK(p->lease.model == NULL && p->lease.context_bytes == (runs ? PREPARE_BYTES : 0));
    sums->leased += p->lease.context_bytes;
    CHECK(p->model == NULL || (runs && p->model->preparation == PREPARATION_RUNNING &&
                               p->model->settings.program == program));
    CHECK(p->helper.asked == 0 || p->model != NULL);
}

void supervisor_check(const struct supervisor *s)
{
    struct sums sums = { 0 };
    check_mergeable(s);
    LIST_EACH(&s->models, at)
        check_model(s, CONTAINER_OF(at, struct model, link), &sums);
    for (size_t i = 0; i < WORKER_PROGRAM_COUNT; i++)
        check_helpers(s, i, &sums);
    LIST_EACH(&s->ended, at) {
        CHECK(CONTAINER_OF(at, struct request, link)->job == NULL);
        sums.requests++;
    }
    CHECK(sums.names == s->by_name.count && sums.busy == check_busy(s));
    CHECK(sums.leased == s->leased_bytes);
    CHECK(sums.children == s->totals.children);
    CHECK(sums.jobs_waiting == s->jobs_waiting && sums.bytes_waiting == s->bytes_waiting);
    CHECK(sums.jobs_waiting + sums.jobs_running == s->jobs.count);
    CHECK(sums.requests == s->requests.count);
    CHECK(s->totals.accepted == s->totals.succeeded + s->totals.failed + s->requests.count);
}
