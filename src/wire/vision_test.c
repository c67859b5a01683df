/* The request to describe: what it adds to the request to generate is its images. */
#include "wire/vision.h"

#include "base/check.h"
#include "wire/test_hostile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool reads(struct str payload)
{
    struct arena arena;
    struct generate_request r;
    struct weir_error err = { 0 };
    arena_init(&arena, 1 << 20);
    const bool good = describe_request_read(payload, &arena, &r, &err);
    assert_int_equal(err.code, good ? WEIR_OK : WEIR_INVALID);
    if (good)
        assert_true(describe_request_images(&r) <= WIRE_IMAGES_MAX);
    arena_finish(&arena);
    return good;
}

static void write_images(struct buffer *out, size_t count)
{
    struct wire_input parts[WIRE_IMAGES_MAX + 2] = {
        {WIRE_TEXT, STR("what is this")}
    };
    CHECK(count < ARRAY_COUNT(parts));
    for (size_t i = 1; i <= count; i++)
        parts[i] = (struct wire_input){ WIRE_IMAGE, STR("\x89PNG") };
    /* Over two messages: the limit is the request's. */
    const struct wire_message messages[] = {
        {WIRE_ROLE_USER,  parts,     2        },
        { WIRE_ROLE_USER, parts + 2, count - 1}
    };
    generate_request_write(out,
                           &(struct generate_request){ .messages = messages, .messages_count = 2 });
}

static void images_come_back_in_their_places(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct generate_request r;
    buffer_init(&b, 4096);
    arena_init(&arena, 4096);
    write_images(&b, 3);
    assert_true(describe_request_read(buffer_view(&b), &arena, &r, NULL));
    assert_int_equal(describe_request_images(&r), 3);
    assert_int_equal(r.messages[0].parts[0].kind, WIRE_TEXT);
    assert_int_equal(r.messages[0].parts[1].kind, WIRE_IMAGE);
    assert_true(str_eq(r.messages[1].parts[1].data, STR("\x89PNG")));
    hostile_payload(buffer_view(&b), reads);
    arena_finish(&arena);
    buffer_finish(&b);
}

static void a_request_may_have_no_image(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 4096);
    generate_request_write(&b, &(struct generate_request){
                                   .prompt = {WIRE_TEXT, STR("hello")}
    });
    assert_true(reads(buffer_view(&b)));
    buffer_clear(&b);
    generate_request_write(&b, &(struct generate_request){
                                   .prompt = {WIRE_IMAGE, STR("png")}
    });
    assert_false(reads(buffer_view(&b)));
    buffer_finish(&b);
}

static void too_many_images_are_refused_by_number(void **state)
{
    (void)state;
    for (size_t count = WIRE_IMAGES_MAX; count <= WIRE_IMAGES_MAX + 1; count++) {
        struct buffer b;
        struct arena arena;
        struct generate_request r;
        struct weir_error err = { 0 };
        buffer_init(&b, 4096);
        arena_init(&arena, 1 << 16);
        write_images(&b, count);
        const bool good = describe_request_read(buffer_view(&b), &arena, &r, &err);
        assert_int_equal(good, count == WIRE_IMAGES_MAX);
        if (!good)
            assert_string_equal(err.text, "17 images in one request, the limit is 16");
        arena_finish(&arena);
        buffer_finish(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_come_back_in_their_places),
        cmocka_unit_test(a_request_may_have_no_image),
        cmocka_unit_test(too_many_images_are_refused_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
