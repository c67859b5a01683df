/* The files are taken apart here by the words of the specification, with sums of their own. */
#include "worker/fake/png.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t crc_bit_by_bit(const uint8_t *data, size_t bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes * 8; i++) {
        const uint32_t bit = (crc ^ (uint32_t)(data[i / 8] >> i % 8)) & 1;
        crc = crc >> 1 ^ (bit ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* The data of the chunk at *at, which moves behind it. */
static struct str chunk(const struct buffer *file, size_t *at, const char *type)
{
    const uint8_t *head = file->data + *at;
    assert_true(file->len - *at >= 12);
    const size_t bytes = big_endian(head);
    assert_true(file->len - *at - 12 >= bytes);
    assert_memory_equal(head + 4, type, 4);
    assert_int_equal(big_endian(head + 8 + bytes), crc_bit_by_bit(head + 4, bytes + 4));
    *at += 12 + bytes;
    return (struct str){ (const char *)head + 8, bytes };
}

/* Stored blocks to their bytes, and their sum checked. */
static void unpack(struct str zlib, struct buffer *out)
{
    const uint8_t *z = (const uint8_t *)zlib.data;
    size_t at = 2;
    bool last = false;
    assert_int_equal((z[0] << 8 | z[1]) % 31, 0);
    assert_int_equal(z[0] & 15, 8);
    while (!last) {
        assert_true(at + 5 <= zlib.len);
        const uint32_t bytes = (uint32_t)(z[at + 1] | z[at + 2] << 8);
        assert_int_equal(bytes ^ 0xffff, z[at + 3] | z[at + 4] << 8);
        assert_in_range(z[at], 0, 1);
        last = z[at] == 1;
        assert_true(at + 5 + bytes <= zlib.len);
        buffer_append(out, z + at + 5, bytes);
        at += 5 + bytes;
    }
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < out->len; i++) {
        a = (a + out->data[i]) % 65521;
        b = (b + a) % 65521;
    }
    assert_int_equal(zlib.len, at + 4);
    assert_int_equal(big_endian(z + at), b << 16 | a);
}

static void pixels_come_back(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {
        {1,    1  },
        { 16,  16 },
        { 5,   3  },
        { 640, 48 },
        { 1,   400},
        { 255, 257}
    };
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        const uint32_t width = sizes[i][0], height = sizes[i][1];
        const size_t row = (size_t)width * 3;
        static uint8_t rgb[255 * 257 * 3];
        struct buffer file, rows;
        size_t at = 8;
        for (size_t k = 0; k < row * height; k++)
            rgb[k] = (uint8_t)(k * 7 + k / 251);
        buffer_init(&file, 1 << 20);
        buffer_init(&rows, 1 << 20);
        png_write(&file, rgb, width, height);
        assert_memory_equal(file.data, "\x89PNG\r\n\x1a\n", 8);
        const struct str head = chunk(&file, &at, "IHDR");
        assert_int_equal(head.len, 13);
        assert_int_equal(big_endian((const uint8_t *)head.data), width);
        assert_int_equal(big_endian((const uint8_t *)head.data + 4), height);
        assert_memory_equal(head.data + 8, "\x08\x02\0\0\0", 5);
        unpack(chunk(&file, &at, "IDAT"), &rows);
        assert_int_equal(chunk(&file, &at, "IEND").len, 0);
        assert_int_equal(at, file.len);
        assert_int_equal(rows.len, (row + 1) * height);
        for (size_t y = 0; y < height; y++) {
            assert_int_equal(rows.data[y * (row + 1)], 0);
            assert_memory_equal(rows.data + y * (row + 1) + 1, rgb + y * row, row);
        }
        buffer_finish(&file);
        buffer_finish(&rows);
    }
}

/* Two sums that agree could both be wrong: these are known from elsewhere. */
static void sums_are_the_known_ones(void **state)
{
    (void)state;
    static const uint8_t black[3];
    struct buffer file;
    buffer_init(&file, 1000);
    png_write(&file, black, 1, 1);
    assert_memory_equal(file.data + file.len - 12, "\0\0\0\0IEND\xae\x42\x60\x82", 12);
    assert_memory_equal(file.data + file.len - 12 - 8, "\x00\x04\x00\x01", 4);
    buffer_finish(&file);
}

static void a_full_buffer_is_no_file(void **state)
{
    (void)state;
    static const uint8_t rgb[30 * 30 * 3];
    for (size_t max = 0; max < 100; max++) {
        struct buffer file;
        buffer_init(&file, max);
        png_write(&file, rgb, 30, 30);
        assert_true(file.failed);
        buffer_finish(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_come_back),
        cmocka_unit_test(sums_are_the_known_ones),
        cmocka_unit_test(a_full_buffer_is_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
