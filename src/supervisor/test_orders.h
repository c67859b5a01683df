/* test_orders.h — for the tests beside it: what the supervisor may ask of the world of
 * test_world.h.
 *
 * A run, cancel or bye only says when the process will act; test_process.h has what it does then.
 */
#ifndef SUPERVISOR_TEST_ORDERS_H
#define SUPERVISOR_TEST_ORDERS_H

#include "supervisor/test_helper.h"
#include "supervisor/test_world.h"
#include "wire/message.h"

#include <stdio.h>

static inline enum weir_code test_spawn(void *context, enum spawn_kind kind, uint32_t id,
                                        const struct spawn_spec *spec, struct weir_error *err)
{
    struct test_world *w = context;
    w->orders++;
    if (kind == SPAWN_INSPECT && w->no_inspectors > 0) {
        w->no_inspectors--;
        return weir_fail_os(err, WEIR_LOAD_FAILED, w->no_inspector_errno, "no process");
    }
    if (kind == SPAWN_WORK && w->no_workers > 0) {
        w->no_workers--;
        return weir_fail(err, WEIR_LOAD_FAILED, "no such program");
    }
    if (kind == SPAWN_PREPARE && w->no_preparers > 0) {
        w->no_preparers--;
        return weir_fail(err, WEIR_LOAD_FAILED, "no such program");
    }
    CHECK(id < TEST_PROCESSES && !w->processes[id].alive);
    struct test_process *p = &w->processes[id];
    *p = (struct test_process){ .kind = kind,
                                .alive = true,
                                .hello_ms = w->now_ms + 10,
                                .load_ms = TEST_NEVER,
                                .exit_ms = TEST_NEVER };
    snprintf(p->title, sizeof p->title, "%s", spec->title);
    if (kind == SPAWN_WORK) {
        p->model = test_model(w, str_of(spec->path));
        p->model->spawns++;
    }
    return WEIR_OK;
}

static inline void test_send(void *context, uint32_t id, enum frame_type type, uint64_t job,
                             struct str body, struct str payload)
{
    struct test_world *w = context;
    struct test_process *p = &w->processes[id];
    const struct frame f = { .body = (const uint8_t *)body.data, .length = (uint32_t)body.len };
    struct test_job *slot = p->jobs;
    w->orders++;
    CHECK(p->alive);
    if (type == FRAME_LOAD) {
        CHECK(message_load_read(&f, &p->load, NULL));
        p->has_cache = str_eq(p->load.cache, STR(TEST_CACHE));
        CHECK(p->has_cache || p->load.cache.len == 0);
        p->load_ms = w->now_ms + w->load_ms;
    }
    if (type == FRAME_CREDIT) {
        struct message_credit m;
        CHECK(message_credit_read(&f, &m, NULL));
        w->credit_events += m.events;
        w->credit_bytes += m.bytes;
    }
    const bool asked = test_take_question(w, p, type, job, &f);
    const bool is_about_one = type == FRAME_RUN || type == FRAME_CANCEL || type == FRAME_CREDIT;
    CHECK((job != 0) == (asked || is_about_one));
    if (type == FRAME_RUN) {
        CHECK(p->loaded && payload.len > 0);
        while (slot->job != 0)
            slot++;
        const char letter = payload.data[0];
        *slot = (struct test_job){ job, w->now_ms + w->job_ms, letter, false };
        if (letter == RUNS_ON)
            slot->due_ms = TEST_NEVER;
        p->model->runs++;
        p->runs++;
    }
    w->cancels += type == FRAME_CANCEL;
    w->credits += type == FRAME_CREDIT;
    w->pings += type == FRAME_PING;
    w->byes += type == FRAME_BYE;
    for (; type == FRAME_CANCEL && slot->job != job; slot++)
        CHECK(slot < &p->jobs[63]);
    if (type == FRAME_CANCEL && slot->payload != STALLS)
        slot->payload = ENDS, slot->due_ms = w->now_ms;
    if (type == FRAME_BYE && !w->is_stubborn)
        p->exit_ms = w->now_ms + 1;
    if (type == FRAME_PING)
        CHECK(message_ping_read(&f, &p->pong, NULL));
}

static inline void test_kill(void *context, uint32_t id, enum world_signal signal)
{
    struct test_world *w = context;
    w->orders++;
    w->terms += signal == WORLD_TERM;
    w->kills += signal == WORLD_KILL;
    if (signal == WORLD_TERM && w->is_stubborn)
        return;
    w->processes[id].exit_ms = w->now_ms + 1;
}

static inline void test_share(void *context, uint32_t id, uint32_t threads)
{
    struct test_world *w = context;
    w->orders++;
    w->processes[id].threads = threads;
}

static inline uint64_t test_ticks(void *context, uint32_t id)
{
    (void)id;
    struct test_world *w = context;
    w->ticks += w->ticks_stand ? 0 : 1;
    return w->ticks;
}

static inline void test_memory(void *context, struct memory_facts *facts)
{
    const struct test_world *w = context;
    facts->total_bytes = w->total_bytes;
    facts->available_bytes = w->available_bytes;
    for (size_t i = 0; i < facts->children_count; i++) {
        struct child_memory *row = &facts->children[i];
        const struct test_process *p = &w->processes[row->id];
        if (!p->alive || !p->loaded)
            continue;
        row->private_bytes = p->model->uses_bytes;
        row->major_faults = p->model->faults_per_s * (uint64_t)w->now_ms / 1000;
    }
}

static inline int64_t test_pid(void *context, uint32_t id)
{
    return ((struct test_world *)context)->processes[id].alive ? id : 0;
}

static inline struct world test_world_of(struct test_world *w)
{
    return (struct world){ w,          test_spawn, test_send,   test_kill,
                           test_share, test_ticks, test_memory, test_pid };
}

#endif
