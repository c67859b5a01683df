/* Whole files, made here: first good ones, then one for each way of being wrong. */
#include "model/safetensors.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[512];

static void write_raw(const void *data, size_t bytes)
{
    assert_int_equal(file_write_atomic(path, data, bytes, NULL), WEIR_OK);
}

/* Length word, header, and so many bytes of data that count up from 0. */
static void write_file(const char *header, size_t data_bytes)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    buffer_u64(&b, strlen(header));
    buffer_text(&b, header);
    for (size_t i = 0; i < data_bytes; i++)
        buffer_u8(&b, (uint8_t)i);
    assert_false(b.failed);
    write_raw(b.data, b.len);
    buffer_finish(&b);
}

static void test_a_good_file(void **state)
{
    struct safetensors s;
    (void)state;
    /* Not in the order of the data, at an odd offset, with an empty tensor and a scalar. */
    write_file("{\"__metadata__\":{\"format\":\"pt\"},"
               "\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[2,10]},"
               "\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
               "\"none\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[10,10]}}   ",
               10);
    assert_int_equal(safetensors_open(path, &s, NULL), WEIR_OK);
    assert_int_equal(s.count, 3);
    const struct tensor *b = safetensors_find(&s, "b");
    assert_non_null(b);
    assert_int_equal(b->dtype, DTYPE_F32);
    assert_int_equal(b->rank, 2);
    assert_true(b->dims[0] == 2 && b->dims[1] == 1);
    assert_int_equal(((const uint8_t *)b->data)[0], 2);
    assert_int_equal(safetensors_find(&s, "a")->rank, 0);
    assert_non_null(safetensors_find(&s, "none"));
    assert_null(safetensors_find(&s, "c"));
    assert_null(safetensors_find(&s, "__metadata__"));
    struct str header = safetensors_header(&s);
    assert_int_equal(header.len, s.map.size - 10);
    safetensors_close(&s);
    safetensors_close(&s);
}

static void test_no_tensors_at_all(void **state)
{
    struct safetensors s;
    (void)state;
    write_file("{}", 0);
    assert_int_equal(safetensors_open(path, &s, NULL), WEIR_OK);
    assert_int_equal(s.count, 0);
    assert_null(safetensors_find(&s, "a"));
    safetensors_close(&s);
}

static void assert_refused(const char *what, const char *named)
{
    struct safetensors s;
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    enum weir_code code = safetensors_open(path, &s, &err);
    if (code != WEIR_LOAD_FAILED)
        fail_msg("%s: code %d", what, code);
    assert_int_equal(err.code, WEIR_LOAD_FAILED);
    if (strstr(err.text, named) == NULL || strstr(err.text, "safetensors") == NULL)
        fail_msg("%s: '%s' does not name '%s' and the file", what, err.text, named);
    assert_int_equal(safetensors_open(path, &s, NULL), WEIR_LOAD_FAILED);
}

#define INFO(dtype, shape, offsets)                                                                \
    "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define F32(shape, offsets) INFO("\"F32\"", shape, offsets)

static void test_wrong_headers(void **state)
{
    /* Version 14 crashes on macros among the strings of a table. */
    /* clang-format off */
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *named;
    } rows[] = {
        { "[]", 0, "'{'" },
        { " {}", 0, "'{'" },
        { "{", 0, "JSON" },
        { "{} x", 0, "JSON" },
        { "{\"a\":\"\xff\"}", 0, "JSON" },
        { "{\"a\":" F32("[1]", "[0,4]") ",\"a\":" F32("[1]", "[4,8]") "}", 8, "duplicate" },
        { "{\"__metadata__\":{\"a\":1}}", 0, "__metadata__" },
        { "{\"__metadata__\":[]}", 0, "__metadata__" },
        { "{\"a\":1}", 0, "'a'" },
        { "{\"a\":{}}", 0, "'a'" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, "'a'" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"offsets\":[0,4]}}", 4, "data_offsets" },
        { "{\"a\":" INFO("\"F8_E5M2\"", "[4]", "[0,4]") "}", 4, "offset 0 of the data is of type" },
        { "{\"a\":" INFO("7", "[4]", "[0,4]") "}", 4, "dtype" },
        { "{\"a\":" F32("4", "[2,6]") "}", 6, "'a' at offset 2 of the data has no 'shape'" },
        { "{\"a\":" F32("[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "shape" },
        { "{\"a\":" F32("[-1]", "[3,7]") "}", 7, "dimension 0 of tensor 'a' at offset 3" },
        { "{\"a\":" F32("[1.0]", "[0,4]") "}", 4, "dimension 0" },
        { "{\"a\":" F32("[9223372036854775808]", "[0,4]") "}", 4, "JSON" },
        { "{\"a\":" F32("[1]", "[0,4,8]") "}", 4, "data_offsets" },
        { "{\"a\":" F32("[1]", "[4,0]") "}", 4, "data_offsets" },
        { "{\"a\":" F32("[1]", "[-4,0]") "}", 4, "data_offsets" },
        { "{\"a\":" F32("[1]", "[0,8]") "}", 8, "[1]" },
        { "{\"a\":" F32("[2]", "[0,8]") "}", 7, "offset 8" },
        { "{\"a\":" F32("[2]", "[0,8]") "}", 9, "9 bytes" },
        { "{\"a\":" F32("[1]", "[4,8]") "}", 8, "offset 4" },
        { "{\"a\":" F32("[4611686018427387904,4]", "[0,0]") "}", 0, "'a'" },
        { "{\"a\":" F32("[9223372036854775807,9223372036854775807]", "[0,4]") "}", 4, "'a'" },
        { "{\"a\":" F32("[2]", "[0,8]") ",\"b\":" F32("[2]", "[4,12]") "}", 12, "'b'" },
        { "{\"a\":" F32("[1]", "[0,4]") ",\"b\":" F32("[1]", "[8,12]") "}", 12, "offset 8" },
        { "{\"a\":" F32("[1]", "[0,4]") ",\"b\":" F32("[1]", "[0,4]") "}", 4, "'b'" },
        { "{\"a\":" F32("[1]", "[9223372036854775803,9223372036854775807]") "}", 4, "'a'" },
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        write_file(rows[i].header, rows[i].data_bytes);
        assert_refused(rows[i].header, rows[i].named);
    }
}

static void test_wrong_lengths(void **state)
{
    static const uint8_t rows[][10] = {
        {0,     0,    0,    0,    0,    0,    0,    0,    '{', '}'},
        { 3,    0,    0,    0,    0,    0,    0,    0,    '{', '}'},
        { 1,    0xe1, 0xf5, 5,    0,    0,    0,    0,    '{', '}'}, /* 100,000,001 */
        { 2,    0,    0,    0,    0,    0,    0,    0x80, '{', '}'},
        { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        write_raw(rows[i], sizeof(rows[i]));
        assert_refused("a wrong length", "length");
    }
    write_raw("short", 5);
    assert_refused("5 bytes", "5 bytes");
    write_raw("", 0);
    assert_refused("no bytes", "empty");
    unlink(path);
    assert_refused("no file", path);
}

/* Jansson goes so deep and no deeper, whatever the header's length. */
static void test_deep_headers(void **state)
{
    static char deep[100001];
    (void)state;
    memset(deep, '[', sizeof(deep) - 1);
    write_file(deep, 0);
    assert_refused("a deep header", "maximum parsing depth");
    for (size_t i = 0; i + 5 < sizeof(deep); i += 5)
        memcpy(deep + i, "{\"a\":", 5);
    write_file(deep, 0);
    assert_refused("deep objects", "maximum parsing depth");
}

/* Every prefix of a good file is refused; a flipped bit is refused or harmless: never a crash. */
static void test_truncated_and_flipped(void **state)
{
    static const char header[] = "{\"a\":" F32("[3,2]", "[0,24]") "}";
    struct buffer b;
    struct safetensors s;
    (void)state;
    write_file(header, 24);
    buffer_init(&b, 1 << 20);
    assert_int_equal(file_read(path, &b, NULL), WEIR_OK);
    for (size_t length = 1; length < b.len; length++) {
        write_raw(b.data, length);
        assert_int_equal(safetensors_open(path, &s, NULL), WEIR_LOAD_FAILED);
    }
    for (size_t i = 0; i < 8 + strlen(header); i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            b.data[i] = (uint8_t)(b.data[i] ^ 1u << bit);
            write_raw(b.data, b.len);
            if (safetensors_open(path, &s, NULL) == WEIR_OK) {
                assert_int_equal(s.count, 1);
                assert_int_equal(s.entries[0].end, 24);
                safetensors_close(&s);
            }
            b.data[i] = (uint8_t)(b.data[i] ^ 1u << bit);
        }
    }
    buffer_finish(&b);
}

static int make_path(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    int length = snprintf(path, sizeof(path), "%s/weir-%ld.safetensors", base ? base : "/tmp",
                          (long)getpid());
    return length > 0 && (size_t)length < sizeof(path) ? 0 : -1;
}

static int remove_path(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_file),   cmocka_unit_test(test_no_tensors_at_all),
        cmocka_unit_test(test_wrong_headers), cmocka_unit_test(test_wrong_lengths),
        cmocka_unit_test(test_deep_headers),  cmocka_unit_test(test_truncated_and_flipped),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
