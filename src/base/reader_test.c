#include "base/reader.h"

#include "base/buffer.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void reads_what_a_buffer_wrote(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    buffer_u8(&b, 200);
    buffer_u16(&b, 60000);
    buffer_u32(&b, UINT32_C(4000000000));
    buffer_u64(&b, UINT64_MAX - 1);
    buffer_i64(&b, INT64_MIN);
    buffer_counted(&b, STR("text"));
    buffer_counted(&b, STR(""));
    buffer_append(&b, "raw", 3);
    struct reader r = reader_of(b.data, b.len);
    assert_int_equal(reader_u8(&r), 200);
    assert_int_equal(reader_u16(&r), 60000);
    assert_true(reader_u32(&r) == UINT32_C(4000000000));
    assert_true(reader_u64(&r) == UINT64_MAX - 1);
    assert_true(reader_i64(&r) == INT64_MIN);
    assert_true(str_eq(reader_str(&r), STR("text")));
    assert_int_equal(reader_str(&r).len, 0);
    assert_false(reader_done(&r, NULL));
    assert_memory_equal(reader_bytes(&r, 3), "raw", 3);
    assert_true(reader_ok(&r));
    assert_true(reader_done(&r, NULL));
    buffer_finish(&b);
}

static void the_first_failure_sticks(void **state)
{
    (void)state;
    const uint8_t data[] = { 1, 2, 3, 4, 5, 6 };
    struct reader r = reader_of(data, sizeof(data));
    assert_int_equal(reader_u32(&r), 0x04030201);
    assert_int_equal(reader_u32(&r), 0);
    assert_false(reader_ok(&r));
    /* Two bytes are there, but what follows a failure cannot be trusted. */
    assert_int_equal(reader_u8(&r), 0);
    assert_null(reader_bytes(&r, 0));
    assert_false(reader_has(&r, 0));
    assert_null(reader_str(&r).data);
    reader_fail(&r, "something later");
    struct weir_error err;
    assert_false(reader_done(&r, &err));
    assert_int_equal(err.code, WEIR_INVALID);
    assert_string_equal(err.text, "a number of 4 bytes is cut off at byte 4 of 6");
}

static void left_over_bytes_are_named(void **state)
{
    (void)state;
    const uint8_t data[5] = { 0 };
    struct reader r = reader_of(data, sizeof(data));
    reader_u16(&r);
    struct weir_error err;
    assert_false(reader_done(&r, &err));
    assert_string_equal(err.text, "3 bytes too many from byte 2 of 5");
}

static void a_caller_may_refuse_a_value(void **state)
{
    (void)state;
    const uint8_t data[] = { 9, 9 };
    struct reader r = reader_of(data, sizeof(data));
    reader_u8(&r);
    reader_fail(&r, "the version is not known");
    struct weir_error err;
    assert_false(reader_done(&r, &err));
    assert_string_equal(err.text, "the version is not known at byte 1 of 2");
}

static void hostile_lengths_do_not_overflow(void **state)
{
    (void)state;
    /* A stated length of 2^32 - 1 with three bytes behind it. */
    const uint8_t data[] = { 0xff, 0xff, 0xff, 0xff, 'a', 'b', 'c' };
    struct reader r = reader_of(data, sizeof(data));
    assert_null(reader_str(&r).data);
    assert_false(reader_ok(&r));
    r = reader_of(data, sizeof(data));
    reader_u32(&r);
    assert_true(reader_has(&r, 3));
    assert_false(reader_has(&r, 4));
    assert_false(reader_has(&r, SIZE_MAX));
    assert_false(reader_has(&r, SIZE_MAX - 3));
    assert_null(reader_bytes(&r, SIZE_MAX - 2));
    assert_int_equal(r.pos, 4);
    assert_false(reader_ok(&r));
}

/* On the heap, where AddressSanitizer guards the end: every cut of a message is refused. */
static void every_cut_is_refused(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 100);
    buffer_u16(&b, 7);
    buffer_counted(&b, STR("hello"));
    buffer_u64(&b, 1);
    for (size_t len = 0; len <= b.len; len++) {
        uint8_t *const cut = mem_try(len, 1);
        assert_non_null(cut);
        memcpy(cut, b.data, len);
        struct reader r = reader_of(cut, len);
        reader_u16(&r);
        reader_str(&r);
        reader_u64(&r);
        struct weir_error err;
        assert_int_equal(reader_done(&r, &err), len == b.len);
        mem_free(cut);
    }
    buffer_finish(&b);
}

static void floats_come_back_bit_by_bit(void **state)
{
    (void)state;
    static const float values[] = { 0.0f, -0.0f, 1.5f, 3.4e38f, 1e-45f };
    struct buffer b;
    buffer_init(&b, 100);
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        buffer_f32(&b, values[i]);
    struct reader r = reader_of(b.data, b.len);
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        const float got = reader_f32(&r);
        assert_memory_equal(&got, &values[i], sizeof(got));
    }
    assert_true(reader_done(&r, NULL));
    assert_true(reader_f32(&r) == 0 && !reader_ok(&r));
    buffer_finish(&b);
}

static void nothing_is_a_fine_message(void **state)
{
    (void)state;
    struct reader r = reader_of(NULL, 0);
    assert_non_null(reader_bytes(&r, 0));
    assert_true(reader_done(&r, NULL));
    assert_int_equal(reader_u8(&r), 0);
    assert_false(reader_done(&r, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_buffer_wrote),
        cmocka_unit_test(the_first_failure_sticks),
        cmocka_unit_test(left_over_bytes_are_named),
        cmocka_unit_test(a_caller_may_refuse_a_value),
        cmocka_unit_test(hostile_lengths_do_not_overflow),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(floats_come_back_bit_by_bit),
        cmocka_unit_test(nothing_is_a_fine_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
