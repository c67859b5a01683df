/* check.c — the invariants of the whole pool, each checked from the ground up. */
#include "supervisor/state.h"

#include "base/check.h"

struct sums {
    uint64_t leased, bytes_waiting;
    size_t jobs_waiting, jobs_running, requests, names, busy;
    uint64_t children;
};

static void check_job(const struct job *j, const struct model *m, const struct child *c,
                      struct sums *sums)
{
    CHECK(j->model == m && j->child == c);
    CHECK(j->output.len <= j->output_want || j->output_want == 0);
    LIST_EACH(&j->requests, at) {
        const struct request *r = CONTAINER_OF(at, struct request, link);
        CHECK(r->job == j && r->deadline.place != 0);
        sums->requests++;
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
    CHECK(map_get(&s->children, map_id(&c->key)) == c);
    CHECK((jobs > 0) == link_is_on_list(&c->busy_link));
    sums->busy += jobs > 0;
    switch (c->state) {
    case SPAWNING:
    case LOADING: CHECK(jobs == 0 && c->ready_ms == 0 && c->phase == STAY); break;
    case READY:
    case IDLE: CHECK(jobs == 0 && c->phase == STAY && c->ready_ms > 0); break;
    case PROCESSING: CHECK(jobs > 0 && c->phase == STAY); break;
    case FAILED: CHECK(jobs == 0); break;
    case DEAD: CHECK(jobs == 0 && c->context_bytes == 0); break;
    default: break;
    }
    if (c->state != DEAD) {
        sums->children++;
        sums->leased += c->context_bytes;
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

static void check_model(const struct supervisor *s, const struct model *m, struct sums *sums)
{
    uint32_t living = 0, holders = 0, starting = 0, unloading = 0;
    size_t waiting = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < PRIORITIES; i++)
        LIST_EACH(&m->queue.classes[i], at) {
            const struct job *j = CONTAINER_OF(at, struct job, link);
            CHECK(j->priority == i && !list_empty(&j->requests));
            check_job(j, m, NULL, sums);
            waiting++;
            bytes += j->payload_bytes;
        }
    CHECK(waiting == m->queue.jobs && bytes == m->queue.bytes);
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
    CHECK(starting <= 1); /* one spawner a key */
    CHECK(holders == m->holders && (holders > 0 || m->weights_held == 0));
    sums->leased += m->weights_held;
    sums->jobs_waiting += waiting;
    sums->bytes_waiting += bytes;
}

void supervisor_check(const struct supervisor *s)
{
    struct sums sums = { 0 };
    LIST_EACH(&s->models, at)
        check_model(s, CONTAINER_OF(at, struct model, link), &sums);
    for (size_t i = 0; i < WORKER_PROGRAM_COUNT; i++)
        sums.children += s->inspectors[i].id != 0;
    LIST_EACH(&s->ended, at) {
        CHECK(CONTAINER_OF(at, struct request, link)->job == NULL);
        sums.requests++;
    }
    size_t busy = 0;
    LIST_EACH(&s->busy, at)
        busy++;
    CHECK(sums.names == s->by_name.count && sums.busy == busy);
    CHECK(sums.leased == s->leased_bytes);
    CHECK(sums.children == s->totals.children);
    CHECK(sums.jobs_waiting == s->jobs_waiting && sums.bytes_waiting == s->bytes_waiting);
    CHECK(sums.jobs_waiting + sums.jobs_running == s->jobs.count);
    CHECK(sums.requests == s->requests.count);
    CHECK(s->totals.accepted == s->totals.succeeded + s->totals.failed + s->requests.count);
}
