#include "base/size.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void arithmetic_refuses_overflow(void **state)
{
    (void)state;
    uint64_t out = 42;
    assert_false(size_mul(UINT64_MAX, 2, &out));
    assert_false(size_mul(UINT64_C(1) << 32, UINT64_C(1) << 32, &out));
    assert_false(size_add(UINT64_MAX, 1, &out));
    assert_int_equal(out, 42);
    assert_true(size_mul(0, UINT64_MAX, &out));
    assert_int_equal(out, 0);
    assert_true(size_mul(UINT64_MAX, 1, &out));
    assert_true(out == UINT64_MAX);
    assert_true(size_mul((UINT64_C(1) << 32) - 1, (UINT64_C(1) << 32) + 1, &out));
    assert_true(out == UINT64_MAX);
    assert_true(size_add(UINT64_MAX - 1, 1, &out));
    assert_true(out == UINT64_MAX);
}

static void parses_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        {"0",                                   0                      },
        { "512",                                512                    },
        { "512B",                               512                    },
        { "64KiB",                              64 * KiB               },
        { "64kib",                              64 * KiB               },
        { "1.5GiB",                             GiB + GiB / 2          },
        { "7.1 GiB",                            UINT64_C(7623566950)   },
        { "200MB",                              UINT64_C(200000000)    },
        { "0.3KB",                              300                    },
        { "1TB",                                UINT64_C(1000000000000)},
        { "2TiB",                               2048 * GiB             },
        { "0.00000000000000000000000000001TiB", 0                      },
        { "0.99999999999999999999999999999KiB", 1023                   },
        { "18446744073709551615",               UINT64_MAX             },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t bytes = 1;
        struct weir_error err = { .code = WEIR_OK };
        assert_int_equal(size_parse(rows[i].text, &bytes, &err), WEIR_OK);
        assert_true(bytes == rows[i].bytes);
    }
}

static void refuses_what_is_no_size(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",      "GiB",         "-1",  "+1",  "1..5GiB",
        "1.GiB", ".5GiB",       "1 2", "1Gi", "5 GiBs",
        "1e3",   "0x10",        " 5",  "50%", "18446744073709551616",
        "1,5GB", "16777216TiB",
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t bytes = 42;
        struct weir_error err;
        assert_int_equal(size_parse(rows[i], &bytes, &err), WEIR_INVALID);
        assert_int_equal(bytes, 42);
        assert_non_null(strstr(err.text, rows[i]));
    }
    uint64_t bytes;
    assert_int_equal(size_parse(NULL, &bytes, NULL), WEIR_INVALID);
}

static void parses_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bare_unit_ms;
        int64_t ms;
    } rows[] = {
        {"200ms",                  1000, 200      },
        { "2s",                    1,    2000     },
        { "1.5s",                  1,    1500     },
        { "3m",                    1,    180000   },
        { "24h",                   1,    86400000 },
        { "7",                     1,    7        },
        { "7",                     1000, 7000     },
        { "0",                     1000, 0        },
        { "0.25",                  1000, 250      },
        { "0.0005s",               1000, 0        },
        { "9223372036854775807ms", 1,    INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t ms = -1;
        assert_int_equal(size_parse_duration(rows[i].text, rows[i].bare_unit_ms, &ms, NULL),
                         WEIR_OK);
        assert_true(ms == rows[i].ms);
    }
    static const char *const bad[] = { "",
                                       "s",
                                       "-1s",
                                       "1x",
                                       "1 minute",
                                       "2 s s",
                                       "1S",
                                       "9223372036854775808ms",
                                       "9223372036854775807s" };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        int64_t ms = 42;
        struct weir_error err;
        assert_int_equal(size_parse_duration(bad[i], 1, &ms, &err), WEIR_INVALID);
        assert_int_equal(ms, 42);
        assert_non_null(strstr(err.text, bad[i]));
    }
}

static void formats_sizes(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {0,                          "0 B"     },
        { 1023,                      "1023 B"  },
        { KiB,                       "1 KiB"   },
        { KiB + 512,                 "1.5 KiB" },
        { 64 * KiB,                  "64 KiB"  },
        { 512 * MiB,                 "512 MiB" },
        { 512 * MiB + 1,             "512 MiB" },
        { UINT64_C(7623566950),      "7.1 GiB" },
        { 6 * GiB,                   "6 GiB"   },
        { 6 * GiB + 1,               "6.0 GiB" },
        { GiB - 1,                   "1.0 GiB" },
        { GiB - MiB,                 "1023 MiB"},
        { 99 * MiB + MiB * 99 / 100, "100 MiB" },
        { 2048 * GiB,                "2 TiB"   },
        { UINT64_MAX,                "16.0 EiB"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct size_text out;
        assert_string_equal(size_format(rows[i].bytes, &out), rows[i].text);
    }
}

/* What is written can be read: for whole amounts it is the same number again. */
static void reads_what_it_writes(void **state)
{
    (void)state;
    for (uint64_t bytes = 1; bytes < 1024 * GiB; bytes *= 2) {
        struct size_text out;
        uint64_t back = 0;
        assert_int_equal(size_parse(size_format(bytes, &out), &back, NULL), WEIR_OK);
        assert_true(back == bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_refuses_overflow),
        cmocka_unit_test(parses_sizes),
        cmocka_unit_test(refuses_what_is_no_size),
        cmocka_unit_test(parses_durations),
        cmocka_unit_test(formats_sizes),
        cmocka_unit_test(reads_what_it_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
