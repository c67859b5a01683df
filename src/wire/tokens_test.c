#include "wire/tokens.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_request_comes_back(void **state)
{
    (void)state;
    static const struct wire_input inputs[] = {
        {WIRE_TEXT, { "a b", 3 }}
    };
    struct buffer b;
    struct arena arena;
    struct tokens_request r;
    buffer_init(&b, 1000);
    arena_init(&arena, 10000);
    tokens_request_write(&b, &(struct tokens_request){ true, inputs, 1 });
    assert_true(tokens_request_read(buffer_view(&b), &arena, &r, NULL));
    assert_true(r.add_special_tokens);
    assert_int_equal(r.count, 1);
    assert_true(str_eq(r.inputs[0].data, STR("a b")));
    for (size_t cut = 0; cut < b.len; cut++)
        assert_false(
            tokens_request_read((struct str){ (const char *)b.data, cut }, &arena, &r, NULL));
    b.data[0] = 2;
    assert_false(tokens_request_read(buffer_view(&b), &arena, &r, NULL));
    arena_finish(&arena);
    buffer_finish(&b);
}

static void rows_come_back(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct tokens_reply r;
    buffer_init(&b, 1000);
    arena_init(&arena, 10000);
    tokens_row_begin(&b, 2);
    tokens_row_add(&b, 101, STR("[CLS]"));
    tokens_row_add(&b, -5, STR(""));
    tokens_row_begin(&b, 0);
    tokens_row_begin(&b, 1);
    tokens_row_add(&b, INT32_MAX, STR("##x"));
    assert_true(tokens_reply_read(buffer_view(&b), &arena, &r, NULL));
    assert_int_equal(r.rows, 3);
    static const size_t starts[] = { 0, 2, 2, 3 };
    assert_memory_equal(r.starts, starts, sizeof(starts));
    assert_int_equal(r.ids[0], 101);
    assert_int_equal(r.ids[1], -5);
    assert_int_equal(r.ids[2], INT32_MAX);
    assert_true(str_eq(r.pieces[0], STR("[CLS]")));
    assert_true(str_eq(r.pieces[2], STR("##x")));
    /* Whole rows are replies too; a cut anywhere else is none. */
    for (size_t cut = 0; cut < b.len; cut++) {
        const struct str part = { (const char *)b.data, cut };
        const bool whole = cut == 0 || cut == 25 || cut == 29;
        assert_int_equal(tokens_reply_read(part, &arena, &r, NULL), whole);
    }
    arena_finish(&arena);
    buffer_finish(&b);
}

static void hostile_rows_are_refused(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    struct tokens_reply r;
    struct weir_error err;
    buffer_init(&b, 1000);
    arena_init(&arena, SIZE_MAX);
    buffer_u32(&b, UINT32_MAX);
    buffer_u64(&b, 0);
    assert_false(tokens_reply_read(buffer_view(&b), &arena, &r, &err));
    assert_int_equal(err.code, WEIR_INVALID);
    assert_int_equal(arena.total, 0);
    arena_finish(&arena);
    /* An arena too small for what is there is an error as well. */
    arena_init(&arena, 64);
    buffer_clear(&b);
    for (int i = 0; i < 20; i++) {
        tokens_row_begin(&b, 1);
        tokens_row_add(&b, i, STR(""));
    }
    assert_false(tokens_reply_read(buffer_view(&b), &arena, &r, &err));
    arena_finish(&arena);
    buffer_finish(&b);
}

static void random_rows_do_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    rand_seed(&rng, 4);
    for (int i = 0; i < 5000; i++) {
        uint8_t bytes[64];
        const size_t n = rand_below(&rng, sizeof(bytes));
        for (size_t at = 0; at < n; at++)
            bytes[at] = rand_below(&rng, 8) ? 0 : (uint8_t)rand_below(&rng, 4);
        struct arena arena;
        struct tokens_reply r;
        arena_init(&arena, 100000);
        if (tokens_reply_read((struct str){ (const char *)bytes, n }, &arena, &r, NULL))
            assert_true(r.rows * 4 + r.starts[r.rows] * 8 <= n);
        arena_finish(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back),
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(hostile_rows_are_refused),
        cmocka_unit_test(random_rows_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
