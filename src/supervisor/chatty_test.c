/* chatty_test.c — workers that say too much: what the protocol does not allow costs them their
 * life, what it allows is bounded. */
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)

struct chatter {
    struct test_pool *pool;
    struct test_request *request; /* runs, and never ends by itself */
    uint64_t job;
    struct buffer body;
};

static struct chatter chatter_open(void)
{
    struct chatter c = { .pool = test_open(1000, NULL) };
    test_register(c.pool, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    c.request = test_submit(c.pool, "m", "r", 0);
    test_run_until(c.pool, SECOND);
    c.job = c.pool->world.processes[2].jobs[0].job;
    CHECK(c.job != 0);
    buffer_init(&c.body, FRAME_BODY_MAX);
    return c;
}

static void say(struct chatter *c, enum frame_type type)
{
    test_emit(&c->pool->world, 2, type, c->job, &c->body);
}

static void say_output(struct chatter *c, uint32_t bytes, bool streamed)
{
    message_output_write(&c->body,
                         &(struct message_output){ .payload_bytes = bytes, .streamed = streamed });
    say(c, FRAME_OUTPUT);
}

static void say_part(struct chatter *c, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        buffer_u8(&c->body, 'x');
    say(c, FRAME_PART);
}

static void say_end(struct chatter *c)
{
    message_end_write(&c->body, &(struct message_end){
                                    .error = {.code = WEIR_OK, .index = -1}
    });
    say(c, FRAME_END);
}

static bool is_lost(struct chatter *c)
{
    test_run_until(c->pool, c->pool->world.now_ms + 5);
    return strstr(c->pool->paths[2], "Evicting Dead") != NULL;
}

static void chatter_close(struct chatter *c)
{
    buffer_finish(&c->body);
    supervisor_cancel(c->pool->supervisor, c->request->id);
    test_close(c->pool);
}

static void parts_of_no_output_are_a_violation(void **state)
{
    (void)state;
    struct chatter c = chatter_open();
    say_part(&c, 1);
    assert_true(is_lost(&c));
    assert_int_equal(c.request->outputs, 0);
    chatter_close(&c);
    c = chatter_open();
    say_output(&c, 2, false);
    say_part(&c, 2);
    say_part(&c, 1); /* after its end */
    assert_true(is_lost(&c));
    assert_int_equal(c.request->outputs, 1);
    chatter_close(&c);
    c = chatter_open();
    say_output(&c, 2, false);
    say(&c, FRAME_PART); /* of nothing: it could go on for ever */
    assert_true(is_lost(&c));
    chatter_close(&c);
    c = chatter_open();
    say_output(&c, 2, false);
    say_part(&c, 3);
    assert_true(is_lost(&c));
    assert_int_equal(c.request->outputs, 0);
    chatter_close(&c);
    c = chatter_open();
    say_output(&c, 3, false);
    say_part(&c, 2);
    say_part(&c, 2);
    assert_true(is_lost(&c));
    assert_int_equal(c.request->outputs, 0);
    chatter_close(&c);
}

static void frames_after_the_end_are_a_violation(void **state)
{
    (void)state;
    static const enum frame_type types[] = { FRAME_ACCEPTED, FRAME_OUTPUT, FRAME_PART,
                                             FRAME_PROGRESS, FRAME_END };
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        struct chatter c = chatter_open();
        say_end(&c);
        say(&c, types[i]);
        assert_true(is_lost(&c));
        assert_true(c.request->ended && c.request->error.code == WEIR_OK);
        chatter_close(&c);
    }
}

static void an_end_within_an_output_is_a_violation(void **state)
{
    (void)state;
    struct chatter c = chatter_open();
    say_output(&c, 2, false);
    say_end(&c);
    assert_true(is_lost(&c));
    assert_false(c.request->ended); /* nothing was given: it is tried again */
    chatter_close(&c);
}

static void a_second_acknowledgement_is_a_violation(void **state)
{
    (void)state;
    struct chatter c = chatter_open();
    say(&c, FRAME_ACCEPTED);
    assert_true(is_lost(&c));
    chatter_close(&c);
}

static void streams_end_where_their_credit_does(void **state)
{
    (void)state;
    struct chatter c = chatter_open();
    say_output(&c, WIRE_CREDIT_BYTES + 10, true); /* the last may overdraw */
    for (size_t sent = 0; sent < WIRE_CREDIT_BYTES; sent += FRAME_PART_MAX)
        say_part(&c, FRAME_PART_MAX);
    say_output(&c, 1, true); /* within an output, and without credit */
    assert_true(is_lost(&c));
    chatter_close(&c);
}

/* Collected answers need no credit: together they are held by the largest payload there is. */
static void collected_outputs_are_bounded(void **state)
{
    (void)state;
    struct chatter c = chatter_open();
    say_output(&c, 1, false);
    say_part(&c, 1);
    say_output(&c, WIRE_PAYLOAD_MAX, false);
    assert_true(is_lost(&c));
    chatter_close(&c);
    c = chatter_open();
    say_output(&c, WIRE_PAYLOAD_MAX, false); /* one of the largest is */
    assert_false(is_lost(&c));
    chatter_close(&c);
}

/* What a worker had begun to say dies with it: its successor says it from the start. */
static void half_an_output_is_none(void **state)
{
    (void)state;
    struct chatter c = chatter_open();
    say_output(&c, 3, false);
    say_part(&c, 2);
    test_exit(&c.pool->world, 2);
    test_run_until(c.pool, 2 * SECOND);
    assert_int_equal(c.request->outputs, 0);
    assert_int_equal(c.pool->world.processes[3].runs, 1);
    test_finish_jobs(&c.pool->world);
    test_run_until(c.pool, 3 * SECOND);
    assert_int_equal(c.request->outputs, 1);
    assert_int_equal(c.request->output_bytes, 1);
    assert_true(c.request->ended && c.request->error.code == WEIR_OK);
    chatter_close(&c);
}

static void progress_is_told_so_often_and_not_more(void **state)
{
    (void)state;
    struct chatter c = chatter_open();
    for (uint32_t i = 0; i < 100000; i++) {
        message_progress_write(&c.body, &(struct message_progress){ i, 200000 });
        say(&c, FRAME_PROGRESS);
    }
    assert_false(is_lost(&c));
    assert_int_equal(c.request->progress, 256);
    test_run_until(c.pool, 2 * SECOND - 1);
    message_progress_write(&c.body, &(struct message_progress){ 100000, 200000 });
    say(&c, FRAME_PROGRESS);
    assert_int_equal(c.request->progress, 256);
    test_run_until(c.pool, 2 * SECOND);
    message_progress_write(&c.body, &(struct message_progress){ 100001, 200000 });
    say(&c, FRAME_PROGRESS);
    assert_int_equal(c.request->progress, 257);
    say_end(&c);
    c.pool->world.processes[2].jobs[0].job = 0;
    assert_false(is_lost(&c));
    assert_int_equal(c.request->error.code, WEIR_OK);
    chatter_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_no_output_are_a_violation),
        cmocka_unit_test(frames_after_the_end_are_a_violation),
        cmocka_unit_test(an_end_within_an_output_is_a_violation),
        cmocka_unit_test(a_second_acknowledgement_is_a_violation),
        cmocka_unit_test(streams_end_where_their_credit_does),
        cmocka_unit_test(collected_outputs_are_bounded),
        cmocka_unit_test(half_an_output_is_none),
        cmocka_unit_test(progress_is_told_so_often_and_not_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
