/* greeting_test.c — what a worker says from its hello to its readiness, and what becomes of it when
 * that is not what it should. */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)

struct speaker {
    struct test_pool *pool;
    struct buffer body;
};

/* Process 2 works for "m" and says what the test says, when it says it. */
static struct speaker speaker_open(void)
{
    struct speaker p = { .pool = test_open(1000, NULL) };
    test_register(p.pool, "m", 100, 10,
                  (struct model_settings){ .max_workers = 1, .min_workers = 1 });
    test_run_until(p.pool, 11);
    assert_string_equal(p.pool->paths[2], "Spawning");
    p.pool->world.processes[2].hello_ms = TEST_NEVER;
    buffer_init(&p.body, FRAME_BODY_MAX);
    return p;
}

static void say(struct speaker *p, enum frame_type type)
{
    test_emit(&p->pool->world, 2, type, 0, &p->body);
}

static void say_hello(struct speaker *p, uint32_t version, const char *build)
{
    message_hello_write(&p->body, &(struct message_hello){ version, str_of(build) });
    say(p, FRAME_HELLO);
}

static void say_plan(struct speaker *p)
{
    message_plan_write(&p->body, &p->pool->world.models[0].plan);
    say(p, FRAME_PLAN);
}

static void say_failed(struct speaker *p, enum weir_code code, const char *text)
{
    struct weir_error error = { .code = code };
    snprintf(error.text, sizeof error.text, "%s", text);
    message_failed_write(&p->body, &error);
    say(p, FRAME_FAILED);
}

static void say_nonsense(struct speaker *p, enum frame_type type)
{
    buffer_u8(&p->body, 1);
    say(p, type);
}

/* It went that way, and its model says why. */
static void assert_ends(struct speaker *p, const char *path, const char *problem)
{
    test_run_until(p->pool, p->pool->world.now_ms);
    supervisor_on_exit(p->pool->supervisor, 2, "signal 9", NULL);
    p->pool->world.processes[2].alive = false;
    test_run_until(p->pool, p->pool->world.now_ms);
    assert_string_equal(p->pool->paths[2], path);
    assert_string_equal(model_find(p->pool->supervisor, "m")->problem.text, problem);
    buffer_finish(&p->body);
    test_close(p->pool);
}

static void who_is_of_another_build_is_not_listened_to(void **state)
{
    (void)state;
    char problem[250];
    struct speaker p = speaker_open();
    say_hello(&p, WIRE_VERSION, "0123456789012345678901234567890123456789x");
    say_plan(&p); /* too late */
    snprintf(problem, sizeof problem,
             "a worker of model 'm' died while loading: is of another build: "
             "0123456789012345678901234567890123456789, not %s; signal 9",
             build_id);
    assert_ends(&p, "Spawning Failed Dead", problem);
    p = speaker_open();
    say_hello(&p, WIRE_VERSION + 1, build_id);
    say_plan(&p);
    assert_ends(&p, "Spawning Failed Dead",
                "a worker of model 'm' died while loading: speaks version 2, this build speaks "
                "version 1; signal 9");
}

static void one_hello_is_enough(void **state)
{
    (void)state;
    struct speaker p = speaker_open();
    say_hello(&p, WIRE_VERSION, build_id);
    say_hello(&p, WIRE_VERSION, build_id);
    assert_ends(&p, "Spawning Failed Dead",
                "a worker of model 'm' died while loading: said hello twice; signal 9");
}

static void a_plan_comes_after_the_hello(void **state)
{
    (void)state;
    struct speaker p = speaker_open();
    say_plan(&p);
    assert_ends(&p, "Spawning Failed Dead",
                "a worker of model 'm' died while loading: said its plan before hello; signal 9");
}

static void each_word_has_its_time(void **state)
{
    (void)state;
    struct speaker p = speaker_open();
    say_hello(&p, WIRE_VERSION, build_id);
    say(&p, FRAME_LOADED);
    assert_ends(&p, "Spawning Failed Dead",
                "a worker of model 'm' died while loading: sent 'loaded' while Spawning; signal 9");
    p = speaker_open();
    say_hello(&p, WIRE_VERSION, build_id);
    say_plan(&p);
    say_plan(&p);
    assert_ends(&p, "Spawning Loading Failed Dead",
                "a worker of model 'm' died while loading: sent 'plan' while Loading; signal 9");
    p = speaker_open();
    say_hello(&p, WIRE_VERSION, build_id);
    say_plan(&p);
    say(&p, FRAME_LOADED);
    say(&p, FRAME_LOADED);
    assert_ends(&p, "Spawning Loading Ready Evicting Dead",
                "a worker of model 'm' died: sent 'loaded' while Ready; signal 9");
    p = speaker_open();
    say_hello(&p, WIRE_VERSION, build_id);
    say_plan(&p);
    say(&p, FRAME_LOADED);
    message_ping_write(&p.body, 0);
    say(&p, FRAME_PONG);
    assert_ends(&p, "Spawning Loading Ready Evicting Dead",
                "a worker of model 'm' died: sent a pong that answers no ping; signal 9");
}

static void nonsense_is_no_greeting(void **state)
{
    (void)state;
    static const enum frame_type types[] = { FRAME_HELLO, FRAME_PLAN, FRAME_FAILED };
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        struct speaker p = speaker_open();
        if (types[i] != FRAME_HELLO)
            say_hello(&p, WIRE_VERSION, build_id);
        say_nonsense(&p, types[i]);
        say_plan(&p); /* not listened to any more */
        test_run_until(p.pool, p.pool->world.now_ms);
        assert_string_equal(p.pool->paths[2], "Spawning Failed");
        const struct weir_error *problem = &model_find(p.pool->supervisor, "m")->problem;
        assert_int_equal(problem->code, WEIR_OK); /* it said none: it is lost */
        buffer_finish(&p.body);
        test_close(p.pool);
    }
}

/* In whatever state and with whatever code it says so, the model could not be loaded. */
static void a_worker_may_say_that_it_cannot(void **state)
{
    (void)state;
    struct speaker p = speaker_open();
    say_hello(&p, WIRE_VERSION, build_id);
    say_failed(&p, WEIR_NO_MEMORY, "no room");
    assert_ends(&p, "Spawning Failed Dead", "no room");
    p = speaker_open();
    say_hello(&p, WIRE_VERSION, build_id);
    say_plan(&p);
    say_failed(&p, WEIR_NO_MEMORY, "no room");
    test_run_until(p.pool, p.pool->world.now_ms);
    assert_int_equal(model_find(p.pool->supervisor, "m")->problem.code, WEIR_LOAD_FAILED);
    assert_ends(&p, "Spawning Loading Failed Dead", "no room");
    p = speaker_open();
    say_hello(&p, WIRE_VERSION, build_id);
    say_plan(&p);
    say_failed(&p, WEIR_OK, "all is well"); /* that is no failure */
    assert_ends(&p, "Spawning Loading Failed Dead",
                "a worker of model 'm' died while loading: "
                "frame 'failed': code of a failure out of range at byte 51 of 51; signal 9");
}

/* What was wrong is forgotten with the next worker that loads, but not while the breaker has still
 * to be convinced: it would say no more why it is open. */
static void who_loads_clears_the_problem(void **state)
{
    (void)state;
    for (int opens = 0; opens < 2; opens++) {
        struct limits limits = limits_default;
        limits.breaker_failures = opens ? 1 : 5;
        struct test_pool *t = test_open(1000, &limits);
        struct test_model *m =
            test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
        const struct model *entry = model_find(t->supervisor, "m");
        m->fails = true;
        test_submit(t, "m", "e", 0);
        test_run_until(t, 2 * SECOND);
        assert_string_equal(entry->problem.text, "a file is missing");
        m->fails = false;
        test_run_until(t, 70 * SECOND);
        test_submit(t, "m", "r", 0);
        test_run_until(t, 72 * SECOND);
        assert_string_equal(t->paths[3], "Spawning Loading Ready Processing");
        assert_string_equal(entry->problem.text, opens ? "a file is missing" : "");
        if (!opens)
            assert_int_equal(entry->problem.index, -1); /* it is about no input either */
        test_close(t);
    }
}

/* One that was told to leave may not have heard it yet. */
static void who_leaves_may_finish_his_sentence(void **state)
{
    (void)state;
    struct speaker p = speaker_open();
    say_hello(&p, WIRE_VERSION, build_id);
    say_plan(&p);
    say(&p, FRAME_LOADED);
    test_run_until(p.pool, 20);
    p.pool->world.holds_exits = true;
    assert_int_equal(supervisor_unload(p.pool->supervisor, "m", NULL), WEIR_OK);
    test_run_until(p.pool, 20);
    say(&p, FRAME_LOADED);
    test_run_until(p.pool, 30);
    assert_int_equal(p.pool->world.kills, 0);
    assert_ends(&p, "Spawning Loading Ready Evicting Dead", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_of_another_build_is_not_listened_to),
        cmocka_unit_test(one_hello_is_enough),
        cmocka_unit_test(a_plan_comes_after_the_hello),
        cmocka_unit_test(each_word_has_its_time),
        cmocka_unit_test(nonsense_is_no_greeting),
        cmocka_unit_test(a_worker_may_say_that_it_cannot),
        cmocka_unit_test(who_loads_clears_the_problem),
        cmocka_unit_test(who_leaves_may_finish_his_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
