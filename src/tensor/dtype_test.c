#include "tensor/dtype.h"

#include "tensor/tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_names_and_sizes(void **state)
{
    enum dtype type;
    (void)state;
    assert_true(dtype_parse(STR("BF16"), &type));
    assert_int_equal(type, DTYPE_BF16);
    assert_string_equal(dtype_name(DTYPE_I64), "I64");
    assert_int_equal(dtype_size(DTYPE_I64), 8);
    assert_int_equal(dtype_size(DTYPE_F16), 2);
    assert_false(dtype_parse(STR("bf16"), &type));
    assert_false(dtype_parse(STR(""), &type));
    assert_false(dtype_parse(STR("F322"), &type));
}

/* Every finite F16 by its definition: fraction × 2^exponent. */
static void test_f16_is_exact(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        int exponent = (int)(bits >> 10 & 31);
        double fraction = (double)(bits & 1023) / 1024;
        float got;
        dtype_to_f32(DTYPE_F16, &half, &got, 1);
        if (exponent == 31) {
            assert_true(fraction > 0 ? isnan(got) : isinf(got));
            continue;
        }
        double want = exponent == 0 ? ldexp(fraction, -14) : ldexp(1 + fraction, exponent - 15);
        assert_true((double)got == (bits & 0x8000 ? -want : want));
        assert_int_equal(!!signbit(got), bits >> 15);
    }
}

static void test_bf16_and_f32_at_odd_addresses(void **state)
{
    const float numbers[3] = { 1.5f, -0.0f, 3e38f };
    char room[sizeof(numbers) + 1];
    float got[3];
    (void)state;
    memcpy(room + 1, numbers, sizeof(numbers));
    dtype_to_f32(DTYPE_F32, room + 1, got, 3);
    assert_memory_equal(got, numbers, sizeof(numbers));
    const uint8_t brain[] = { 0, 0xc0, 0x3f, 0x80, 0xff };
    dtype_to_f32(DTYPE_BF16, brain + 1, got, 2);
    assert_true(got[0] == 1.5f && isinf(got[1]) && got[1] < 0);
}

/* Against a search: no BF16 is nearer, and of two equally near ones the even one is taken. */
static void test_rounding_to_bf16_takes_the_nearest(void **state)
{
    (void)state;
    for (uint32_t high = 0; high < 0x7f80; high += 7) {
        for (uint32_t low = 0; low < 0x10000; low += 0x0fff) {
            uint32_t bits = high << 16 | low;
            uint32_t want = low > 0x8000 || (low == 0x8000 && high % 2) ? high + 1 : high;
            float x;
            memcpy(&x, &bits, sizeof(x));
            assert_int_equal(dtype_bf16(x), want);
            assert_int_equal(dtype_bf16(-x), want | 0x8000);
        }
    }
    assert_int_equal(dtype_bf16(INFINITY), 0x7f80);
    assert_int_equal(dtype_bf16(NAN) & 0x7fff, 0x7fc0);
    const uint32_t slight = 0x7f800001; /* a NaN whose upper half alone would be infinite */
    float x;
    memcpy(&x, &slight, sizeof(x));
    assert_int_equal(dtype_bf16(x), 0x7fc0);
}

static void test_shapes(void **state)
{
    struct tensor t = {
        DTYPE_F16, 3, {2, 3, 5},
          (const void *)4096
    };
    struct shape_text text;
    uint64_t bytes;
    (void)state;
    assert_true(tensor_bytes(&t, &bytes));
    assert_int_equal(bytes, 60);
    assert_ptr_equal(tensor_row(&t, 4), (const void *)(4096 + 40));
    assert_string_equal(tensor_shape(t.dims, t.rank, &text), "[2,3,5]");
    assert_string_equal(tensor_shape(t.dims, 0, &text), "[]");
    t.dims[1] = -1;
    assert_false(tensor_bytes(&t, &bytes));
    t.dims[0] = t.dims[1] = t.dims[2] = INT64_MAX;
    assert_false(tensor_bytes(&t, &bytes));
    for (int i = 0; i < TENSOR_RANK_MAX; i++)
        t.dims[i] = INT64_MAX;
    tensor_shape(t.dims, TENSOR_RANK_MAX, &text);
    assert_non_null(strstr(text.text, "…"));
    assert_true(strlen(text.text) < sizeof(text.text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_sizes),
        cmocka_unit_test(test_f16_is_exact),
        cmocka_unit_test(test_bf16_and_f32_at_odd_addresses),
        cmocka_unit_test(test_rounding_to_bf16_takes_the_nearest),
        cmocka_unit_test(test_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
