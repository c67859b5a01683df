#include "wire/image_embedding.h"

#include "wire/test_hostile.h"
#include "wire/text_embedding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct wire_input images[] = {
    {WIRE_IMAGE,  TEXT("\x89PNG one")},
    { WIRE_IMAGE, TEXT("")           },
    { WIRE_IMAGE, TEXT("\xff\xd8")   },
};

static bool reads(struct str payload)
{
    struct arena arena;
    struct image_embedding_request r;
    struct weir_error err = { 0 };
    arena_init(&arena, 1 << 20);
    const bool good = image_embedding_request_read(payload, &arena, &r, &err);
    assert_int_equal(err.code, good ? WEIR_OK : WEIR_INVALID);
    if (good)
        assert_true(r.count * 5 <= payload.len);
    arena_finish(&arena);
    return good;
}

static void a_request_comes_back(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct image_embedding_request r;
    buffer_init(&b, 1000);
    arena_init(&arena, 1000);
    image_embedding_request_write(&b, &(struct image_embedding_request){ 64, images, 3 });
    assert_true(image_embedding_request_read(buffer_view(&b), &arena, &r, NULL));
    assert_int_equal(r.dimensions, 64);
    assert_int_equal(r.count, 3);
    assert_true(str_eq(r.inputs[0].data, images[0].data));
    assert_int_equal(r.inputs[1].data.len, 0);
    hostile_payload(buffer_view(&b), reads);
    arena_finish(&arena);
    buffer_finish(&b);
}

static void other_kinds_are_refused(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind <= WIRE_INPUT_KINDS; kind++) {
        const struct wire_input input = { kind, STR("1234") };
        struct buffer b;
        buffer_init(&b, 1000);
        image_embedding_request_write(&b, &(struct image_embedding_request){ 0, &input, 1 });
        assert_int_equal(reads(buffer_view(&b)), kind == WIRE_IMAGE);
        buffer_finish(&b);
    }
}

static void hostile_counts_are_refused(void **state)
{
    (void)state;
    static const uint32_t counts[] = { 1, 2, WIRE_INPUTS_MAX, WIRE_INPUTS_MAX + 1, UINT32_MAX };
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        struct buffer b;
        struct arena arena;
        struct image_embedding_request r;
        buffer_init(&b, 1000);
        arena_init(&arena, SIZE_MAX);
        buffer_u32(&b, 0);
        buffer_u32(&b, counts[i]);
        assert_false(image_embedding_request_read(buffer_view(&b), &arena, &r, NULL));
        assert_int_equal(arena.total, 0);
        arena_finish(&arena);
        buffer_finish(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back),
        cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(hostile_counts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
