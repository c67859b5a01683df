#include "wire/text_to_image.h"

#include "base/check.h"
#include "wire/test_hostile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct draw_request whole = { .prompt = TEXT("a boat"),
                                           .has_negative_prompt = true,
                                           .negative_prompt = TEXT("fog"),
                                           .count = 10,
                                           .width = 2048,
                                           .height = 16,
                                           .steps = 200,
                                           .guidance = 3.5f,
                                           .seeded = true,
                                           .seed = UINT64_MAX };

static bool reads(struct str payload)
{
    struct arena arena;
    struct draw_request r;
    struct weir_error err = { 0 };
    arena_init(&arena, 1 << 16);
    const bool good = draw_request_read(payload, &arena, &r, &err);
    assert_int_equal(err.code, good ? WEIR_OK : WEIR_INVALID);
    if (good)
        assert_true(r.count <= 10 && r.width <= 2048 && r.height % 16 == 0 && r.steps <= 200);
    arena_finish(&arena);
    return good;
}

static bool comes_back(const struct draw_request *r)
{
    struct buffer b;
    buffer_init(&b, 1000);
    draw_request_write(&b, r);
    const bool good = reads(buffer_view(&b));
    buffer_finish(&b);
    return good;
}

static void a_request_comes_back(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct draw_request r;
    buffer_init(&b, 1000);
    arena_init(&arena, 1000);
    draw_request_write(&b, &whole);
    assert_true(draw_request_read(buffer_view(&b), &arena, &r, NULL));
    assert_true(str_eq(r.prompt, whole.prompt) && str_eq(r.negative_prompt, STR("fog")));
    assert_true(r.has_negative_prompt && r.count == 10 && r.width == 2048 && r.height == 16);
    assert_true(r.steps == 200 && r.guidance == 3.5f && r.seeded && r.seed == UINT64_MAX);
    hostile_payload(buffer_view(&b), reads);
    buffer_clear(&b);
    draw_request_write(&b, &(struct draw_request){ .prompt = STR(""), .count = 1 });
    assert_true(draw_request_read(buffer_view(&b), &arena, &r, NULL));
    assert_false(r.has_negative_prompt);
    arena_finish(&arena);
    buffer_finish(&b);
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    struct draw_request wrong[10];
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        wrong[i] = whole;
    wrong[0].count = 0;
    wrong[1].count = 11;
    wrong[2].width = 2049;
    wrong[3].width = 2064;
    wrong[4].height = 8;
    wrong[5].height = UINT32_MAX - 15;
    wrong[6].steps = 201;
    wrong[7].guidance = (float)NAN;
    wrong[8].guidance = -1;
    wrong[9].guidance = (float)HUGE_VAL;
    assert_true(comes_back(&whole));
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_false(comes_back(&wrong[i]));
}

static bool reads_reply(struct str payload)
{
    struct draw_reply r;
    struct weir_error err = { 0 };
    const bool good = draw_reply_read(payload, &r, &err);
    assert_int_equal(err.code, good ? WEIR_OK : WEIR_INVALID);
    return good;
}

static bool reply_comes_back(struct draw_reply r)
{
    struct buffer b;
    buffer_init(&b, 1000);
    draw_reply_write(&b, &r);
    const bool good = reads_reply(buffer_view(&b));
    buffer_finish(&b);
    return good;
}

static void a_reply_comes_back(void **state)
{
    (void)state;
    const struct draw_reply reply = { 64, 32, STR("image/png"), STR("\x89PNG and more") };
    struct buffer b;
    struct draw_reply r;
    buffer_init(&b, 1000);
    draw_reply_write(&b, &reply);
    assert_true(draw_reply_read(buffer_view(&b), &r, NULL));
    assert_true(r.width == 64 && r.height == 32 && str_eq(r.media_type, reply.media_type));
    assert_true(str_eq(r.image, reply.image));
    hostile_payload(buffer_view(&b), reads_reply);
    buffer_finish(&b);
}

static void lies_in_a_reply_are_refused(void **state)
{
    (void)state;
    const struct draw_reply good = { 64, 32, STR("image/png"), STR("x") };
    struct draw_reply wrong[6];
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        wrong[i] = good;
    wrong[0].width = 0;
    wrong[1].height = 2049;
    wrong[2].media_type = STR("");
    wrong[3].media_type = STR("image/png\r\nx-evil: 1");
    wrong[4].media_type =
        STR("image/0123456789012345678901234567890123456789012345678901234567890123456789");
    wrong[5].image = STR("");
    assert_true(reply_comes_back(good));
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_false(reply_comes_back(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(a_reply_comes_back),
        cmocka_unit_test(lies_in_a_reply_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
