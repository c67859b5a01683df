#include "wire/text_embedding.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const int32_t ids[] = { 101, -1, INT32_MAX };
static const struct wire_input inputs[] = {
    {WIRE_TEXT,  { "hello", 5 }                    },
    { WIRE_IDS,  { (const char *)ids, sizeof(ids) }},
    { WIRE_TEXT, { "", 0 }                         },
};

static bool read_request(struct str payload, struct text_embedding_request *r, struct arena *arena)
{
    struct weir_error err = { 0 };
    const bool good = text_embedding_request_read(payload, arena, r, &err);
    assert_int_equal(err.code, good ? WEIR_OK : WEIR_INVALID);
    return good;
}

static void a_request_comes_back(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct text_embedding_request r;
    buffer_init(&b, 1000);
    arena_init(&arena, 100000);
    text_embedding_request_write(
        &b, &(struct text_embedding_request){ .truncate = true,
                                              .truncate_front = true,
                                              .normalize = WIRE_NORMALIZE_NO,
                                              .prompt_name = STR("query"),
                                              .dimensions = 256,
                                              .inputs = inputs,
                                              .count = sizeof(inputs) / sizeof(*inputs) });
    assert_true(read_request(buffer_view(&b), &r, &arena));
    assert_true(r.truncate && r.truncate_front);
    assert_int_equal(r.normalize, WIRE_NORMALIZE_NO);
    assert_int_equal(r.dimensions, 256);
    assert_true(str_eq(r.prompt_name, STR("query")));
    assert_int_equal(r.count, 3);
    assert_true(str_eq(r.inputs[0].data, STR("hello")));
    assert_int_equal(r.inputs[1].kind, WIRE_IDS);
    assert_int_equal(r.inputs[1].data.len, sizeof(ids));
    assert_memory_equal(r.inputs[1].data.data, ids, sizeof(ids));
    assert_int_equal(r.inputs[2].data.len, 0);
    for (size_t cut = 0; cut < b.len; cut++)
        assert_false(read_request((struct str){ (const char *)b.data, cut }, &r, &arena));
    buffer_u8(&b, 0);
    assert_false(read_request(buffer_view(&b), &r, &arena));
    b.len--;
    for (size_t i = 0; i < 3; i++) { /* truncate, its front, normalize */
        const uint8_t was = b.data[i];
        assert_true(read_request(buffer_view(&b), &r, &arena));
        b.data[i] = 3;
        assert_false(read_request(buffer_view(&b), &r, &arena));
        b.data[i] = was;
    }
    arena_finish(&arena);
    buffer_finish(&b);
}

static void no_inputs_are_fine(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct text_embedding_request r;
    buffer_init(&b, 1000);
    arena_init(&arena, 1000);
    text_embedding_request_write(&b, &(struct text_embedding_request){ 0 });
    assert_true(read_request(buffer_view(&b), &r, &arena));
    assert_int_equal(r.count, 0);
    assert_int_equal(r.dimensions, 0);
    arena_finish(&arena);
    buffer_finish(&b);
}

static void wrong_inputs_are_refused(void **state)
{
    (void)state;
    static const struct wire_input wrong[] = {
        {WIRE_IMAGE,        { "png", 3 }  },
        { WIRE_IDS,         { "12345", 5 }},
        { WIRE_INPUT_KINDS, { "", 0 }     },
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct buffer b;
        struct arena arena;
        struct text_embedding_request r;
        buffer_init(&b, 1000);
        arena_init(&arena, 1000);
        text_embedding_request_write(
            &b, &(struct text_embedding_request){ .inputs = &wrong[i], .count = 1 });
        assert_false(read_request(buffer_view(&b), &r, &arena));
        arena_finish(&arena);
        buffer_finish(&b);
    }
}

static void a_prompt_name_has_a_limit(void **state)
{
    (void)state;
    static const char name[WIRE_PROMPT_NAME_MAX + 1] = "n";
    for (size_t over = 0; over <= 1; over++) {
        struct buffer b;
        struct arena arena;
        struct text_embedding_request r;
        buffer_init(&b, 1000);
        arena_init(&arena, 1000);
        text_embedding_request_write(&b, &(struct text_embedding_request){
                                             .prompt_name = {name, sizeof(name) - 1 + over}
        });
        assert_int_equal(read_request(buffer_view(&b), &r, &arena), over == 0);
        arena_finish(&arena);
        buffer_finish(&b);
    }
}

/* A count that no bytes stand behind must not be believed, nor allocated for. */
static void hostile_counts_are_refused(void **state)
{
    (void)state;
    static const uint32_t counts[] = { 1, 2, WIRE_INPUTS_MAX, WIRE_INPUTS_MAX + 1, UINT32_MAX };
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        struct buffer b;
        struct arena arena;
        struct text_embedding_request r;
        buffer_init(&b, 1000);
        arena_init(&arena, SIZE_MAX);
        buffer_u8(&b, 0);
        buffer_u32(&b, 0);
        buffer_counted(&b, STR(""));
        buffer_u32(&b, counts[i]);
        assert_false(read_request(buffer_view(&b), &r, &arena));
        assert_int_equal(arena.total, 0);
        arena_finish(&arena);
        buffer_finish(&b);
    }
}

static const uint32_t tokens[] = { 5, 9 };
static const uint32_t cut_inputs[] = { 1 };
static const float vectors[] = { 0.5f, -1.25f, 1e-30f, 0, 3, -4 };
static const struct text_embedding_reply reply = { 2, 3, tokens, cut_inputs, 1, vectors };

static void a_reply_comes_back_aligned(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct text_embedding_reply r;
    buffer_init(&b, 1000);
    arena_init(&arena, 100000);
    buffer_u8(&b, 0); /* so that the numbers lie on odd addresses */
    text_embedding_reply_write(&b, &reply);
    const struct str payload = { (const char *)b.data + 1, b.len - 1 };
    assert_true(text_embedding_reply_read(payload, &arena, &r, NULL));
    assert_int_equal(r.rows, 2);
    assert_int_equal(r.dim, 3);
    assert_memory_equal(r.tokens, tokens, sizeof(tokens));
    assert_int_equal(r.truncated_count, 1);
    assert_int_equal(r.truncated[0], 1);
    assert_int_equal((uintptr_t)r.vectors % sizeof(float), 0);
    assert_memory_equal(r.vectors, vectors, sizeof(vectors));
    for (size_t cut = 0; cut < payload.len; cut++) {
        const struct str part = { payload.data, cut };
        assert_false(text_embedding_reply_read(part, &arena, &r, NULL));
    }
    arena_finish(&arena);
    buffer_finish(&b);
}

static void refused(struct text_embedding_reply wrong)
{
    struct buffer b;
    struct arena arena;
    struct text_embedding_reply r;
    buffer_init(&b, 1000);
    arena_init(&arena, 1000);
    text_embedding_reply_write(&b, &wrong);
    struct weir_error err;
    assert_false(text_embedding_reply_read(buffer_view(&b), &arena, &r, &err));
    assert_int_equal(err.code, WEIR_INVALID);
    arena_finish(&arena);
    buffer_finish(&b);
}

static void lies_in_a_reply_are_refused(void **state)
{
    (void)state;
    static const uint32_t beyond[] = { 2 }, twice[] = { 1, 1 }, falling[] = { 1, 0 };
    struct text_embedding_reply r = reply;
    r.truncated = beyond;
    refused(r);
    r.truncated_count = 2;
    r.truncated = twice;
    refused(r);
    r.truncated = falling;
    refused(r);
    struct buffer b;
    struct arena arena;
    buffer_init(&b, 1000);
    arena_init(&arena, 1000);
    buffer_u32(&b, WIRE_INPUTS_MAX);
    buffer_u32(&b, UINT32_MAX);
    buffer_u32(&b, WIRE_INPUTS_MAX);
    assert_false(text_embedding_reply_read(buffer_view(&b), &arena, &r, NULL));
    arena_finish(&arena);
    buffer_finish(&b);
}

static void random_payloads_do_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    rand_seed(&rng, 3);
    for (int i = 0; i < 5000; i++) {
        uint8_t bytes[64];
        const size_t n = rand_below(&rng, sizeof(bytes));
        for (size_t at = 0; at < n; at++)
            bytes[at] =
                rand_below(&rng, 3) ? (uint8_t)rand_below(&rng, 3) : (uint8_t)rand_u64(&rng);
        struct arena arena;
        struct text_embedding_request request;
        struct text_embedding_reply answer;
        const struct str payload = { (const char *)bytes, n };
        arena_init(&arena, 100000);
        if (text_embedding_request_read(payload, &arena, &request, NULL))
            assert_true(request.count * 5 <= n);
        if (text_embedding_reply_read(payload, &arena, &answer, NULL))
            assert_true((uint64_t)answer.rows * answer.dim * 4 <= n);
        arena_finish(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back),        cmocka_unit_test(no_inputs_are_fine),
        cmocka_unit_test(wrong_inputs_are_refused),    cmocka_unit_test(hostile_counts_are_refused),
        cmocka_unit_test(a_prompt_name_has_a_limit),   cmocka_unit_test(a_reply_comes_back_aligned),
        cmocka_unit_test(lies_in_a_reply_are_refused), cmocka_unit_test(random_payloads_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
