#include "base/base64.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void texts_are_decoded(void **state)
{
    const struct {
        const char *text;
        struct str bytes;
    } rows[] = {
        {"",          STR("")              },
        { "Zg==",     STR("f")             },
        { "Zg",       STR("f")             },
        { "Zm8=",     STR("fo")            },
        { "Zm8",      STR("fo")            },
        { "Zm9v",     STR("foo")           },
        { "Zm9vYg==", STR("foob")          },
        { "AP/+gA==", STR("\0\xff\xfe\x80")},
        { "++//",     STR("\xfb\xef\xff")  },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buffer b;
        struct weir_error err;
        buffer_init(&b, 64);
        assert_int_equal(base64_decode(str_of(rows[i].text), &b, &err), WEIR_OK);
        assert_true(str_eq(buffer_view(&b), rows[i].bytes));
        assert_true(b.len <= base64_bytes_max(strlen(rows[i].text)));
        buffer_finish(&b);
    }
}

static void wrong_texts_are_refused(void **state)
{
    static const char *const rows[] = { "Z", "Zg=",   "Zh==",   "Zm9=", "Zm9vZ",    "====",
                                        "=", "Zm 9v", "Zm9v\n", "Zm-_", "Zg==Zg==", "Z===" };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buffer b;
        struct weir_error err;
        buffer_init(&b, 64);
        buffer_text(&b, "kept");
        if (base64_decode(str_of(rows[i]), &b, &err) != WEIR_INVALID)
            fail_msg("'%s' was decoded", rows[i]);
        assert_int_equal(b.len, 4);
        buffer_finish(&b);
    }
}

static void ceiling_holds(void **state)
{
    struct buffer b;
    struct weir_error err;
    (void)state;
    buffer_init(&b, 2);
    assert_int_equal(base64_decode(STR("Zm9v"), &b, &err), WEIR_INVALID);
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_decoded),
        cmocka_unit_test(wrong_texts_are_refused),
        cmocka_unit_test(ceiling_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
