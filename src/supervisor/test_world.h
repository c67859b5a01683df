/* test_world.h — for the tests beside it: a world of obedient processes on a clock of its own.
 *
 * A process says hello after 10 ms, loads for load_ms, runs each job for job_ms and goes when told.
 * What a test wants otherwise it says in the script: loads that fail, exits that are held back, and
 * payloads that begin with a letter that the process understands (enum test_payload). */
#ifndef SUPERVISOR_TEST_WORLD_H
#define SUPERVISOR_TEST_WORLD_H

#include "base/check.h"
#include "supervisor/supervisor.h"
#include "wire/message.h"
#include "wire/plan.h"

/* STREAMS uses its first credit up and waits; STALLS does so too, hears no cancel, and its caller
 * returns credit itself. */
enum test_payload {
    ENDS = 'e',
    KILLS = 'k',
    RUNS_ON = 'r',
    STREAMS = 't',
    STALLS = 's',
    FAILS = 'f',  /* the model fails on it */
    REFUSES = 'i' /* it is a mistake of its caller */
};

#define TEST_NEVER     INT64_MAX
#define TEST_CACHE     "/cache"
#define TEST_PROCESSES 128

struct test_job {
    uint64_t job; /* 0: free */
    int64_t due_ms;
    char payload;
    bool accepted;
};

struct test_process {
    enum spawn_kind kind;
    struct test_model *model; /* NULL: an inspector or preparer that was not asked yet */
    char title[80];
    bool alive, loaded;
    int64_t hello_ms, load_ms, exit_ms; /* when it will, or TEST_NEVER */
    uint64_t asked, pong;               /* what it has to answer, or 0 */
    struct message_load load;           /* what it was told; its strings are gone */
    bool has_cache;                     /* and whether that named the cache */
    uint32_t runs, threads;             /* jobs given to it; its share of the cores */
    struct test_job jobs[64];
};

struct test_model {
    const char *name;
    struct plan plan;
    bool fails, exits_at_once; /* to load, and without waiting for bye */
    bool states_more;          /* than its inspection */
    bool dies_loading;         /* each worker, when it should be loaded */
    bool kills_inspector;
    uint32_t inspections, preparations;
    const char *prepare_fails; /* and what the preparer says */
    uint32_t gone;             /* so many workers do not find what was prepared */
    uint32_t spawns, runs;
    uint64_t uses_bytes; /* privately, once loaded */
    uint32_t faults_per_s;
};

struct test_world {
    struct world world;
    struct supervisor *supervisor;
    int64_t now_ms;
    uint64_t total_bytes, available_bytes, ticks;
    int64_t load_ms, job_ms, inspect_ms, prepare_ms;
    bool holds_exits, ticks_stand;
    bool is_deaf;           /* no process answers pings */
    bool is_stubborn;       /* none leaves but by SIGKILL */
    uint32_t no_inspectors; /* so many starts fail … */
    int no_inspector_errno; /* … with this errno */
    uint32_t no_workers;    /* likewise of workers, because there is no such program */
    uint32_t no_preparers;  /* and of preparers */
    uint64_t credit_events, credit_bytes; /* given back to all processes */
    uint64_t orders;                      /* all that it was ever asked to do */
    uint32_t cancels, credits, pings, byes, terms, kills;
    struct test_model models[8];
    struct test_process processes[TEST_PROCESSES]; /* by id */
};

/* How a job with that payload ends. */
static inline enum weir_code test_verdict(char payload)
{
    return payload == FAILS ? WEIR_MODEL_FAILED : payload == REFUSES ? WEIR_INVALID : WEIR_OK;
}

static inline struct test_model *test_model(struct test_world *w, struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(w->models); i++)
        if (w->models[i].name != NULL && str_eq(name, str_of(w->models[i].name)))
            return &w->models[i];
    CHECK(false);
}

/* Every job that runs ends now. */
static inline void test_finish_jobs(struct test_world *w)
{
    for (size_t id = 0; id < TEST_PROCESSES; id++)
        for (size_t i = 0; i < ARRAY_COUNT(w->processes[id].jobs); i++)
            w->processes[id].jobs[i].due_ms = w->now_ms;
}

static inline uint32_t test_workers(const struct test_world *w, const struct test_model *m)
{
    uint32_t count = 0;
    for (size_t id = 0; id < TEST_PROCESSES; id++) {
        const struct test_process *p = &w->processes[id];
        count += p->alive && p->kind == SPAWN_WORK && p->model == m;
    }
    return count;
}

static inline void test_emit(struct test_world *w, uint32_t id, enum frame_type type, uint64_t job,
                             struct buffer *body)
{
    supervisor_clock(w->supervisor, w->now_ms);
    const struct frame f = {
        .type = (uint8_t)type, .job = job, .body = body->data, .length = (uint32_t)body->len
    };
    supervisor_on_frame(w->supervisor, id, &f);
    buffer_finish(body);
    buffer_init(body, FRAME_BODY_MAX);
}

static inline void test_exit(struct test_world *w, uint32_t id)
{
    w->processes[id].alive = false;
    supervisor_clock(w->supervisor, w->now_ms);
    supervisor_on_exit(w->supervisor, id, "exit status 0", NULL);
}

#endif
