/* turn — what a turn of the pool costs beside many models that nobody uses.
 *
 * Two pools take one job after another, by turns: a small one (1 model, 1 worker) and a large one
 * (1,000 models, 64 of them with an idle worker). The supervisor is the real one, its world answers
 * at once, so that nothing but the turn is timed. Fails above 1.2 times. */
#include "bench.h"

#include "base/check.h"
#include "base/mem.h"
#include "supervisor/supervisor.h"
#include "wire/build_id.h"
#include "wire/message.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 20000
#define WARM   2000
#define LIMIT  1.2

enum act { ACT_NONE, ACT_HELLO, ACT_INSPECTED, ACT_LOADED, ACT_ANSWER, ACT_PONG, ACT_EXIT };

struct process {
    enum spawn_kind kind;
    enum act act; /* due now */
    uint64_t number;
};

struct pool {
    struct world world;
    struct supervisor *supervisor;
    struct process processes[2048];
    uint32_t last;
    int64_t now_ms;
    uint64_t ticks;
    bool ended;
    struct samples turns;
};

static struct plan plan_of_all(void)
{
    return (struct plan){ .capabilities = 1u << WEIR_TEXT_EMBEDDING,
                          .architecture = "fake",
                          .weights_bytes = 1 << 20,
                          .fixed_bytes = 1 << 20,
                          .positions = 512,
                          .tokens_max = 512,
                          .slots = 1 };
}

static enum weir_code world_spawn(void *context, enum spawn_kind kind, uint32_t id,
                                  const struct spawn_spec *spec, struct weir_error *err)
{
    struct pool *p = context;
    (void)spec, (void)err;
    CHECK(id < ARRAY_COUNT(p->processes));
    p->processes[id] = (struct process){ .kind = kind, .act = ACT_HELLO };
    p->last = id > p->last ? id : p->last;
    return WEIR_OK;
}

static void world_send(void *context, uint32_t id, enum frame_type type, uint64_t job,
                       struct str body, struct str payload)
{
    struct pool *p = context;
    struct process *it = &p->processes[id];
    (void)payload;
    it->number = job;
    if (type == FRAME_INSPECT)
        it->act = ACT_INSPECTED;
    else if (type == FRAME_LOAD)
        it->act = ACT_LOADED;
    else if (type == FRAME_RUN)
        it->act = ACT_ANSWER;
    else if (type == FRAME_BYE)
        it->act = ACT_EXIT;
    else if (type == FRAME_PING) {
        const struct frame f = { .body = (const uint8_t *)body.data, .length = (uint32_t)body.len };
        CHECK(message_ping_read(&f, &it->number, NULL));
        it->act = ACT_PONG;
    }
}

static void world_kill(void *context, uint32_t id, enum world_signal signal)
{
    struct pool *p = context;
    (void)signal;
    p->processes[id].act = ACT_EXIT;
}

static void world_share(void *context, uint32_t id, uint32_t threads)
{
    (void)context, (void)id, (void)threads;
}

static uint64_t world_ticks(void *context, uint32_t id)
{
    struct pool *p = context;
    (void)id;
    return ++p->ticks;
}

static void world_memory(void *context, struct memory_facts *facts)
{
    (void)context;
    facts->total_bytes = (uint64_t)64 << 30;
    facts->available_bytes = (uint64_t)60 << 30;
}

static int64_t world_pid(void *context, uint32_t id)
{
    (void)context;
    return id;
}

static void say(struct pool *p, uint32_t id, enum frame_type type, uint64_t job, struct buffer *b)
{
    const struct frame f = {
        .type = (uint8_t)type, .job = job, .body = b->data, .length = (uint32_t)b->len
    };
    supervisor_on_frame(p->supervisor, id, &f);
    buffer_clear(b);
}

static void answer(struct pool *p, uint32_t id, uint64_t job, struct buffer *b)
{
    say(p, id, FRAME_ACCEPTED, job, b);
    message_output_write(b, &(struct message_output){ .payload_bytes = 4 });
    say(p, id, FRAME_OUTPUT, job, b);
    buffer_append(b, "done", 4);
    say(p, id, FRAME_PART, job, b);
    message_end_write(b, &(struct message_end){ .error = { .index = -1 } });
    say(p, id, FRAME_END, job, b);
}

/* Does what each process has to do; false when none had anything. */
static bool act(struct pool *p, uint32_t id)
{
    struct process *it = &p->processes[id];
    const enum act due = it->act;
    const struct plan plan = plan_of_all();
    struct buffer b;
    it->act = ACT_NONE;
    if (due == ACT_NONE)
        return false;
    buffer_init(&b, FRAME_BODY_MAX);
    switch (due) {
    case ACT_HELLO:
        message_hello_write(&b, &(struct message_hello){ WIRE_VERSION, str_of(build_id) });
        say(p, id, FRAME_HELLO, 0, &b);
        if (it->kind == SPAWN_WORK) {
            message_plan_write(&b, &plan);
            say(p, id, FRAME_PLAN, 0, &b);
        }
        break;
    case ACT_INSPECTED: {
        struct message_inspected m = { .error = { .index = -1 }, .plan = plan };
        message_inspected_write(&b, &m);
        say(p, id, FRAME_INSPECTED, it->number, &b);
        break;
    }
    case ACT_LOADED: say(p, id, FRAME_LOADED, 0, &b); break;
    case ACT_ANSWER: answer(p, id, it->number, &b); break;
    case ACT_PONG:
        message_ping_write(&b, it->number);
        say(p, id, FRAME_PONG, 0, &b);
        break;
    default: supervisor_on_exit(p->supervisor, id, "exit status 0", NULL); break;
    }
    buffer_finish(&b);
    return true;
}

static void settle(struct pool *p)
{
    for (bool again = true; again;) {
        again = false;
        while (supervisor_is_dirty(p->supervisor))
            supervisor_turn(p->supervisor, p->now_ms);
        for (uint32_t id = 1; id <= p->last; id++)
            again = act(p, id) || again;
        again = again || supervisor_is_dirty(p->supervisor);
    }
}

static void on_output(void *context, uint64_t id, struct str payload)
{
    (void)context, (void)id;
    CHECK(payload.len == 4);
}

static void on_end(void *context, uint64_t id, const struct request_outcome *outcome)
{
    struct pool *p = context;
    (void)id;
    CHECK(outcome->error.code == WEIR_OK);
    p->ended = true;
}

static const struct request_callbacks callbacks = { .on_output = on_output, .on_end = on_end };

static void submit(struct pool *p, const char *model)
{
    struct weir_error err;
    struct submission s = { .model = model,
                            .operation = WEIR_EMBED,
                            .priority = 2,
                            .payload = (uint8_t *)mem_copy_text("text", 4),
                            .payload_bytes = 4,
                            .callbacks = &callbacks,
                            .context = p };
    p->ended = false;
    if (supervisor_submit(p->supervisor, &s, &err) == 0)
        check_failed(__FILE__, __LINE__, err.text);
}

static void open_pool(struct pool *p, unsigned models, unsigned workers)
{
    *p = (struct pool){ .now_ms = 1 };
    p->world = (struct world){ p,           world_spawn, world_send,   world_kill,
                               world_share, world_ticks, world_memory, world_pid };
    const struct supervisor_options options = { .limits = limits_default, .threads = 2 };
    p->supervisor = supervisor_create(&options, &p->world, p->now_ms);
    for (unsigned i = 0; i < models; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%u", i);
        const struct model_settings m = { .name = name,
                                          .path = "fake:",
                                          .program = PROGRAM_FAKE,
                                          .max_workers = 1,
                                          .idle_ms = 3600000,
                                          .idle_label_ms = 3600000 };
        CHECK(supervisor_register(p->supervisor, &m, NULL) == WEIR_OK);
    }
    settle(p);
    for (unsigned i = 0; i < workers; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%u", i);
        submit(p, name);
        settle(p);
        CHECK(p->ended);
    }
}

static void timed_turn(struct pool *p, bool counts)
{
    const int64_t began = bench_ns();
    supervisor_turn(p->supervisor, p->now_ms);
    const int64_t took = bench_ns() - began;
    if (counts)
        samples_add(&p->turns, took);
}

/* One job, in and out: two turns. */
static void one_job(struct pool *p, uint32_t worker, bool counts)
{
    p->now_ms++;
    submit(p, "m0");
    timed_turn(p, counts);
    CHECK(act(p, worker));
    timed_turn(p, counts);
    CHECK(p->ended);
    /* Pings and other matters of time are settled between, as any turn would. */
    settle(p);
}

static uint32_t worker_of_first(const struct pool *p)
{
    uint32_t id = 1;
    while (p->processes[id].kind != SPAWN_WORK)
        id++;
    return id;
}

static void close_pool(struct pool *p)
{
    supervisor_drain(p->supervisor, 0);
    settle(p);
    CHECK(supervisor_drained(p->supervisor));
    supervisor_destroy(p->supervisor);
}

int main(void)
{
    static struct pool small, large;
    open_pool(&small, 1, 1);
    open_pool(&large, 1000, 64);
    const uint32_t small_worker = worker_of_first(&small), large_worker = worker_of_first(&large);
    for (unsigned i = 0; i < WARM + ROUNDS; i++) {
        one_job(&small, small_worker, i >= WARM);
        one_job(&large, large_worker, i >= WARM);
    }
    const double a = samples_quantile(&small.turns, 0.5), b = samples_quantile(&large.turns, 0.5);
    printf("a turn, 1 model and 1 worker:         median %5.0f ns, p99 %6.0f ns\n", a,
           samples_quantile(&small.turns, 0.99));
    printf("a turn, 1,000 models and 64 workers:  median %5.0f ns, p99 %6.0f ns\n", b,
           samples_quantile(&large.turns, 0.99));
    const bool good = bench_ratio("turn", b, a, LIMIT);
    close_pool(&small);
    close_pool(&large);
    return good ? 0 : 1;
}
