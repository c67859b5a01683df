#include "base/str.h"

#include "base/check.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void compares(void **state)
{
    (void)state;
    const struct str nothing = { NULL, 0 };
    assert_true(str_eq(nothing, STR("")));
    assert_true(str_eq(str_of(NULL), nothing));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("ab"), STR("abc")));
    assert_true(str_eq_ignore_case(STR("Content-Type"), STR("content-tYPE")));
    assert_false(str_eq_ignore_case(STR("a@"), STR("a`")));
    assert_false(str_eq_ignore_case(STR("\xc3\x84"), STR("\xc3\xa4")));
    assert_true(str_starts(STR("/v1/models"), STR("/v1/")));
    assert_true(str_starts(STR("x"), nothing));
    assert_false(str_starts(STR("/v1"), STR("/v1/")));
    assert_true(str_ends(STR("model.gguf"), STR(".gguf")));
    assert_true(str_ends(nothing, nothing));
    assert_false(str_ends(STR("gguf"), STR(".gguf")));
}

static void trims_and_cuts(void **state)
{
    (void)state;
    assert_true(str_eq(str_trim(STR(" \t\r\n\v\fa b\n ")), STR("a b")));
    assert_int_equal(str_trim(STR(" \n\t")).len, 0);
    assert_int_equal(str_trim(str_of(NULL)).len, 0);
    struct str head, tail;
    assert_true(str_cut(STR("key=a=b"), '=', &head, &tail));
    assert_true(str_eq(head, STR("key")));
    assert_true(str_eq(tail, STR("a=b")));
    assert_true(str_cut(STR("="), '=', &head, &tail));
    assert_int_equal(head.len, 0);
    assert_int_equal(tail.len, 0);
    assert_false(str_cut(STR("key"), '=', &head, &tail));
    assert_true(str_eq(head, STR("key")));
    assert_int_equal(tail.len, 0);
    assert_false(str_cut(str_of(NULL), '=', &head, &tail));
}

static void reads_integers(void **state)
{
    (void)state;
    uint64_t u = 42;
    int64_t i = 42;
    assert_true(str_to_u64(STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_true(str_to_u64(STR("007"), &u));
    assert_int_equal(u, 7);
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "1x", "0x1", "18446744073709551616", "99999999999999999999999"
    };
    for (size_t n = 0; n < ARRAY_COUNT(bad); n++) {
        u = 42;
        assert_false(str_to_u64(str_of(bad[n]), &u));
        assert_int_equal(u, 42);
    }
    assert_true(str_to_i64(STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_true(str_to_i64(STR("9223372036854775807"), &i));
    assert_true(i == INT64_MAX);
    assert_true(str_to_i64(STR("-0"), &i));
    assert_int_equal(i, 0);
    i = 42;
    assert_false(str_to_i64(STR("9223372036854775808"), &i));
    assert_false(str_to_i64(STR("-9223372036854775809"), &i));
    assert_false(str_to_i64(STR("-"), &i));
    assert_false(str_to_i64(STR("--1"), &i));
    assert_false(str_to_i64(STR(""), &i));
    assert_int_equal(i, 42);
}

static void reads_doubles(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {
        {"0",                       0                     },
        { "-1.5",                   -1.5                  },
        { "+2",                     2                     },
        { ".5",                     0.5                   },
        { "5.",                     5                     },
        { "1e3",                    1000                  },
        { "1E-2",                   0.01                  },
        { "1.7976931348623157e308", 1.7976931348623157e308},
        { "1e-400",                 0                     },
        { "0.1",                    0.1                   },
    };
    for (size_t n = 0; n < ARRAY_COUNT(good); n++) {
        double v = 42;
        assert_true(str_to_double(str_of(good[n].text), &v));
        assert_true(v == good[n].value);
    }
    static const char *const bad[] = { "",      ".",     "-",      "e5",   "1e", "1e+",
                                       "nan",   "inf",   "0x1p3",  " 1",   "1 ", "1,5",
                                       "1.2.3", "1e400", "-1e400", "1e5.", "--1" };
    for (size_t n = 0; n < ARRAY_COUNT(bad); n++) {
        double v = 42;
        assert_false(str_to_double(str_of(bad[n]), &v));
        assert_true(v == 42);
    }
    /* More digits than fit a small buffer. */
    char text[200];
    double v;
    str_print(text, sizeof(text), "0.1%0150d", 1);
    assert_true(str_to_double(str_of(text), &v));
    assert_true(v == 0.1);
    /* The run need not end where the number does. */
    assert_true(str_to_double((struct str){ "12345", 2 }, &v));
    assert_true(v == 12);
}

static void hashes_content(void **state)
{
    (void)state;
    char copy[] = "abc";
    assert_true(str_hash(STR("abc")) == str_hash(str_of(copy)));
    assert_true(str_hash(STR("abc")) != str_hash(STR("abd")));
    assert_true(str_hash(str_of(NULL)) == str_hash(STR("")));
    /* The published value of XXH3 over nothing. */
    assert_true(str_hash(STR("")) == UINT64_C(0x2d06800538d394c2));
}

/* Each row: the text, and the offset of its first bad byte (its length when there is none). */
static void finds_the_first_bad_byte(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        size_t valid;
    } rows[] = {
        {{ "", 0 },                                  0 },
        { { "plain ASCII, longer than a word", 31 }, 31},
        { { "a\0b", 3 },                             3 },
        { { "\xc2\x80", 2 },                         2 },
        { { "\xdf\xbf", 2 },                         2 },
        { { "\xe0\xa0\x80", 3 },                     3 },
        { { "\xed\x9f\xbf", 3 },                     3 },
        { { "\xee\x80\x80", 3 },                     3 },
        { { "\xef\xbf\xbf", 3 },                     3 },
        { { "\xf0\x90\x80\x80", 4 },                 4 },
        { { "\xf4\x8f\xbf\xbf", 4 },                 4 },
        { { "abcdefg\xc3\xa4hijklmnop", 18 },        18},
        { { "12345678\x80", 9 },                     8 }, /* continuation without a lead */
        { { "\xc0\x80", 2 },                         0 }, /* overlong NUL */
        { { "\xc1\xbf", 2 },                         0 }, /* overlong */
        { { "a\xe0\x9f\xbf", 4 },                    1 }, /* overlong */
        { { "\xf0\x8f\xbf\xbf", 4 },                 0 }, /* overlong */
        { { "\xed\xa0\x80", 3 },                     0 }, /* surrogate */
        { { "\xed\xbf\xbf", 3 },                     0 }, /* surrogate */
        { { "\xf4\x90\x80\x80", 4 },                 0 }, /* beyond U+10FFFF */
        { { "\xf5\x80\x80\x80", 4 },                 0 },
        { { "\xff", 1 },                             0 },
        { { "ab\xc3", 3 },                           2 }, /* cut off */
        { { "ab\xe2\x82", 4 },                       2 },
        { { "ab\xf0\x9f\x8c", 5 },                   2 },
        { { "\xe2\x82X", 3 },                        0 },
        { { "\xc3\xa4\xc3(", 4 },                    2 },
        { { "\xf0\x9f\x8c\xc0", 4 },                 0 },
    };
    for (size_t n = 0; n < ARRAY_COUNT(rows); n++)
        assert_int_equal(str_utf8_valid(rows[n].text), rows[n].valid);
}

static size_t encode(uint32_t point, char *out)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    const size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = len - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(leads[len] | point);
    return len;
}

/* Every code point there is, and the surrogates, which are none. */
static void knows_every_code_point(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x110000; point++) {
        char text[4];
        const size_t len = encode(point, text);
        const bool is_scalar = point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
        if ((str_utf8_valid((struct str){ text, len }) == len) != is_scalar)
            fail_msg("U+%04X", point);
        if (len > 1 && str_utf8_valid((struct str){ text, len - 1 }) != 0)
            fail_msg("U+%04X cut off", point);
    }
}

/* Two-byte runs are few enough to try all. */
static void knows_every_pair(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            const char text[2] = { (char)a, (char)b };
            const bool pair = a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;
            const size_t expected = pair ? 2 : a >= 0x80 ? 0 : b >= 0x80 ? 1 : 2;
            assert_int_equal(str_utf8_valid((struct str){ text, 2 }), expected);
        }
    }
}

static void never_reads_past_the_end(void **state)
{
    (void)state;
    /* On the heap and without slack, so that AddressSanitizer sees a step too far. */
    for (size_t len = 1; len < 20; len++) {
        char *const text = mem_try(len, 1);
        assert_non_null(text);
        memset(text, 'a', len);
        text[len - 1] = '\xf0';
        assert_int_equal(str_utf8_valid((struct str){ text, len }), len - 1);
        mem_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(trims_and_cuts),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(reads_doubles),
        cmocka_unit_test(hashes_content),
        cmocka_unit_test(finds_the_first_bad_byte),
        cmocka_unit_test(knows_every_code_point),
        cmocka_unit_test(knows_every_pair),
        cmocka_unit_test(never_reads_past_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
