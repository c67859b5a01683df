/* inspector_test.c — the process that reads headers, when it does not do as it should: who pays for
 * it, and when. Process 1 is the first inspector, and says what the test says. */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define ONE    ((struct model_settings){ .max_workers = 1 })

/* Models "a" and "b"; the inspector has started and said nothing. */
static struct test_pool *open_silent(void)
{
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "a", 100, 10, ONE);
    test_register(t, "b", 100, 10, ONE);
    test_run_until(t, 0);
    CHECK(t->world.processes[1].alive);
    t->world.processes[1].hello_ms = TEST_NEVER;
    return t;
}

/* It was asked about "a" and has not answered. */
static struct test_pool *open_asked(void)
{
    struct test_pool *t = test_open(1000, NULL);
    t->world.inspect_ms = 1000 * SECOND;
    test_register(t, "a", 100, 10, ONE);
    test_register(t, "b", 100, 10, ONE);
    test_run_until(t, 10);
    CHECK(t->world.processes[1].asked != 0);
    t->world.inspect_ms = 1;
    return t;
}

static void say(struct test_pool *t, enum frame_type type, uint64_t job, struct buffer *body)
{
    test_emit(&t->world, 1, type, job, body);
    test_run_until(t, t->world.now_ms);
}

/* "a" could not be inspected, and says so; "b" was, by another process. */
static void assert_a_pays(struct test_pool *t, const char *why)
{
    char problem[200];
    assert_int_equal(t->world.kills, 1);
    assert_int_equal(model_find(t->supervisor, "a")->inspection, INSPECTION_FAILED);
    snprintf(problem, sizeof problem, "'a' could not be inspected: %s", why);
    assert_string_equal(model_find(t->supervisor, "a")->problem.text, problem);
    assert_int_equal(model_find(t->supervisor, "a")->problem.code, WEIR_LOAD_FAILED);
    test_run_until(t, t->world.now_ms + 100);
    assert_int_equal(model_find(t->supervisor, "b")->inspection, INSPECTION_DONE);
    assert_int_equal(t->world.kills, 1);
    assert_int_equal(test_totals(t).children, 0);
    test_close(t);
}

static void who_closes_his_channel_is_killed(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    supervisor_on_lost(t->supervisor, 1, "its channel was closed");
    test_run_until(t, 10);
    assert_a_pays(t, "its channel was closed");
    t = open_silent();
    supervisor_on_lost(t->supervisor, 1, "its channel was closed");
    test_run_until(t, 0);
    assert_a_pays(t, "its channel was closed");
}

static void who_says_no_hello_is_killed_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_silent();
    test_run_until(t, 5 * SECOND - 1);
    assert_int_equal(t->world.kills, 0);
    test_run_until(t, 5 * SECOND);
    assert_a_pays(t, "the inspector did not answer in time");
}

static void who_does_not_answer_is_killed_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    test_run_until(t, 10 + 60 * SECOND - 1);
    assert_int_equal(t->world.kills, 0);
    test_run_until(t, 10 + 60 * SECOND);
    assert_a_pays(t, "the inspector did not answer in time");
}

/* Nobody pays: there is nothing left to ask. */
static void who_does_not_go_is_killed_in_time(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.is_stubborn = true;
    test_register(t, "a", 100, 10, ONE);
    test_run_until(t, 11);
    assert_int_equal(t->world.byes, 1);
    test_run_until(t, 11 + 5 * SECOND - 1);
    assert_int_equal(t->world.kills, 0);
    test_run_until(t, 11 + 5 * SECOND);
    assert_int_equal(t->world.kills, 1);
    test_run_until(t, 6 * SECOND);
    assert_int_equal(test_totals(t).children, 0);
    assert_int_equal(model_find(t->supervisor, "a")->problem.code, WEIR_OK);
    test_close(t);
}

static void who_is_of_another_build_is_not_asked(void **state)
{
    (void)state;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    struct test_pool *t = open_silent();
    message_hello_write(&body, &(struct message_hello){ WIRE_VERSION, str_of("another") });
    say(t, FRAME_HELLO, 0, &body);
    assert_a_pays(t, "the inspector is of another build");
    t = open_silent();
    message_hello_write(&body, &(struct message_hello){ WIRE_VERSION + 1, str_of(build_id) });
    say(t, FRAME_HELLO, 0, &body);
    assert_a_pays(t, "the inspector is of another build");
    t = open_silent();
    buffer_u8(&body, 1);
    say(t, FRAME_HELLO, 0, &body);
    assert_a_pays(t, "the inspector is of another build");
    buffer_finish(&body);
}

static void who_says_something_else_broke_the_protocol(void **state)
{
    (void)state;
    static const enum frame_type before[] = { FRAME_INSPECTED, FRAME_LOADED };
    static const enum frame_type after[] = { FRAME_HELLO, FRAME_PLAN };
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    for (size_t i = 0; i < 2; i++) {
        struct test_pool *t = open_silent();
        say(t, before[i], 0, &body);
        assert_a_pays(t, "the inspector broke the protocol");
        t = open_asked();
        say(t, after[i], 0, &body);
        assert_a_pays(t, "the inspector broke the protocol");
    }
    buffer_finish(&body);
}

static void an_answer_belongs_to_its_question(void **state)
{
    (void)state;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    struct test_pool *t = open_asked();
    struct message_inspected m = {
        .error = {.code = WEIR_OK, .index = -1},
          .plan = t->world.models[1].plan
    };
    message_inspected_write(&body, &m);
    say(t, FRAME_INSPECTED, t->world.processes[1].asked + 1, &body);
    assert_a_pays(t, "the inspector answered what nobody asked");
    t = open_asked();
    buffer_u8(&body, 1);
    say(t, FRAME_INSPECTED, t->world.processes[1].asked, &body);
    assert_a_pays(t, "frame 'inspected': a number of 4 bytes is cut off at byte 0 of 1");
    buffer_finish(&body);
}

/* What a process says or does after it was killed is heard by nobody. */
static void the_killed_have_nothing_to_say(void **state)
{
    (void)state;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    struct test_pool *t = open_asked();
    t->world.holds_exits = true;
    const uint64_t asked = t->world.processes[1].asked;
    say(t, FRAME_PLAN, 0, &body);
    assert_int_equal(t->world.kills, 1);
    struct message_inspected m = {
        .error = {.code = WEIR_OK, .index = -1},
          .plan = t->world.models[0].plan
    };
    message_inspected_write(&body, &m);
    say(t, FRAME_INSPECTED, asked, &body);
    supervisor_on_lost(t->supervisor, 1, "its channel was closed");
    test_run_until(t, 20 * SECOND);
    assert_int_equal(t->world.kills, 1);
    assert_int_equal(model_find(t->supervisor, "b")->inspection, INSPECTION_PENDING);
    t->world.holds_exits = false;
    test_run_until(t, 20 * SECOND);
    assert_a_pays(t, "the inspector broke the protocol");
    buffer_finish(&body);
}

/* One that came so far as to answer, and goes while nothing is asked, costs nobody anything. */
static void who_has_answered_may_die(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "a", 100, 10, ONE);
    t->world.is_stubborn = true;
    test_run_until(t, 11);
    assert_int_equal(t->world.byes, 1);
    test_register(t, "b", 100, 10, ONE);
    test_exit(&t->world, 1);
    test_run_until(t, 100);
    assert_int_equal(model_find(t->supervisor, "a")->inspection, INSPECTION_DONE);
    assert_int_equal(model_find(t->supervisor, "b")->inspection, INSPECTION_DONE);
    test_close(t);
    /* Asked about the second, it dies: the second pays, not a third. */
    t = test_open(1000, NULL);
    test_register(t, "a", 100, 10, ONE);
    struct test_model *b = test_register(t, "b", 100, 10, ONE);
    test_register(t, "c", 100, 10, ONE);
    b->kills_inspector = true;
    test_run_until(t, 100);
    assert_int_equal(model_find(t->supervisor, "a")->inspection, INSPECTION_DONE);
    assert_int_equal(model_find(t->supervisor, "b")->inspection, INSPECTION_FAILED);
    assert_int_equal(model_find(t->supervisor, "c")->inspection, INSPECTION_DONE);
    test_close(t);
}

/* An unregistered model's answer, or its inspector's death, falls on nobody. */
static void what_is_gone_pays_nothing(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        struct test_pool *t = open_asked();
        assert_int_equal(supervisor_unregister(t->supervisor, "a", NULL), WEIR_OK);
        if (dies)
            test_exit(&t->world, 1);
        else
            t->world.processes[1].load_ms = 20;
        test_run_until(t, 200);
        assert_int_equal(model_find(t->supervisor, "b")->inspection, INSPECTION_DONE);
        assert_int_equal(t->world.kills, 0);
        test_close(t);
    }
}

/* Each program is asked about its own models. */
static void each_program_has_an_inspector(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    static const char *const names[] = { "a", "b", "c", "d" };
    t->world.inspect_ms = 100;
    for (size_t i = 0; i < 4; i++)
        test_register(t, names[i], 10, 10,
                      (struct model_settings){
                          .max_workers = 1, .program = i % 2 == 0 ? PROGRAM_CPU : PROGRAM_FAKE });
    test_run_until(t, 10);
    assert_int_equal(test_totals(t).children, 2);
    const struct test_request *last = test_submit(t, "d", "e", 0);
    test_run_until(t, 110);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(model_find(t->supervisor, names[i])->inspection, INSPECTION_DONE);
    test_run_until(t, 210);
    for (size_t i = 2; i < 4; i++)
        assert_int_equal(model_find(t->supervisor, names[i])->inspection, INSPECTION_DONE);
    test_run_until(t, 2 * SECOND);
    assert_true(last->ended);
    assert_int_equal(last->error.code, WEIR_OK);
    test_close(t);
}

/* Who was asked first is given up first, while another still has time. */
static void each_inspector_has_its_own_time(void **state)
{
    (void)state;
    static const enum worker_program programs[] = { PROGRAM_CPU, PROGRAM_FAKE };
    for (size_t i = 0; i < 2; i++) {
        struct test_pool *t = test_open(1000, NULL);
        t->world.inspect_ms = 1000 * SECOND;
        test_register(t, "a", 10, 10,
                      (struct model_settings){ .max_workers = 1, .program = programs[i] });
        test_run_until(t, 20 * SECOND);
        test_register(t, "b", 10, 10,
                      (struct model_settings){ .max_workers = 1, .program = programs[1 - i] });
        test_run_until(t, 10 + 60 * SECOND - 1);
        assert_int_equal(t->world.kills, 0);
        test_run_until(t, 10 + 60 * SECOND);
        assert_int_equal(t->world.kills, 1);
        test_close(t);
    }
}

/* What was found wrong is forgotten while it is looked at once more. */
static void a_second_look_starts_afresh(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    m->kills_inspector = true;
    test_run_until(t, 100);
    assert_int_equal(model_find(t->supervisor, "m")->problem.code, WEIR_LOAD_FAILED);
    m->kills_inspector = false;
    const struct model_settings again = { .name = "m",
                                          .path = "m",
                                          .max_workers = 1,
                                          .idle_ms = 60 * SECOND,
                                          .idle_label_ms = 30 * SECOND,
                                          .priority = 2,
                                          .replace = true };
    assert_int_equal(supervisor_register(t->supervisor, &again, NULL), WEIR_OK);
    assert_int_equal(model_find(t->supervisor, "m")->problem.code, WEIR_OK);
    test_run_until(t, 200);
    assert_int_equal(m->inspections, 2);
    assert_int_equal(model_find(t->supervisor, "m")->inspection, INSPECTION_DONE);
    test_close(t);
}

/* Nothing is asked any more, and the last answer is not waited for. */
static void a_drain_is_not_held_up(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    supervisor_drain(t->supervisor, 3 * SECOND);
    test_run_until(t, 10 + 3 * SECOND - 1);
    assert_int_equal(t->world.kills, 0);
    test_run_until(t, 10 + 3 * SECOND);
    assert_int_equal(t->world.kills, 1);
    test_run_until(t, 10 + 3 * SECOND + 1);
    assert_true(supervisor_drained(t->supervisor));
    assert_false(t->world.processes[2].alive);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_closes_his_channel_is_killed),
        cmocka_unit_test(who_says_no_hello_is_killed_in_time),
        cmocka_unit_test(who_does_not_answer_is_killed_in_time),
        cmocka_unit_test(who_does_not_go_is_killed_in_time),
        cmocka_unit_test(who_is_of_another_build_is_not_asked),
        cmocka_unit_test(who_says_something_else_broke_the_protocol),
        cmocka_unit_test(an_answer_belongs_to_its_question),
        cmocka_unit_test(the_killed_have_nothing_to_say),
        cmocka_unit_test(who_has_answered_may_die),
        cmocka_unit_test(what_is_gone_pays_nothing),
        cmocka_unit_test(each_program_has_an_inspector),
        cmocka_unit_test(each_inspector_has_its_own_time),
        cmocka_unit_test(a_second_look_starts_afresh),
        cmocka_unit_test(a_drain_is_not_held_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
