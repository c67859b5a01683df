/* test_process.h — for the tests beside it: what the processes of test_world.h do when it is time.
 */
#ifndef SUPERVISOR_TEST_PROCESS_H
#define SUPERVISOR_TEST_PROCESS_H

#include "supervisor/test_helper.h"
#include "supervisor/test_world.h"
#include "wire/build_id.h"
#include "wire/message.h"

/* When process `id` has something to say or do. */
static inline int64_t test_due(const struct test_world *w, uint32_t id)
{
    const struct test_process *p = &w->processes[id];
    int64_t due = p->hello_ms < p->load_ms ? p->hello_ms : p->load_ms;
    if (p->exit_ms < due && !w->holds_exits)
        due = p->exit_ms;
    for (size_t i = 0; i < ARRAY_COUNT(p->jobs); i++)
        if (p->jobs[i].job != 0 && !p->jobs[i].accepted)
            due = w->now_ms;
        else if (p->jobs[i].job != 0 && p->jobs[i].due_ms < due)
            due = p->jobs[i].due_ms;
    if (p->pong != 0 && !w->is_deaf)
        due = w->now_ms;
    return due > w->now_ms ? due : w->now_ms;
}

static inline void test_say_hello(struct test_world *w, uint32_t id)
{
    struct test_process *p = &w->processes[id];
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    p->hello_ms = TEST_NEVER;
    message_hello_write(&body, &(struct message_hello){ WIRE_VERSION, str_of(build_id) });
    test_emit(w, id, FRAME_HELLO, 0, &body);
    if (p->kind != SPAWN_WORK)
        return;
    struct plan plan = p->model->plan;
    plan.fixed_bytes += p->model->states_more ? 1 : 0;
    message_plan_write(&body, &plan);
    test_emit(w, id, FRAME_PLAN, 0, &body);
}

/* The end of a load. */
static inline void test_finish_load(struct test_world *w, uint32_t id)
{
    struct test_process *p = &w->processes[id];
    struct weir_error failure = { .code = WEIR_LOAD_FAILED, .text = "a file is missing" };
    const bool gone = test_finds_it_gone(p);
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    p->load_ms = TEST_NEVER;
    if (gone)
        weir_fail(&failure, WEIR_UNAVAILABLE, "no such file");
    if (p->model->dies_loading) {
        test_exit(w, id);
    } else if (p->model->fails || gone) {
        message_failed_write(&body, &failure);
        test_emit(w, id, FRAME_FAILED, 0, &body);
        if (p->model->exits_at_once) {
            supervisor_on_lost(w->supervisor, id, "its channel was closed");
            test_exit(w, id);
        }
    } else {
        p->loaded = true;
        test_emit(w, id, FRAME_LOADED, 0, &body);
    }
}

/* Takes the job on, or does what its payload says when it is due. */
static inline void test_work(struct test_world *w, uint32_t id, struct test_job *j)
{
    const uint64_t job = j->job;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    if (!j->accepted) {
        j->accepted = true;
        test_emit(w, id, FRAME_ACCEPTED, job, &body);
        return;
    }
    if (j->payload == KILLS) {
        test_exit(w, id);
        return;
    }
    const bool streams = j->payload == STALLS || j->payload == STREAMS;
    const enum weir_code code = test_verdict(j->payload);
    for (int i = streams ? WIRE_CREDIT_EVENTS : code == WEIR_OK; i > 0; i--) {
        message_output_write(&body,
                             &(struct message_output){ .payload_bytes = 1, .streamed = streams });
        test_emit(w, id, FRAME_OUTPUT, job, &body);
        buffer_u8(&body, (uint8_t)j->payload);
        test_emit(w, id, FRAME_PART, job, &body);
    }
    j->due_ms = TEST_NEVER;
    if (streams)
        return;
    j->job = 0;
    struct message_end end = { .input_tokens = 3, .output_tokens = 2 };
    end.error = (struct weir_error){ .code = code, .index = -1 };
    message_end_write(&body, &end);
    test_emit(w, id, FRAME_END, job, &body);
}

/* The one thing that is due. */
static inline void test_act(struct test_world *w, uint32_t id)
{
    struct test_process *p = &w->processes[id];
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    if (p->exit_ms <= w->now_ms && !w->holds_exits) {
        test_exit(w, id);
    } else if (p->hello_ms <= w->now_ms) {
        test_say_hello(w, id);
    } else if (p->load_ms <= w->now_ms) {
        (p->kind == SPAWN_WORK ? test_finish_load : test_finish_question)(w, id);
    } else if (p->pong != 0 && !w->is_deaf) {
        message_ping_write(&body, p->pong);
        p->pong = 0;
        test_emit(w, id, FRAME_PONG, 0, &body);
    } else {
        struct test_job *j = p->jobs;
        while (j->job == 0 || (j->accepted && j->due_ms > w->now_ms))
            j++;
        test_work(w, id, j);
    }
}

#endif
