/* test_world.h — for the tests beside it: a world of obedient processes on a clock of its own.
 *
 * A process says hello after 10 ms, loads for load_ms, runs each job for job_ms and goes when told.
 * What a test wants otherwise it says in the script: loads that fail, exits that are held back, and
 * payloads that begin with a letter that the process understands (enum test_payload). */
#ifndef SUPERVISOR_TEST_WORLD_H
#define SUPERVISOR_TEST_WORLD_H

#include "base/check.h"
#include "supervisor/supervisor.h"
#include "wire/build_id.h"
#include "wire/message.h"

#include <string.h>

enum test_payload { ENDS = 'e', KILLS = 'k', RUNS_ON = 'r' };

#define TEST_NEVER     INT64_MAX
#define TEST_PROCESSES 128

struct test_job {
    uint64_t job; /* 0: free */
    int64_t due_ms;
    char payload;
    bool accepted;
};

struct test_process {
    enum spawn_kind kind;
    struct test_model *model; /* NULL: an inspector */
    bool alive, loaded;
    int64_t hello_ms, load_ms, exit_ms; /* when it will, or TEST_NEVER */
    uint64_t asked, pong;               /* what it has to answer, or 0 */
    struct test_job jobs[64];
};

struct test_model {
    const char *name;
    struct plan plan;
    bool fails, exits_at_once; /* to load, and without waiting for bye */
    bool states_more;          /* than its inspection */
    uint32_t spawns, runs;
};

struct test_world {
    struct world world;
    struct supervisor *supervisor;
    int64_t now_ms;
    uint64_t total_bytes, available_bytes, ticks;
    int64_t load_ms, job_ms, inspect_ms;
    bool holds_exits;
    uint32_t kills, byes, cancels;
    struct test_model models[8];
    struct test_process processes[TEST_PROCESSES]; /* by id */
};

static inline struct test_model *test_model(struct test_world *w, struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(w->models); i++)
        if (w->models[i].name != NULL && str_eq(name, str_of(w->models[i].name)))
            return &w->models[i];
    CHECK(false);
}

static inline enum weir_code test_spawn(void *context, enum spawn_kind kind, uint32_t id,
                                        const struct spawn_spec *spec, struct weir_error *err)
{
    struct test_world *w = context;
    (void)err;
    CHECK(id < TEST_PROCESSES && !w->processes[id].alive);
    struct test_process *p = &w->processes[id];
    *p = (struct test_process){ .kind = kind,
                                .alive = true,
                                .hello_ms = w->now_ms + 10,
                                .load_ms = TEST_NEVER,
                                .exit_ms = TEST_NEVER };
    if (kind == SPAWN_WORK) {
        p->model = test_model(w, str_of(spec->path));
        p->model->spawns++;
    }
    return WEIR_OK;
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

static inline void test_send(void *context, uint32_t id, enum frame_type type, uint64_t job,
                             struct str body, struct str payload)
{
    struct test_world *w = context;
    struct test_process *p = &w->processes[id];
    const struct frame f = { .body = (const uint8_t *)body.data, .length = (uint32_t)body.len };
    struct test_job *slot = p->jobs;
    if (type == FRAME_LOAD)
        p->load_ms = w->now_ms + w->load_ms;
    if (type == FRAME_INSPECT) {
        struct message_inspect m;
        CHECK(message_inspect_read(&f, &m, NULL));
        p->model = test_model(w, m.path);
        p->asked = job;
        p->load_ms = w->now_ms + w->inspect_ms;
    }
    if (type == FRAME_RUN) {
        CHECK(p->loaded && payload.len > 0);
        while (slot->job != 0)
            slot++;
        const char letter = payload.data[0];
        *slot = (struct test_job){ job, w->now_ms + w->job_ms, letter, false };
        if (letter == RUNS_ON)
            slot->due_ms = TEST_NEVER;
        p->model->runs++;
    }
    w->cancels += type == FRAME_CANCEL;
    for (; type == FRAME_CANCEL && slot->job != job; slot++)
        CHECK(slot < &p->jobs[63]);
    if (type == FRAME_CANCEL)
        slot->payload = ENDS, slot->due_ms = w->now_ms;
    w->byes += type == FRAME_BYE;
    if (type == FRAME_BYE)
        p->exit_ms = w->now_ms + 1;
    if (type == FRAME_PING)
        CHECK(message_ping_read(&f, &p->pong, NULL));
}

static inline void test_kill(void *context, uint32_t id, enum world_signal signal)
{
    struct test_world *w = context;
    (void)signal;
    w->kills++;
    w->processes[id].exit_ms = w->now_ms + 1;
}

static inline void test_share(void *context, uint32_t id, uint32_t threads)
{
    (void)context, (void)id, (void)threads;
}

static inline uint64_t test_ticks(void *context, uint32_t id)
{
    (void)id;
    return ++((struct test_world *)context)->ticks;
}

static inline void test_memory(void *context, struct memory_facts *facts)
{
    const struct test_world *w = context;
    facts->total_bytes = w->total_bytes;
    facts->available_bytes = w->available_bytes;
}

static inline int64_t test_pid(void *context, uint32_t id)
{
    return ((struct test_world *)context)->processes[id].alive ? id : 0;
}

#endif
