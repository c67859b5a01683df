/* preparer_test.c — the process that packs weights, when it does not do as it should: nobody pays
 * for it but in memory. It says what the test says. */
#include "supervisor/test_prepare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

/* The model serves unpacked, with all of its workers, and is told why. */
static void assert_goes_on_without(struct test_pool *t, const char *why)
{
    char line[200];
    test_run_until(t, t->world.now_ms + 3 * SECOND);
    assert_ended(&t->requests[0], WEIR_OK);
    assert_int_equal(leased(t), 280);
    assert_int_equal(find_model(t, "m")->preparation, PREPARATION_FAILED);
    snprintf(line, sizeof line, "prepared m: %s\n", why);
    assert_true(was_told(t, line));
    for (uint32_t id = 2; id < TEST_PROCESSES; id++)
        assert_false(t->world.processes[id].has_cache);
    test_close(t);
}

/* It was started and has said nothing. */
static struct test_pool *open_silent_of(enum worker_program program)
{
    struct test_pool *t = test_open(1000, NULL);
    add(t, "m", (struct model_settings){ .max_workers = 2, .program = program });
    test_submit(t, "m", "e", 0);
    test_run_until(t, INSPECTED_MS);
    CHECK(t->world.processes[2].alive);
    t->world.processes[2].hello_ms = TEST_NEVER;
    return t;
}

static struct test_pool *open_silent(void)
{
    return open_silent_of(PROGRAM_CPU);
}

static void a_failure_that_is_stated_costs_no_request(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = add(t, "m", (struct model_settings){ .max_workers = 2 });
    m->prepare_fails = "the disk is full";
    test_submit(t, "m", "e", 0);
    test_run_until(t, PREPARED_MS);
    assert_goes_on_without(t, "the disk is full");
}

static void a_crash_costs_no_request(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    test_exit(&t->world, 2);
    assert_goes_on_without(t, "exit status 0");
    t = open_silent();
    test_exit(&t->world, 2);
    assert_goes_on_without(t, "exit status 0");
    t = open_asked();
    supervisor_on_lost(t->supervisor, 2, "its channel was closed");
    test_run_until(t, ASKED_MS);
    assert_int_equal(t->world.kills, 1);
    assert_goes_on_without(t, "its channel was closed");
}

static void a_refused_start_costs_no_request(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.no_preparers = 1;
    add(t, "m", (struct model_settings){ .max_workers = 2 });
    test_submit(t, "m", "e", 0);
    test_run_until(t, INSPECTED_MS);
    assert_int_equal(find_model(t, "m")->spawned, 1);
    assert_int_equal(leased(t), 190);
    assert_goes_on_without(t, "no such program");
}

static void who_says_no_hello_is_killed_in_time(void **state)
{
    (void)state;
    static const enum worker_program programs[] = { PROGRAM_CPU, PROGRAM_FAKE };
    for (size_t i = 0; i < ARRAY_COUNT(programs); i++) {
        struct test_pool *t = open_silent_of(programs[i]);
        test_run_until(t, INSPECTED_MS + 5 * SECOND - 1);
        assert_int_equal(t->world.kills, 0);
        test_run_until(t, INSPECTED_MS + 5 * SECOND);
        assert_int_equal(t->world.kills, 1);
        assert_goes_on_without(t, "the preparer made no progress for 5000 ms");
    }
}

/* From the last tick that was seen on; one that ticks has all the time it needs. */
static void who_stands_still_is_killed_in_time(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    t->world.ticks_stand = true;
    test_run_until(t, ASKED_MS + 60 * SECOND - 1);
    assert_int_equal(t->world.kills, 0);
    t->world.ticks_stand = false;
    test_run_until(t, ASKED_MS + 60 * SECOND);
    assert_int_equal(t->world.kills, 0);
    test_run_until(t, 500 * SECOND);
    assert_int_equal(t->world.kills, 0);
    t->world.ticks_stand = true;
    test_run_until(t, 500 * SECOND + 60 * SECOND);
    assert_int_equal(t->world.kills, 1);
    test_close(t);
}

/* Another model waits: 60 s, and as long as a slow disk takes for 80 MiB. */
static void who_ticks_for_ever_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct test_pool *t = open_asked();
    add(t, "other", ONE);
    const struct test_request *r = test_submit(t, "other", "e", 0);
    test_run_until(t, 65 * SECOND);
    assert_int_equal(t->world.kills, 0);
    t->world.prepare_ms = 200;
    test_run_until(t, 66 * SECOND);
    assert_int_equal(t->world.kills, 1);
    assert_non_null(strstr(t->heard.news, "while others waited to be prepared"));
    assert_ended(r, WEIR_OK);
    test_close(t);
}

static void say(struct test_pool *t, enum frame_type type, uint64_t job, struct buffer *body)
{
    test_emit(&t->world, 2, type, job, body);
    test_run_until(t, t->world.now_ms);
    assert_int_equal(t->world.kills, 1);
}

static void who_is_not_understood_is_killed(void **state)
{
    (void)state;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    struct test_pool *t = open_silent();
    message_hello_write(&body, &(struct message_hello){ WIRE_VERSION, STR("another") });
    say(t, FRAME_HELLO, 0, &body);
    assert_goes_on_without(t, "the preparer is of another build");
    t = open_silent();
    say(t, FRAME_PREPARED, 0, &body);
    assert_goes_on_without(t, "the preparer broke the protocol");
    t = open_asked();
    say(t, FRAME_HELLO, 0, &body);
    assert_goes_on_without(t, "the preparer broke the protocol");
    t = open_asked();
    say(t, FRAME_INSPECTED, t->world.processes[2].asked, &body);
    assert_goes_on_without(t, "the preparer broke the protocol");
    t = open_asked();
    message_prepared_write(&body, &(struct weir_error){ .index = -1 });
    say(t, FRAME_PREPARED, t->world.processes[2].asked + 1, &body);
    assert_goes_on_without(t, "the preparer answered what nobody asked");
    t = open_asked();
    buffer_u8(&body, 1);
    say(t, FRAME_PREPARED, t->world.processes[2].asked, &body);
    assert_goes_on_without(t, "frame 'prepared': a number of 4 bytes is cut off at byte 0 of 1");
    buffer_finish(&body);
}

/* What a process says after it was killed is heard by nobody. */
static void the_killed_have_nothing_to_say(void **state)
{
    (void)state;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    struct test_pool *t = open_asked();
    t->world.holds_exits = true;
    say(t, FRAME_PLAN, 0, &body);
    assert_int_equal(leased(t), 64 + 190); /* until it is reaped */
    message_prepared_write(&body, &(struct weir_error){ .index = -1 });
    say(t, FRAME_PREPARED, t->world.processes[2].asked, &body);
    supervisor_on_lost(t->supervisor, 2, "its channel was closed");
    test_run_until(t, 20 * SECOND);
    assert_int_equal(t->world.kills, 1);
    t->world.holds_exits = false;
    assert_goes_on_without(t, "the preparer broke the protocol");
    buffer_finish(&body);
}

static void who_does_not_go_is_killed_in_time(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    add(t, "m", ONE);
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, PREPARED_MS - 1);
    t->world.is_stubborn = true;
    test_run_until(t, PREPARED_MS + 5 * SECOND - 1);
    assert_ended(r, WEIR_OK);
    assert_int_equal(t->world.kills, 0);
    assert_int_equal(leased(t), 64 + 190);
    test_run_until(t, PREPARED_MS + 5 * SECOND + 1);
    assert_int_equal(t->world.kills, 1);
    assert_int_equal(leased(t), 190);
    assert_int_equal(find_model(t, "m")->preparation, PREPARATION_SHARED);
    t->world.is_stubborn = false;
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_that_is_stated_costs_no_request),
        cmocka_unit_test(a_crash_costs_no_request),
        cmocka_unit_test(a_refused_start_costs_no_request),
        cmocka_unit_test(who_says_no_hello_is_killed_in_time),
        cmocka_unit_test(who_stands_still_is_killed_in_time),
        cmocka_unit_test(who_ticks_for_ever_keeps_nobody_waiting),
        cmocka_unit_test(who_is_not_understood_is_killed),
        cmocka_unit_test(the_killed_have_nothing_to_say),
        cmocka_unit_test(who_does_not_go_is_killed_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
