#include "base/buffer.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void appends(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    buffer_text(&b, "one ");
    buffer_str(&b, STR("two "));
    buffer_append(&b, "three", 5);
    buffer_append(&b, NULL, 0);
    buffer_printf(&b, " %d %s", 4, "five");
    assert_true(str_eq(buffer_view(&b), STR("one two three 4 five")));
    buffer_drop(&b, 4);
    assert_true(str_eq(buffer_view(&b), STR("two three 4 five")));
    buffer_drop(&b, b.len);
    assert_int_equal(b.len, 0);
    assert_false(b.failed);
    buffer_finish(&b);
    buffer_finish(NULL);
}

static void numbers_are_little_endian(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    buffer_u8(&b, 0x01);
    buffer_u16(&b, 0x0302);
    buffer_u32(&b, UINT32_C(0x07060504));
    buffer_u64(&b, UINT64_C(0x0f0e0d0c0b0a0908));
    buffer_i64(&b, -2);
    buffer_counted(&b, STR("ab"));
    static const uint8_t expected[] = { 1,    2,    3,    4,  5,  6,    7,    8,    9,    10,
                                        11,   12,   13,   14, 15, 0xfe, 0xff, 0xff, 0xff, 0xff,
                                        0xff, 0xff, 0xff, 2,  0,  0,    0,    'a',  'b' };
    assert_int_equal(b.len, sizeof(expected));
    assert_memory_equal(b.data, expected, sizeof(expected));
    buffer_finish(&b);
}

static void the_ceiling_is_exact_and_failure_sticks(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 10);
    buffer_text(&b, "0123456789");
    assert_false(b.failed);
    assert_int_equal(b.len, 10);
    buffer_u8(&b, '!');
    assert_true(b.failed);
    buffer_drop(&b, 5);
    /* There is room again, but a byte is missing: nothing may follow the gap. */
    buffer_u8(&b, '?');
    buffer_printf(&b, "%d", 1);
    assert_null(buffer_reserve(&b, 1));
    assert_true(str_eq(buffer_view(&b), STR("56789")));
    buffer_clear(&b);
    assert_false(b.failed);
    buffer_text(&b, "again");
    assert_true(str_eq(buffer_view(&b), STR("again")));
    /* An append goes in whole or not at all. */
    buffer_text(&b, "too much");
    assert_true(b.failed);
    assert_int_equal(b.len, 5);
    buffer_finish(&b);
    assert_false(b.failed);
    buffer_u64(&b, 1);
    assert_int_equal(b.len, 8);
    buffer_finish(&b);
}

static void a_counted_run_is_whole_or_absent(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 8);
    buffer_counted(&b, STR("12345"));
    assert_true(b.failed);
    assert_int_equal(b.len, 0);
    buffer_clear(&b);
    buffer_counted(&b, STR("1234"));
    assert_false(b.failed);
    assert_int_equal(b.len, 8);
    buffer_finish(&b);
}

static void reuse_keeps_memory_up_to_a_bound(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    buffer_text(&b, "a few");
    const size_t cap = b.cap;
    buffer_reserve(&b, 1000);
    assert_true(b.failed);
    buffer_reuse(&b, cap);
    assert_false(b.failed);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, cap);
    buffer_reuse(&b, cap - 1);
    assert_int_equal(b.cap, 0);
    buffer_text(&b, "again");
    assert_true(str_eq(buffer_view(&b), STR("again")));
    buffer_finish(&b);
}

static void hostile_lengths_do_not_overflow(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, SIZE_MAX);
    buffer_text(&b, "x");
    assert_null(buffer_reserve(&b, SIZE_MAX));
    assert_true(b.failed);
    buffer_clear(&b);
    assert_null(buffer_reserve(&b, SIZE_MAX - 1));
    assert_true(b.failed);
    buffer_finish(&b);
    buffer_init(&b, 0);
    assert_non_null(buffer_reserve(&b, 0));
    assert_null(buffer_reserve(&b, 1));
    buffer_finish(&b);
}

static void printf_fits_to_the_last_byte(void **state)
{
    (void)state;
    for (size_t max = 1; max < 200; max++) {
        struct buffer b;
        buffer_init(&b, max);
        buffer_printf(&b, "%*d", (int)max, 7);
        assert_false(b.failed);
        assert_int_equal(b.len, max);
        assert_int_equal(b.data[max - 1], '7');
        buffer_printf(&b, "%d", 7);
        assert_true(b.failed);
        buffer_finish(&b);
    }
}

static void grows_keeping_what_is_there(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000000);
    for (uint32_t i = 0; i < 100000; i++)
        buffer_u32(&b, i);
    assert_false(b.failed);
    assert_int_equal(b.len, 400000);
    for (uint32_t i = 0; i < 100000; i += 997) {
        uint32_t v = 0;
        for (size_t k = 4; k > 0; k--)
            v = v << 8 | b.data[i * 4 + k - 1];
        assert_int_equal(v, i);
    }
    assert_true(b.cap <= b.max);
    buffer_finish(&b);
}

static void taking_hands_over(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 4);
    buffer_text(&b, "full");
    size_t len = 0;
    char *text = buffer_take(&b, &len);
    assert_int_equal(len, 4);
    assert_string_equal(text, "full");
    assert_int_equal(b.len, 0);
    assert_null(b.data);
    mem_free(text);
    text = buffer_take(&b, &len);
    assert_int_equal(len, 0);
    assert_string_equal(text, "");
    mem_free(text);
    buffer_text(&b, "too long");
    len = 42;
    assert_null(buffer_take(&b, &len));
    assert_int_equal(len, 42);
    assert_false(b.failed);
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(the_ceiling_is_exact_and_failure_sticks),
        cmocka_unit_test(a_counted_run_is_whole_or_absent),
        cmocka_unit_test(reuse_keeps_memory_up_to_a_bound),
        cmocka_unit_test(hostile_lengths_do_not_overflow),
        cmocka_unit_test(printf_fits_to_the_last_byte),
        cmocka_unit_test(grows_keeping_what_is_there),
        cmocka_unit_test(taking_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
