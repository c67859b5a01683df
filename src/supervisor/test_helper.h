/* test_helper.h — for the tests beside it: the processes of test_world.h that are no workers, what
 * they are asked and what they answer. */
#ifndef SUPERVISOR_TEST_HELPER_H
#define SUPERVISOR_TEST_HELPER_H

#include "supervisor/test_world.h"
#include "wire/message.h"

/* True when the frame was a question to one. */
static inline bool test_take_question(struct test_world *w, struct test_process *p,
                                      enum frame_type type, uint64_t job, const struct frame *f)
{
    if (type == FRAME_INSPECT) {
        struct message_inspect m;
        CHECK(p->kind == SPAWN_INSPECT && message_inspect_read(f, &m, NULL));
        p->model = test_model(w, m.path);
        p->model->inspections++;
        p->load_ms = w->now_ms + w->inspect_ms;
    } else if (type == FRAME_PREPARE) {
        struct message_prepare m;
        CHECK(p->kind == SPAWN_PREPARE && message_prepare_read(f, &m, NULL));
        CHECK(str_eq(m.cache, STR(TEST_CACHE)));
        p->model = test_model(w, m.path);
        p->model->preparations++;
        p->load.precision = m.precision;
        p->load_ms = w->now_ms + w->prepare_ms;
    } else {
        return false;
    }
    p->asked = job;
    return true;
}

/* Writes its answer; false when it dies instead. */
static inline bool test_answer(const struct test_process *p, enum frame_type *type,
                               struct buffer *body)
{
    struct message_inspected m = { .error = { .index = -1 }, .plan = p->model->plan };
    if (p->kind == SPAWN_INSPECT) {
        *type = FRAME_INSPECTED;
        message_inspected_write(body, &m);
        return !p->model->kills_inspector;
    }
    *type = FRAME_PREPARED;
    if (p->model->prepare_fails != NULL)
        weir_fail(&m.error, WEIR_LOAD_FAILED, "%s", p->model->prepare_fails);
    message_prepared_write(body, &m.error);
    return true;
}

/* The end of an inspection or a preparation. */
static inline void test_finish_question(struct test_world *w, uint32_t id)
{
    struct test_process *p = &w->processes[id];
    enum frame_type type;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    p->load_ms = TEST_NEVER;
    if (test_answer(p, &type, &body))
        test_emit(w, id, type, p->asked, &body);
    else
        test_exit(w, id);
    buffer_finish(&body);
}

/* Whether a worker finds that somebody took away what was prepared for it. */
static inline bool test_finds_it_gone(const struct test_process *p)
{
    if (!p->has_cache || p->model->gone == 0)
        return false;
    p->model->gone--;
    return true;
}

#endif
