/* Typed requests before they reach a queue, and a worker's bytes before they reach a caller. */
#include "lib/typed.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/text_to_image.h"
#include "wire/vision.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct weir_input input(enum weir_input_kind kind, const char *data)
{
    return (struct weir_input){
        .size = sizeof(struct weir_input), .kind = kind, .data = data, .bytes = strlen(data)
    };
}

/* Writes the request; the payload is the test's, or NULL and the error. */
static uint8_t *write_request(enum weir_operation operation, enum weir_capability capability,
                              const void *in, size_t *bytes, struct weir_error *err)
{
    uint8_t *payload = NULL;
    const struct typed_operation *o = typed_operation(operation, capability, err);
    assert_non_null(o);
    const enum weir_code code = typed_request(o, in, &payload, bytes, err);
    assert_int_equal(code == WEIR_OK, payload != NULL);
    return payload;
}

static void refused(enum weir_operation operation, enum weir_capability capability, const void *in,
                    const char *why)
{
    struct weir_error err;
    size_t bytes;
    assert_null(write_request(operation, capability, in, &bytes, &err));
    assert_int_equal(err.code, WEIR_INVALID);
    if (strstr(err.text, why) == NULL)
        fprintf(stderr, "'%s' has no '%s'\n", err.text, why);
    assert_non_null(strstr(err.text, why));
}

static void accepted(enum weir_operation operation, enum weir_capability capability, const void *in)
{
    struct weir_error err;
    size_t bytes;
    uint8_t *payload = write_request(operation, capability, in, &bytes, &err);
    assert_non_null(payload);
    mem_free(payload);
}

/* What belongs together, of all pairs. */
static void operations_belong_to_their_capabilities(void **state)
{
    (void)state;
    static const uint32_t belongs[WEIR_OPERATION_COUNT] = {
        [WEIR_EMBED] = 1u << WEIR_TEXT_EMBEDDING | 1u << WEIR_IMAGE_EMBEDDING,
        [WEIR_TOKENIZE] = 1u << WEIR_TEXT_EMBEDDING | 1u << WEIR_TEXT_TO_TEXT,
        [WEIR_DETOKENIZE] = 1u << WEIR_TEXT_EMBEDDING | 1u << WEIR_TEXT_TO_TEXT,
        [WEIR_GENERATE] = 1u << WEIR_TEXT_TO_TEXT,
        [WEIR_LOAD] = (1u << WEIR_CAPABILITY_COUNT) - 1,
        [WEIR_DESCRIBE] = 1u << WEIR_VISION,
        [WEIR_DRAW] = 1u << WEIR_TEXT_TO_IMAGE,
    };
    for (unsigned o = 0; o < WEIR_OPERATION_COUNT; o++) {
        for (unsigned c = 0; c < WEIR_CAPABILITY_COUNT; c++) {
            struct weir_error err = { 0 };
            const struct typed_operation *row =
                typed_operation((enum weir_operation)o, (enum weir_capability)c, &err);
            assert_int_equal(row != NULL, (belongs[o] & 1u << c) != 0);
            assert_int_equal(err.code, row != NULL ? WEIR_OK : WEIR_INVALID);
            assert_true(row == NULL || row->mergeable == (o == WEIR_EMBED));
        }
    }
}

static void inputs_of_another_size_are_refused(void **state)
{
    (void)state;
    const size_t wrong = 1;
    refused(WEIR_EMBED, WEIR_TEXT_EMBEDDING, NULL, "missing");
    refused(WEIR_EMBED, WEIR_IMAGE_EMBEDDING, &wrong, "another size");
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &wrong, "another size");
    refused(WEIR_DESCRIBE, WEIR_VISION, NULL, "missing");
    refused(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, &wrong, "another size");
    accepted(WEIR_LOAD, WEIR_VISION, NULL);
}

static void kinds_have_their_places(void **state)
{
    (void)state;
    const struct weir_input text = input(WEIR_INPUT_TEXT, "x"),
                            image = input(WEIR_INPUT_IMAGE, "x");
    const struct weir_input bad = input(WEIR_INPUT_TEXT, "ab\xff");
    struct weir_embed e = { .size = sizeof e, .inputs = &image, .count = 1 };
    accepted(WEIR_EMBED, WEIR_IMAGE_EMBEDDING, &e);
    refused(WEIR_EMBED, WEIR_TEXT_EMBEDDING, &e,
            "input 0 is an image, here it may be a text or token ids");
    e.inputs = &text;
    accepted(WEIR_EMBED, WEIR_TEXT_EMBEDDING, &e);
    refused(WEIR_EMBED, WEIR_IMAGE_EMBEDDING, &e, "input 0 is a text, here it may be an image");
    e.inputs = &bad;
    refused(WEIR_EMBED, WEIR_TEXT_EMBEDDING, &e, "input 0 is not UTF-8 at byte 2");
    e.inputs = &text;
    char name[258];
    memset(name, 'n', sizeof(name));
    name[257] = '\0';
    e.prompt_name = name;
    refused(WEIR_EMBED, WEIR_TEXT_EMBEDDING, &e, "prompt_name has 257 bytes, the limit is 256");
    e.prompt_name = name + 1;
    accepted(WEIR_EMBED, WEIR_TEXT_EMBEDDING, &e);
    refused(WEIR_EMBED, WEIR_IMAGE_EMBEDDING, &e, "prompt_name is for texts, not for images");
    e.prompt_name = NULL;
    e.truncate = (enum weir_truncate)(WEIR_TRUNCATE_REFUSE + 1);
    refused(WEIR_EMBED, WEIR_TEXT_EMBEDDING, &e, "truncate is 3");
    e.truncate = WEIR_TRUNCATE_REFUSE;
    e.normalize = (enum weir_normalize)(WEIR_NORMALIZE_NO + 1);
    refused(WEIR_EMBED, WEIR_TEXT_EMBEDDING, &e, "normalize is 3");
    e.normalize = WEIR_NORMALIZE_AS_MODEL;
    e.inputs = NULL;
    refused(WEIR_EMBED, WEIR_TEXT_EMBEDDING, &e, "no pointer");
    e.count = 65537;
    refused(WEIR_EMBED, WEIR_IMAGE_EMBEDDING, &e, "65537 inputs, the limit is 65536");
}

static struct weir_generate prompt(void)
{
    return (struct weir_generate){ .size = sizeof(struct weir_generate),
                                   .prompt = input(WEIR_INPUT_TEXT, "hello") };
}

static void sampling_is_checked(void **state)
{
    (void)state;
    static const char *const stops[] = { "a", "b", "c", "d", "e" };
    static const char *const hollow[] = { "a", "" }, *const broken[] = { "\xff" };
    static const char *const missing[] = { NULL };
    struct weir_generate g = prompt();
    g.temperature = 2;
    g.top_p = 1;
    g.stop = stops;
    g.stop_count = 4;
    accepted(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g);
    g.temperature = 2.5f;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "temperature is 2.5, it may be 0 to 2");
    g.temperature = (float)NAN;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "temperature is");
    g.temperature = -0.5f;
    refused(WEIR_DESCRIBE, WEIR_VISION, &g, "temperature is -0.5");
    g.temperature = 0;
    g.top_p = (float)HUGE_VAL;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "top_p is inf, it may be 0 to 1");
    g.top_p = 0;
    g.stop_count = 5;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "5 stop texts, the limit is 4");
    g.stop = hollow;
    g.stop_count = 2;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "stop text 1 is 0 bytes long");
    g.stop_count = 1;
    g.stop = broken;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "stop text 0 is not UTF-8 at byte 0");
    g.stop = missing;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "stop text 0 is missing");
}

static struct weir_message message(const char *role, const struct weir_input *parts, size_t count)
{
    return (struct weir_message){
        .size = sizeof(struct weir_message), .role = role, .parts = parts, .count = count
    };
}

static void messages_are_checked(void **state)
{
    (void)state;
    const struct weir_input text = input(WEIR_INPUT_TEXT, "x"),
                            bad = input(WEIR_INPUT_TEXT, "\xc0");
    struct weir_message messages[2] = { message("system", &text, 1), message("user", &text, 1) };
    struct weir_generate g = { .size = sizeof g, .messages = messages, .messages_count = 2 };
    accepted(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g);
    messages[1].role = "robot";
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "message 1: the role is 'robot'");
    messages[1].role = NULL;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "message 1: the role is ''");
    messages[1] = message("tool", &bad, 1);
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "message 1: input 0 is not UTF-8 at byte 0");
    messages[1].size = 0;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "message 1: it is not a struct weir_message");
    g.messages = NULL;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "no pointer");
    g.messages_count = SIZE_MAX;
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g, "messages, the limit is 65536");
}

static void images_are_counted_and_only_for_vision(void **state)
{
    (void)state;
    struct weir_input images[17];
    for (size_t i = 0; i < ARRAY_COUNT(images); i++)
        images[i] = input(WEIR_INPUT_IMAGE, "png");
    struct weir_message m = message("user", images, 16);
    struct weir_generate g = { .size = sizeof g, .messages = &m, .messages_count = 1 };
    accepted(WEIR_DESCRIBE, WEIR_VISION, &g);
    refused(WEIR_GENERATE, WEIR_TEXT_TO_TEXT, &g,
            "message 0: input 0 is an image, here it may be a text");
    m.count = 17;
    refused(WEIR_DESCRIBE, WEIR_VISION, &g, "17 images, the limit is 16");
}

static void a_conversation_arrives_whole(void **state)
{
    (void)state;
    static const char *const stops[] = { "END" };
    const struct weir_input parts[] = { input(WEIR_INPUT_TEXT, "what"),
                                        input(WEIR_INPUT_IMAGE, "png") };
    const struct weir_message m = message("user", parts, 2);
    const struct weir_generate g = { .size = sizeof g,
                                     .messages = &m,
                                     .messages_count = 1,
                                     .tokens_max = 5,
                                     .temperature = 0.5f,
                                     .top_p = 0.25f,
                                     .top_k = 3,
                                     .seed = 11,
                                     .seeded = true,
                                     .stop = stops,
                                     .stop_count = 1 };
    struct weir_error err;
    struct generate_request r;
    struct arena arena;
    size_t bytes;
    arena_init(&arena, 4096);
    uint8_t *payload = write_request(WEIR_DESCRIBE, WEIR_VISION, &g, &bytes, &err);
    assert_true(describe_request_read((struct str){ (char *)payload, bytes }, &arena, &r, &err));
    assert_true(r.tokens_max == 5 && r.temperature == 0.5f && r.top_p == 0.25f && r.top_k == 3);
    assert_true(r.seeded && r.seed == 11 && str_eq(r.stop[0], STR("END")));
    assert_int_equal(r.messages[0].role, WIRE_ROLE_USER);
    assert_int_equal(r.messages[0].parts[1].kind, WIRE_IMAGE);
    mem_free(payload);
    arena_finish(&arena);
}

static void pictures_are_checked(void **state)
{
    (void)state;
    const struct weir_draw good = { .size = sizeof good, .prompt = input(WEIR_INPUT_TEXT, "boat") };
    struct weir_draw d = good;
    assert_int_equal(typed_expect(typed_operation(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, NULL), &d).outputs,
                     1);
    d = (struct weir_draw){ .size = sizeof d,
                            .prompt = good.prompt,
                            .negative_prompt = good.prompt,
                            .count = 10,
                            .width = 2048,
                            .height = 16,
                            .steps = 200,
                            .guidance = 100 };
    accepted(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, &d);
    d.count = 11;
    refused(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, &d, "11 images, the limit is 10");
    d = good;
    d.width = 100;
    refused(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, &d,
            "width is 100, it may be a multiple of 16 up to 2048");
    d = good;
    d.height = 2064;
    refused(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, &d, "height is 2064");
    d = good;
    d.steps = 201;
    refused(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, &d, "steps is 201, it may be 0 to 200");
    d = good;
    d.guidance = (float)NAN;
    refused(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, &d, "guidance is");
    d = good;
    d.prompt = input(WEIR_INPUT_IMAGE, "png");
    refused(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, &d, "input 0 is an image");
    d = good;
    d.negative_prompt = input(WEIR_INPUT_TEXT, "\xff");
    refused(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, &d, "input 1 is not UTF-8");
}

static void a_picture_is_told_or_refused(void **state)
{
    (void)state;
    const struct typed_operation *o = typed_operation(WEIR_DRAW, WEIR_TEXT_TO_IMAGE, NULL);
    struct weir_output out;
    struct weir_error err;
    struct arena arena;
    struct buffer b;
    arena_init(&arena, 4096);
    buffer_init(&b, 4096);
    draw_reply_write(&b, &(struct draw_reply){ 64, 32, STR("image/png"), STR("bytes") });
    assert_true(typed_output(o, buffer_view(&b), &arena, &out, &err));
    assert_int_equal(out.operation, WEIR_DRAW);
    assert_true(out.width == 64 && out.height == 32 && out.image_bytes == 5);
    assert_memory_equal(out.image, "bytes", 5);
    assert_string_equal(out.media_type, "image/png");
    b.len--;
    assert_false(typed_output(o, buffer_view(&b), &arena, &out, &err));
    assert_true(strlen(err.text) > 0);
    buffer_finish(&b);
    arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_belong_to_their_capabilities),
        cmocka_unit_test(inputs_of_another_size_are_refused),
        cmocka_unit_test(kinds_have_their_places),
        cmocka_unit_test(sampling_is_checked),
        cmocka_unit_test(messages_are_checked),
        cmocka_unit_test(images_are_counted_and_only_for_vision),
        cmocka_unit_test(a_conversation_arrives_whole),
        cmocka_unit_test(pictures_are_checked),
        cmocka_unit_test(a_picture_is_told_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
