/* The payload of a request to generate: written and read back, and every way to be wrong. */
#include "wire/text_to_text.h"

#include "base/check.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool reads(struct str payload, struct generate_request *out, struct arena *arena)
{
    struct weir_error err = { .index = -1 };
    bool good = generate_request_read(payload, arena, out, &err);
    assert_true(good || (err.code == WEIR_INVALID && strlen(err.text) > 0));
    return good;
}

static void write_request(struct buffer *out, uint8_t kind, struct str data)
{
    buffer_init(out, 4096);
    generate_request_write(out, &(struct generate_request){
                                    .tokens_max = 7, .prompt = {kind, data}
    });
}

static void test_a_request_comes_back(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct generate_request r;
    arena_init(&arena, 4096);
    write_request(&b, WIRE_TEXT, STR("tell me"));
    assert_true(reads(buffer_view(&b), &r, &arena));
    assert_int_equal(r.tokens_max, 7);
    assert_int_equal(r.prompt.kind, WIRE_TEXT);
    assert_true(str_eq(r.prompt.data, STR("tell me")));
    buffer_finish(&b);
    arena_finish(&arena);
}

/* Cut anywhere, or longer by a byte, it is refused. Each cut lies in memory of its own size: a
 * sanitizer sees a read beyond it. */
static void test_every_other_length_is_refused(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct generate_request r;
    arena_init(&arena, 4096);
    write_request(&b, WIRE_IDS, STR("12345678"));
    buffer_u8(&b, 0);
    for (size_t len = 0; len <= b.len; len++) {
        char *copy = mem_new(len + (len == 0), 1);
        memcpy(copy, b.data, len);
        assert_int_equal(reads((struct str){ copy, len }, &r, &arena), len == b.len - 1);
        mem_free(copy);
    }
    buffer_finish(&b);
    arena_finish(&arena);
}

static void test_wrong_prompts_are_refused(void **state)
{
    (void)state;
    const struct wire_input wrong[] = {
        {WIRE_IMAGE,        STR("png") },
        { WIRE_INPUT_KINDS, STR("what")},
        { 255,              STR("")    },
        { WIRE_IDS,         STR("123") }
    };
    struct arena arena;
    struct generate_request r;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct buffer b;
        write_request(&b, wrong[i].kind, wrong[i].data);
        assert_false(reads(buffer_view(&b), &r, &arena));
        buffer_finish(&b);
    }
    arena_finish(&arena);
}

static void test_there_is_one_prompt(void **state)
{
    (void)state;
    const struct wire_input two[] = {
        {WIRE_TEXT,  STR("a")},
        { WIRE_TEXT, STR("b")}
    };
    struct arena arena;
    struct generate_request r;
    arena_init(&arena, 4096);
    for (size_t count = 0; count <= ARRAY_COUNT(two); count++) {
        struct buffer b;
        buffer_init(&b, 4096);
        buffer_u32(&b, 0);
        inputs_write(&b, two, count);
        assert_int_equal(reads(buffer_view(&b), &r, &arena), count == 1);
        buffer_finish(&b);
    }
    arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_comes_back),
        cmocka_unit_test(test_every_other_length_is_refused),
        cmocka_unit_test(test_wrong_prompts_are_refused),
        cmocka_unit_test(test_there_is_one_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
