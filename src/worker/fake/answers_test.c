/* What a fake worker answers, capability by capability. */
#include "wire/image_embedding.h"
#include "wire/text_to_image.h"
#include "worker/fake/test_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void expect_text_end(struct fixture *t, uint64_t job, uint64_t in, uint64_t out,
                            enum wire_finish finish)
{
    const struct message_end end = peer_end(&t->peer, job);
    assert_int_equal(end.error.code, WEIR_OK);
    assert_int_equal(end.input_tokens, in);
    assert_int_equal(end.output_tokens, out);
    assert_int_equal(end.finish, finish);
}

static void the_last_question_is_answered(void **state)
{
    (void)state;
    static const struct wire_input parts[] = {
        {WIRE_TEXT,  { "be kind", 7 }    },
        { WIRE_TEXT, { "!crash", 6 }     },
        { WIRE_TEXT, { "fine", 4 }       },
        { WIRE_TEXT, { "one two", 7 }    },
        { WIRE_TEXT, { "three four", 10 }}
    };
    static const struct wire_message messages[] = {
        {WIRE_ROLE_SYSTEM,     &parts[0], 1},
        { WIRE_ROLE_USER,      &parts[1], 1},
        { WIRE_ROLE_ASSISTANT, &parts[2], 1},
        { WIRE_ROLE_USER,      &parts[3], 2},
        { WIRE_ROLE_TOOL,      &parts[2], 1}
    };
    static const struct str until = { "o o", 3 };
    struct generate_request r = { .messages = messages, .messages_count = 5 };
    struct fixture t;
    ready(&t, "fake:text_to_text?script=yes", 1);
    ask_text(&t, 1, false, &r);
    expect_word(&t, 1, "four");
    expect_word(&t, 1, " three");
    expect_word(&t, 1, " two");
    expect_word(&t, 1, " one");
    expect_text_end(&t, 1, 9, 4, WIRE_FINISH_STOP);
    r.tokens_max = 2;
    ask_text(&t, 2, false, &r);
    expect_word(&t, 2, "four");
    expect_word(&t, 2, " three");
    expect_text_end(&t, 2, 9, 2, WIRE_FINISH_LENGTH);
    r.tokens_max = 3;
    r.stop = &until;
    r.stop_count = 1;
    ask_text(&t, 3, false, &r);
    expect_word(&t, 3, "four");
    expect_word(&t, 3, " three");
    expect_word(&t, 3, " tw");
    expect_text_end(&t, 3, 9, 3, WIRE_FINISH_STOP);
    r.messages_count = 1; /* nobody asked anything */
    ask_text(&t, 4, false, &r);
    expect_text_end(&t, 4, 2, 0, WIRE_FINISH_STOP);
    assert_int_equal(stop(&t), 0);
}

static void images_are_described(void **state)
{
    (void)state;
    static const struct wire_input parts[] = {
        {WIRE_TEXT,   { "what is", 7 }},
        { WIRE_IMAGE, { "a", 1 }      },
        { WIRE_IMAGE, { "b", 1 }      },
        { WIRE_TEXT,  { "this", 4 }   }
    };
    const struct wire_message swapped[] = {
        {WIRE_ROLE_USER, (const struct wire_input[]){ parts[2], parts[1] }, 2}
    };
    const struct wire_message message = { WIRE_ROLE_USER, parts, 4 };
    struct fixture t;
    ready(&t, "fake:vision", 1);
    ask_text(&t, 1, true, &(struct generate_request){ .messages = &message, .messages_count = 1 });
    expect_word(&t, 1, "this");
    expect_word(&t, 1, " is");
    expect_word(&t, 1, " what");
    peer_output(&t.peer, 1, &t.bytes);
    assert_true(str_starts(buffer_view(&t.bytes), STR(" images=2:")));
    assert_int_equal(t.bytes.len, strlen(" images=2:0123456789abcdef"));
    char hash[17] = "";
    memcpy(hash, t.bytes.data + t.bytes.len - 16, 16);
    expect_text_end(&t, 1, 5, 4, WIRE_FINISH_STOP);
    /* Their order counts. */
    ask_text(&t, 2, true, &(struct generate_request){ .messages = swapped, .messages_count = 1 });
    peer_output(&t.peer, 2, &t.bytes);
    assert_memory_not_equal(hash, t.bytes.data + t.bytes.len - 16, 16);
    expect_text_end(&t, 2, 2, 1, WIRE_FINISH_STOP);
    assert_int_equal(stop(&t), 0);
}

static void vectors_of_images_are_functions_of_their_bytes(void **state)
{
    (void)state;
    static const struct wire_input images[] = {
        {WIRE_IMAGE,  { "png a", 5 }},
        { WIRE_IMAGE, { "png b", 5 }},
        { WIRE_IMAGE, { "png a", 5 }},
        { WIRE_IMAGE, { "", 0 }     }
    };
    struct fixture t;
    struct frame f;
    struct buffer payload;
    struct text_embedding_reply reply;
    buffer_init(&payload, 1000);
    ready(&t, "fake:image_embedding?dim=8", 1);
    image_embedding_request_write(&payload, &(struct image_embedding_request){ 0, images, 3 });
    peer_run(&t.peer, 1, WEIR_IMAGE_EMBEDDING, WEIR_EMBED, buffer_view(&payload));
    peer_expect(&t.peer, FRAME_ACCEPTED, &f);
    peer_output(&t.peer, 1, &t.bytes);
    assert_true(text_embedding_reply_read(buffer_view(&t.bytes), &t.arena, &reply, NULL));
    assert_true(reply.rows == 3 && reply.dim == 8 && reply.tokens[0] == 1);
    assert_memory_equal(reply.vectors, reply.vectors + 16, 8 * sizeof(float));
    assert_memory_not_equal(reply.vectors, reply.vectors + 8, 8 * sizeof(float));
    assert_int_equal(peer_end(&t.peer, 1).input_tokens, 3);
    buffer_clear(&payload);
    image_embedding_request_write(&payload, &(struct image_embedding_request){ 0, images, 4 });
    peer_run(&t.peer, 2, WEIR_IMAGE_EMBEDDING, WEIR_EMBED, buffer_view(&payload));
    peer_expect(&t.peer, FRAME_ACCEPTED, &f);
    assert_int_equal(peer_end(&t.peer, 2).error.index, 3);
    buffer_finish(&payload);
    assert_int_equal(stop(&t), 0);
}

static void draw(struct fixture *t, uint64_t job, const struct draw_request *r)
{
    struct buffer payload;
    struct frame f;
    buffer_init(&payload, 1000);
    draw_request_write(&payload, r);
    peer_run(&t->peer, job, WEIR_TEXT_TO_IMAGE, WEIR_DRAW, buffer_view(&payload));
    peer_expect(&t->peer, FRAME_ACCEPTED, &f);
    buffer_finish(&payload);
}

/* The next picture after its steps, borrowed until the fixture's bytes change. */
static struct draw_reply drawn(struct fixture *t, uint64_t job, uint32_t from, uint32_t to,
                               uint32_t steps)
{
    struct draw_reply reply;
    struct message_progress progress;
    struct frame f;
    for (uint32_t step = from; step <= to; step++) {
        peer_expect(&t->peer, FRAME_PROGRESS, &f);
        assert_true(message_progress_read(&f, &progress, NULL));
        assert_int_equal(progress.step, step);
        assert_int_equal(progress.steps, steps);
    }
    assert_true(peer_output(&t->peer, job, &t->bytes).streamed);
    assert_true(draw_reply_read(buffer_view(&t->bytes), &reply, NULL));
    assert_true(str_eq(reply.media_type, STR("image/png")));
    return reply;
}

static void pictures_are_drawn_step_by_step(void **state)
{
    (void)state;
    struct draw_request r = {
        .prompt = {"a boat", 6},
        .count = 2,
        .width = 32,
        .height = 16,
        .steps = 3,
        .seeded = true,
        .seed = 7
    };
    struct fixture t;
    ready(&t, "fake:text_to_image?steps=2&script=yes", 1);
    draw(&t, 1, &r);
    struct draw_reply first = drawn(&t, 1, 1, 3, 6);
    assert_true(first.width == 32 && first.height == 16);
    const uint64_t first_hash = str_hash(first.image);
    const uint64_t second_hash = str_hash(drawn(&t, 1, 4, 6, 6).image);
    assert_int_equal(peer_end(&t.peer, 1).input_tokens, 2);
    assert_true(first_hash != second_hash);
    /* Image i is drawn with seed + i. */
    r.seed = 8;
    r.count = 1;
    r.steps = 0;
    draw(&t, 2, &r);
    assert_true(str_hash(drawn(&t, 2, 1, 2, 2).image) == second_hash);
    peer_end(&t.peer, 2);
    r.prompt = (struct str){ "a ship", 6 };
    r.width = r.height = 0;
    draw(&t, 3, &r);
    first = drawn(&t, 3, 1, 2, 2);
    assert_true(first.width == 64 && first.height == 64);
    peer_end(&t.peer, 3);
    r.prompt = (struct str){ "!fail no paint", 14 };
    draw(&t, 4, &r);
    assert_string_equal(peer_end(&t.peer, 4).error.text, "no paint");
    r.prompt.len = 0;
    draw(&t, 5, &r);
    assert_int_equal(peer_end(&t.peer, 5).error.index, 0);
    assert_int_equal(stop(&t), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_question_is_answered),
        cmocka_unit_test(images_are_described),
        cmocka_unit_test(vectors_of_images_are_functions_of_their_bytes),
        cmocka_unit_test(pictures_are_drawn_step_by_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
