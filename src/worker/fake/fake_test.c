/* A fake worker's life: its frames, its jobs side by side, its misbehaviour. */
#include "base/clock.h"
#include "wire/build_id.h"
#include "wire/tokens.h"
#include "worker/fake/test_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void it_says_hello_plans_loads_and_leaves(void **state)
{
    (void)state;
    struct fixture t;
    struct frame f;
    struct message_hello hello;
    struct plan plan;
    start(&t, "fake:text_embedding?slots=3&dim=5&load=30ms&touch=yes&weights=1MiB");
    peer_expect(&t.peer, FRAME_HELLO, &f);
    assert_true(message_hello_read(&f, &hello, NULL));
    assert_int_equal(hello.version, WIRE_VERSION);
    assert_true(str_eq(hello.build_id, str_of(build_id)));
    peer_expect(&t.peer, FRAME_PLAN, &f);
    assert_true(message_plan_read(&f, &plan, NULL));
    assert_int_equal(plan.slots, 3);
    send_load(&t.peer, 3, 1);
    peer_expect(&t.peer, FRAME_LOADED, &f);
    assert_true(atomic_load(&t.peer.page->ticks) > 0);
    peer_send(&t.peer, FRAME_BYE, 0, NULL, (struct str){ 0 });
    assert_int_equal(peer_poll(&t.peer, PEER_PATIENCE_MS, &f), -1);
    assert_int_equal(stop(&t), 0);
}

static void vectors_are_functions_of_the_text(void **state)
{
    (void)state;
    struct fixture t;
    ready(&t, "fake:text_embedding?dim=16&slots=2", 2);
    embed(&t, 1, "two words", 0);
    const struct text_embedding_reply a = embedded(&t, 1);
    embed(&t, 2, "other", 0);
    const struct text_embedding_reply b = embedded(&t, 2);
    embed(&t, 3, "two words", 4);
    const struct text_embedding_reply c = embedded(&t, 3);
    assert_true(a.rows == 1 && a.dim == 16 && a.tokens[0] == 2 && b.tokens[0] == 1);
    assert_memory_not_equal(a.vectors, b.vectors, 16 * sizeof(float));
    assert_int_equal(c.dim, 4);
    float length = 0, short_length = 0;
    for (int i = 0; i < 16; i++)
        length += a.vectors[i] * a.vectors[i];
    for (int i = 0; i < 4; i++)
        short_length += c.vectors[i] * c.vectors[i];
    assert_true(length > 0.999f && length < 1.001f);
    assert_true(short_length > 0.999f && short_length < 1.001f);
    /* The cut keeps directions. */
    assert_true(c.vectors[0] / c.vectors[1] - a.vectors[0] / a.vectors[1] < 1e-4f);
    embed(&t, 4, "x", 17);
    const struct message_end end = peer_end(&t.peer, 4);
    assert_int_equal(end.error.code, WEIR_INVALID);
    assert_int_equal(end.error.limit, 16);
    embed(&t, 5, "", 0);
    assert_int_equal(peer_end(&t.peer, 5).error.index, 0);
    assert_int_equal(stop(&t), 0);
}

static void tokens_come_and_go(void **state)
{
    (void)state;
    static const int32_t ids[] = { 7, -2, 300 };
    static const struct wire_input texts[] = {
        {WIRE_TEXT,  { "a b a", 5 }},
        { WIRE_TEXT, { "", 0 }     }
    };
    static const struct wire_input numbers = {
        WIRE_IDS, {(const char *)ids, sizeof(ids)}
    };
    struct fixture t;
    struct buffer payload;
    struct frame f;
    struct tokens_reply reply;
    buffer_init(&payload, 1000);
    ready(&t, "fake:text_embedding", 1);
    tokens_request_write(&payload, &(struct tokens_request){ false, texts, 2 });
    peer_run(&t.peer, 1, WEIR_TEXT_EMBEDDING, WEIR_TOKENIZE, buffer_view(&payload));
    peer_expect(&t.peer, FRAME_ACCEPTED, &f);
    peer_output(&t.peer, 1, &t.bytes);
    assert_true(tokens_reply_read(buffer_view(&t.bytes), &t.arena, &reply, NULL));
    assert_int_equal(reply.rows, 2);
    assert_true(reply.starts[1] == 3 && reply.starts[2] == 3);
    assert_int_equal(reply.ids[0], reply.ids[2]);
    assert_true(str_eq(reply.pieces[1], STR("b")));
    assert_int_equal(peer_end(&t.peer, 1).error.code, WEIR_OK);

    buffer_clear(&payload);
    tokens_request_write(&payload, &(struct tokens_request){ false, &numbers, 1 });
    peer_run(&t.peer, 2, WEIR_TEXT_EMBEDDING, WEIR_DETOKENIZE, buffer_view(&payload));
    peer_expect(&t.peer, FRAME_ACCEPTED, &f);
    peer_output(&t.peer, 2, &t.bytes);
    assert_true(str_eq(buffer_view(&t.bytes), STR("7 -2 300")));
    assert_int_equal(peer_end(&t.peer, 2).error.code, WEIR_OK);
    buffer_finish(&payload);
    assert_int_equal(stop(&t), 0);
}

static void text_comes_back_reversed(void **state)
{
    (void)state;
    struct fixture t;
    ready(&t, "fake:text_to_text", 1);
    generate(&t, 1, "one two  three");
    expect_word(&t, 1, "three");
    expect_word(&t, 1, " two");
    expect_word(&t, 1, " one");
    const struct message_end end = peer_end(&t.peer, 1);
    assert_int_equal(end.error.code, WEIR_OK);
    assert_true(end.input_tokens == 3 && end.output_tokens == 3);
    embed(&t, 2, "x", 0);
    assert_int_equal(peer_end(&t.peer, 2).error.code, WEIR_UNSUPPORTED);
    assert_int_equal(stop(&t), 0);
}

static void a_job_without_credit_lets_others_pass(void **state)
{
    (void)state;
    struct fixture t;
    struct frame f;
    ready(&t, "fake:text_to_text?script=yes", 2);
    generate(&t, 1, "!tokens 66");
    for (int i = 0; i < WIRE_CREDIT_EVENTS; i++)
        peer_output(&t.peer, 1, &t.bytes);
    assert_int_equal(peer_poll(&t.peer, 50, &f), 0);
    generate(&t, 2, "hello");
    expect_word(&t, 2, "hello");
    peer_end(&t.peer, 2);
    send_credit(&t.peer, 1, 1, 100);
    expect_word(&t, 1, "token 64");
    assert_int_equal(peer_poll(&t.peer, 50, &f), 0);
    send_credit(&t.peer, 1, 1, 100);
    expect_word(&t, 1, "token 65");
    assert_int_equal(peer_end(&t.peer, 1).output_tokens, 66);
    assert_int_equal(stop(&t), 0);
}

static void steps_take_their_time_side_by_side(void **state)
{
    (void)state;
    struct fixture t;
    ready(&t, "fake:text_to_text?step=60ms&slots=2", 2);
    const int64_t before_ms = clock_ms();
    generate(&t, 1, "a b c");
    generate(&t, 2, "a b c");
    size_t ended = 0, words[3] = { 0 };
    struct frame f;
    while (ended < 2 && peer_poll(&t.peer, PEER_PATIENCE_MS, &f) == 1) {
        assert_in_range(f.job, 1, 2);
        words[f.job] += f.type == FRAME_OUTPUT;
        /* Neither waits for the other to end. */
        if (f.type == FRAME_END && ++ended == 1)
            assert_true(words[1] >= 2 && words[2] >= 2);
    }
    assert_true(words[1] == 3 && words[2] == 3);
    assert_true(clock_ms() - before_ms >= 180);
    assert_int_equal(stop(&t), 0);
}

static void a_cancel_stops_within_a_step(void **state)
{
    (void)state;
    struct fixture t;
    ready(&t, "fake:text_embedding?script=yes", 1);
    embed(&t, 1, "!sleep 20s", 0);
    embed(&t, 2, "waits in the worker", 0);
    peer_send(&t.peer, FRAME_CANCEL, 1, NULL, (struct str){ 0 });
    assert_int_equal(peer_end(&t.peer, 1).error.code, WEIR_CANCELLED);
    embedded(&t, 2);
    assert_int_equal(stop(&t), 0);
}

/* As embed, of a worker that may be gone before its acknowledgement leaves. */
static void embed_last(struct fixture *t, uint64_t job, const char *text)
{
    const struct wire_input input = { WIRE_TEXT, str_of(text) };
    struct buffer payload;
    buffer_init(&payload, 10000);
    text_embedding_request_write(&payload,
                                 &(struct text_embedding_request){ .inputs = &input, .count = 1 });
    peer_run(&t->peer, job, WEIR_TEXT_EMBEDDING, WEIR_EMBED, buffer_view(&payload));
    buffer_finish(&payload);
}

static void orders_are_obeyed(void **state)
{
    (void)state;
    struct fixture t;
    const int64_t before_ms = clock_ms();
    ready(&t, "fake:text_embedding?script=yes&dim=4", 1);
    embed(&t, 1, "!sleep 120ms", 0);
    embedded(&t, 1);
    assert_true(clock_ms() - before_ms >= 120);
    embed(&t, 2, "!fail out of luck", 0);
    const struct message_end end = peer_end(&t.peer, 2);
    assert_int_equal(end.error.code, WEIR_MODEL_FAILED);
    assert_string_equal(end.error.text, "out of luck");
    embed(&t, 3, "!dance", 0);
    assert_int_equal(peer_end(&t.peer, 3).error.code, WEIR_INVALID);
    embed_last(&t, 4, "!crash");
    assert_int_equal(died_of(&t), SIGABRT);
}

static void a_hanging_worker_answers_pings_and_dies_with_its_channel(void **state)
{
    (void)state;
    struct fixture t;
    struct frame f;
    ready(&t, "fake:text_embedding?hang=step:1", 1);
    embed(&t, 1, "x", 0);
    struct buffer body;
    buffer_init(&body, 100);
    message_ping_write(&body, 5);
    peer_tell(&t.peer, FRAME_PING, 0, &body);
    peer_expect(&t.peer, FRAME_PONG, &f);
    const uint64_t ticks = atomic_load(&t.peer.page->ticks);
    assert_int_equal(peer_poll(&t.peer, 100, &f), 0);
    assert_true(atomic_load(&t.peer.page->ticks) <= ticks + 1);
    assert_int_equal(stop(&t), 0);
}

static void loads_fail_as_often_as_told(void **state)
{
    (void)state;
    struct fixture t;
    struct frame f;
    struct weir_error err;
    start(&t, "fake:text_embedding?load_fail=disk on fire&load_fail_times=2");
    peer_expect(&t.peer, FRAME_HELLO, &f);
    peer_expect(&t.peer, FRAME_PLAN, &f);
    send_load(&t.peer, 1, 2);
    peer_expect(&t.peer, FRAME_FAILED, &f);
    assert_true(message_failed_read(&f, &err, NULL));
    assert_int_equal(err.code, WEIR_LOAD_FAILED);
    assert_string_equal(err.text, "disk on fire");
    peer_send(&t.peer, FRAME_BYE, 0, NULL, (struct str){ 0 });
    assert_int_equal(stop(&t), 0);
    start(&t, "fake:text_embedding?load_fail=disk on fire&load_fail_times=2");
    peer_expect(&t.peer, FRAME_HELLO, &f);
    peer_expect(&t.peer, FRAME_PLAN, &f);
    send_load(&t.peer, 1, 3);
    peer_expect(&t.peer, FRAME_LOADED, &f);
    assert_int_equal(stop(&t), 0);
}

static void garbage_is_garbage(void **state)
{
    (void)state;
    struct fixture t;
    struct frame f;
    start(&t, "fake:text_embedding?garbage=hello");
    assert_int_equal(peer_poll(&t.peer, PEER_PATIENCE_MS, &f), -1);
    stop(&t);
    ready(&t, "fake:text_embedding?garbage=result", 1);
    embed_last(&t, 1, "x");
    assert_int_equal(peer_poll(&t.peer, PEER_PATIENCE_MS, &f), -1);
    stop(&t);
}

/* The next frame is an output, and behind it comes a part that says this of a block. */
static void expect_block(struct fixture *t, uint32_t block, uint32_t bytes)
{
    struct frame f;
    struct message_block m;
    peer_expect(&t->peer, FRAME_OUTPUT, &f);
    peer_expect(&t->peer, FRAME_PART, &f);
    assert_int_equal(f.flags, FRAME_IN_BLOCK);
    const bool good = message_block_read(&f, &m, NULL);
    assert_int_equal(good, bytes <= REGION_BLOCK_BYTES);
    if (good)
        assert_true(m.block == block && m.bytes == bytes);
}

static void garbage_comes_in_kinds(void **state)
{
    (void)state;
    struct fixture t;
    ready(&t, "fake:text_embedding?script=yes", 8);
    embed_last(&t, 1, "!garbage outside");
    expect_block(&t, REGION_BLOCKS, REGION_BLOCK_BYTES);
    embed_last(&t, 2, "!garbage length");
    expect_block(&t, REGION_BLOCKS - 1, REGION_BLOCK_BYTES + 1);
    embed_last(&t, 3, "!garbage foreign");
    expect_block(&t, REGION_BLOCKS - 1, REGION_BLOCK_BYTES);
    embedded(&t, 3);
    embed(&t, 4, "!garbage return", 0);
    embedded(&t, 4);
    assert_int_equal(atomic_load(&t.peer.page->returned[CONTROL_REQUESTS]), UINT64_MAX);
    embed(&t, 5, "!garbage unheard of", 0);
    assert_int_equal(peer_end(&t.peer, 5).error.code, WEIR_INVALID);
    embed_last(&t, 6, "!garbage flood");
    expect_block(&t, 0, REGION_BLOCK_BYTES - 1);
    struct frame f;
    for (int i = 0; i < 1000; i++)
        peer_expect(&t.peer, FRAME_PART, &f);
    stop(&t);
}

static void every_nth_job_crashes(void **state)
{
    (void)state;
    struct fixture t;
    ready(&t, "fake:text_embedding?crash=every:2", 1);
    embed(&t, 1, "x", 0);
    embedded(&t, 1);
    embed_last(&t, 2, "x");
    assert_int_equal(died_of(&t), SIGABRT);
}

static void a_wrong_spec_fails_its_plan(void **state)
{
    (void)state;
    struct fixture t;
    struct frame f;
    struct weir_error err;
    start(&t, "fake:text_embedding?colour=red");
    peer_expect(&t.peer, FRAME_HELLO, &f);
    peer_expect(&t.peer, FRAME_FAILED, &f);
    assert_true(message_failed_read(&f, &err, NULL));
    assert_non_null(strstr(err.text, "colour"));
    assert_int_equal(stop(&t), 0);
}

static void ask(struct fixture *t, uint64_t number, const char *path)
{
    struct buffer body;
    buffer_init(&body, 1000);
    message_inspect_write(&body, &(struct message_inspect){ str_of(path), 0 });
    peer_send(&t->peer, FRAME_INSPECT, number, &body, (struct str){ 0 });
    buffer_finish(&body);
}

static void an_inspector_tells_the_truth(void **state)
{
    (void)state;
    struct fixture t;
    struct frame f;
    struct message_inspected answer;
    start(&t, "--inspect");
    peer_expect(&t.peer, FRAME_HELLO, &f);
    ask(&t, 8, "fake:text_to_text?weights=3&crash=start&plan_fail=x&garbage=hello&hang=load");
    ask(&t, 9, "fake:nothing");
    peer_expect(&t.peer, FRAME_INSPECTED, &f);
    assert_true(message_inspected_read(&f, &answer, NULL));
    assert_int_equal(f.job, 8);
    assert_int_equal(answer.error.code, WEIR_OK);
    assert_int_equal(answer.plan.weights_bytes, 3);
    peer_expect(&t.peer, FRAME_INSPECTED, &f);
    assert_true(message_inspected_read(&f, &answer, NULL));
    assert_int_equal(f.job, 9);
    assert_int_equal(answer.error.code, WEIR_INVALID);
    peer_send(&t.peer, FRAME_BYE, 0, NULL, (struct str){ 0 });
    assert_int_equal(peer_poll(&t.peer, PEER_PATIENCE_MS, &f), -1);
    assert_int_equal(stop(&t), 0);
}

static struct weir_error prepared(const char *path)
{
    struct fixture t;
    struct frame f;
    struct weir_error answer;
    struct buffer body;
    start(&t, "--prepare");
    peer_expect(&t.peer, FRAME_HELLO, &f);
    buffer_init(&body, 1000);
    message_prepare_write(&body,
                          &(struct message_prepare){ .path = str_of(path), .cache = STR("/none") });
    peer_send(&t.peer, FRAME_PREPARE, 8, &body, (struct str){ 0 });
    buffer_finish(&body);
    peer_expect(&t.peer, FRAME_PREPARED, &f);
    assert_true(message_prepared_read(&f, &answer, NULL));
    assert_int_equal(f.job, 8);
    peer_send(&t.peer, FRAME_BYE, 0, NULL, (struct str){ 0 });
    assert_int_equal(peer_poll(&t.peer, PEER_PATIENCE_MS, &f), -1);
    assert_int_equal(stop(&t), 0);
    return answer;
}

static void a_preparer_does_as_it_is_told(void **state)
{
    (void)state;
    const int64_t begun_ms = clock_ms();
    assert_int_equal(prepared("fake:text_embedding?packed=1MiB&prepare=50ms").code, WEIR_OK);
    assert_true(clock_ms() - begun_ms >= 50);
    assert_string_equal(prepared("fake:text_embedding?prepare_fail=disk full").text, "disk full");
    assert_int_equal(prepared("fake:nothing").code, WEIR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_hello_plans_loads_and_leaves),
        cmocka_unit_test(vectors_are_functions_of_the_text),
        cmocka_unit_test(tokens_come_and_go),
        cmocka_unit_test(text_comes_back_reversed),
        cmocka_unit_test(a_job_without_credit_lets_others_pass),
        cmocka_unit_test(steps_take_their_time_side_by_side),
        cmocka_unit_test(a_cancel_stops_within_a_step),
        cmocka_unit_test(orders_are_obeyed),
        cmocka_unit_test(a_hanging_worker_answers_pings_and_dies_with_its_channel),
        cmocka_unit_test(loads_fail_as_often_as_told),
        cmocka_unit_test(garbage_is_garbage),
        cmocka_unit_test(garbage_comes_in_kinds),
        cmocka_unit_test(every_nth_job_crashes),
        cmocka_unit_test(a_wrong_spec_fails_its_plan),
        cmocka_unit_test(an_inspector_tells_the_truth),
        cmocka_unit_test(a_preparer_does_as_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
