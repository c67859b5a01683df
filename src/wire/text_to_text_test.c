/* The payload of a request to generate: written and read back, and every way to be wrong. */
#include "wire/text_to_text.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/test_hostile.h"

#include <math.h>
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

static void write_head(struct buffer *b, uint32_t stops)
{
    buffer_init(b, 4096);
    buffer_u32(b, 0);
    buffer_f32(b, 0);
    buffer_f32(b, 0);
    buffer_u32(b, 0);
    buffer_u8(b, 0);
    buffer_u64(b, 0);
    buffer_u32(b, stops);
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
        write_head(&b, 0);
        buffer_u32(&b, 0);
        inputs_write(&b, two, count);
        assert_int_equal(reads(buffer_view(&b), &r, &arena), count == 1);
        buffer_finish(&b);
    }
    arena_finish(&arena);
}

static const struct wire_input parts[] = {
    {WIRE_TEXT,  TEXT("hello")},
    { WIRE_TEXT, TEXT("")     }
};
static const struct wire_message messages[] = {
    {WIRE_ROLE_SYSTEM,     &parts[0], 1},
    { WIRE_ROLE_USER,      parts,     2},
    { WIRE_ROLE_ASSISTANT, NULL,      0},
    { WIRE_ROLE_TOOL,      &parts[1], 1},
};
static const struct str stops[] = { TEXT("\n\n"), TEXT("END") };
static const struct generate_request whole = { .tokens_max = 9,
                                               .messages = messages,
                                               .messages_count = ARRAY_COUNT(messages),
                                               .temperature = 0.75f,
                                               .top_p = 0.5f,
                                               .top_k = 40,
                                               .seeded = true,
                                               .seed = UINT64_MAX - 1,
                                               .stop = stops,
                                               .stop_count = ARRAY_COUNT(stops) };

static bool reads_alone(struct str payload)
{
    struct generate_request r;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const bool good = reads(payload, &r, &arena);
    arena_finish(&arena);
    return good;
}

static bool comes_back(const struct generate_request *r)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    generate_request_write(&b, r);
    const bool good = reads_alone(buffer_view(&b));
    buffer_finish(&b);
    return good;
}

static void test_a_conversation_comes_back(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct generate_request r;
    arena_init(&arena, 1 << 16);
    buffer_init(&b, 4096);
    generate_request_write(&b, &whole);
    assert_true(reads(buffer_view(&b), &r, &arena));
    assert_int_equal(r.messages_count, ARRAY_COUNT(messages));
    assert_int_equal(r.messages[0].role, WIRE_ROLE_SYSTEM);
    assert_int_equal(r.messages[1].count, 2);
    assert_true(str_eq(r.messages[1].parts[0].data, STR("hello")));
    assert_int_equal(r.messages[2].count, 0);
    assert_int_equal(r.messages[3].role, WIRE_ROLE_TOOL);
    assert_true(r.tokens_max == 9 && r.temperature == 0.75f && r.top_p == 0.5f && r.top_k == 40);
    assert_true(r.seeded && r.seed == UINT64_MAX - 1);
    assert_int_equal(r.stop_count, 2);
    assert_true(str_eq(r.stop[1], STR("END")));
    hostile_payload(buffer_view(&b), reads_alone);
    buffer_finish(&b);
    arena_finish(&arena);
}

static void test_numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    static const float wrong[] = { -0.5f, 2.5f, (float)HUGE_VAL, (float)NAN };
    static const struct str empty[] = { TEXT("") };
    static const struct str five[] = { TEXT("1"), TEXT("2"), TEXT("3"), TEXT("4"), TEXT("5") };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct generate_request hot = whole, wide = whole;
        hot.temperature = wrong[i];
        wide.top_p = wrong[i];
        assert_false(comes_back(&hot));
        assert_false(comes_back(&wide));
    }
    struct generate_request r = whole;
    r.stop = empty;
    r.stop_count = 1;
    assert_false(comes_back(&r));
    r.stop = five;
    r.stop_count = 4;
    assert_true(comes_back(&r));
    r.stop_count = 5;
    assert_false(comes_back(&r));
}

static void test_wrong_messages_are_refused(void **state)
{
    (void)state;
    static const struct wire_input image = { WIRE_IMAGE, TEXT("png") };
    static const struct wire_input ids = { WIRE_IDS, TEXT("1234") };
    const struct wire_message wrong[] = {
        {WIRE_ROLE_COUNT, parts,  1},
        { 255,            parts,  1},
        { WIRE_ROLE_USER, &image, 1},
        { WIRE_ROLE_USER, &ids,   1}
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct generate_request r = whole;
        r.messages = &wrong[i];
        r.messages_count = 1;
        assert_false(comes_back(&r));
    }
}

/* A count that no bytes stand behind must not be believed, nor allocated for. */
static void test_hostile_counts_are_refused(void **state)
{
    (void)state;
    static const uint32_t counts[] = { 1, 2, WIRE_MESSAGES_MAX, WIRE_MESSAGES_MAX + 1, UINT32_MAX };
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct buffer b;
        struct arena arena;
        struct generate_request r;
        arena_init(&arena, SIZE_MAX);
        write_head(&b, 0);
        buffer_u32(&b, counts[i]);
        assert_false(reads(buffer_view(&b), &r, &arena));
        buffer_finish(&b);
        write_head(&b, UINT32_MAX - counts[i] % WIRE_STOPS_MAX);
        assert_false(reads(buffer_view(&b), &r, &arena));
        assert_int_equal(arena.total, 0);
        buffer_finish(&b);
        arena_finish(&arena);
    }
}

static void test_roles_have_names(void **state)
{
    (void)state;
    enum wire_role role;
    for (unsigned i = 0; i < WIRE_ROLE_COUNT; i++) {
        assert_true(wire_role_parse(str_of(wire_role_name(i)), &role));
        assert_int_equal(role, i);
    }
    assert_string_equal(wire_role_name(WIRE_ROLE_USER), "user");
    assert_false(wire_role_parse(STR("robot"), &role));
    assert_false(wire_role_parse(STR(""), &role));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_comes_back),
        cmocka_unit_test(test_every_other_length_is_refused),
        cmocka_unit_test(test_wrong_prompts_are_refused),
        cmocka_unit_test(test_there_is_one_prompt),
        cmocka_unit_test(test_a_conversation_comes_back),
        cmocka_unit_test(test_numbers_out_of_range_are_refused),
        cmocka_unit_test(test_wrong_messages_are_refused),
        cmocka_unit_test(test_hostile_counts_are_refused),
        cmocka_unit_test(test_roles_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
