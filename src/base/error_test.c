#include "base/error.h"

#include "base/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void fills_everything(void **state)
{
    (void)state;
    struct weir_error err;
    memset(&err, 0x5a, sizeof(err));
    assert_int_equal(weir_fail(&err, WEIR_TOO_BIG, "model '%s' needs %d", "x", 7), WEIR_TOO_BIG);
    assert_int_equal(err.code, WEIR_TOO_BIG);
    assert_string_equal(err.text, "model 'x' needs 7");
    assert_int_equal(err.index, -1);
    assert_int_equal(err.os_errno, 0);
    assert_int_equal(err.value, 0);
    assert_int_equal(err.limit, 0);
    assert_int_equal(err.retry_after_ms, 0);
    /* The error crosses the wire whole, so nothing old may stay behind the text. */
    for (size_t i = strlen(err.text); i < sizeof(err.text); i++)
        assert_int_equal(err.text[i], 0);
}

static void null_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(weir_fail(NULL, WEIR_DEADLINE, "late"), WEIR_DEADLINE);
    assert_int_equal(weir_fail_os(NULL, WEIR_INVALID, ENOENT, "gone"), WEIR_INVALID);
    assert_int_equal(weir_wrap(NULL, "while reading"), WEIR_INTERNAL);
}

static void names_the_errno(void **state)
{
    (void)state;
    struct weir_error err;
    weir_fail_os(&err, WEIR_INVALID, ENOENT, "cannot open '%s'", "/x");
    assert_int_equal(err.os_errno, ENOENT);
    char expected[128] = "cannot open '/x': ";
    strncat(expected, strerror(ENOENT), sizeof(expected) - strlen(expected) - 1);
    assert_string_equal(err.text, expected);
}

static void wraps_in_front(void **state)
{
    (void)state;
    struct weir_error err;
    weir_fail(&err, WEIR_LOAD_FAILED, "tensor 'a' is missing");
    err.value = 3;
    assert_int_equal(weir_wrap(&err, "model '%s'", "m"), WEIR_LOAD_FAILED);
    assert_string_equal(err.text, "model 'm': tensor 'a' is missing");
    assert_int_equal(err.value, 3);
}

/* The own text may be an argument of the new one. */
static void refills_from_itself(void **state)
{
    (void)state;
    struct weir_error err;
    weir_fail(&err, WEIR_INTERNAL, "first");
    weir_fail(&err, WEIR_MODEL_FAILED, "second after %s", err.text);
    assert_string_equal(err.text, "second after first");
}

static void long_texts_end_in_an_ellipsis(void **state)
{
    (void)state;
    struct weir_error err;
    char filler[400];
    memset(filler, 'a', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    weir_fail(&err, WEIR_INVALID, "%s", filler);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_string_equal(err.text + sizeof(err.text) - 1 - strlen("a…"), "a…");
    weir_wrap(&err, "%s", filler);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    /* What fits to the last byte stays whole. */
    filler[sizeof(err.text) - 1] = '\0';
    weir_fail(&err, WEIR_INVALID, "%s", filler);
    assert_string_equal(err.text, filler);
}

/* Wherever the cut falls, no character is left in halves. */
static void cuts_between_characters(void **state)
{
    (void)state;
    struct weir_error err;
    char filler[400];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(filler, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof(filler); i += 4)
            memcpy(filler + i, "\xf0\x9f\x8c\x8a", 5);
        weir_fail(&err, WEIR_INVALID, "%s", filler);
        const size_t len = strlen(err.text);
        assert_true(len >= sizeof(err.text) - 4);
        assert_string_equal(err.text + len - strlen("\xf0\x9f\x8c\x8a…"), "\xf0\x9f\x8c\x8a…");
    }
}

static void the_table_answers(void **state)
{
    (void)state;
    assert_int_equal(error_http_status(WEIR_NO_SUCH_MODEL), 404);
    assert_int_equal(error_http_status(WEIR_TOO_BIG), 507);
    assert_true(error_retryable(WEIR_QUEUE_FULL));
    assert_false(error_retryable(WEIR_QUARANTINED));
    assert_string_equal(error_name(WEIR_NO_SUCH_MODEL), "model_not_found");
    assert_string_equal(error_says(WEIR_QUEUE_FULL), "the queue is full");
    for (int code = 0; code < WEIR_CODE_COUNT; code++) {
        const int status = error_http_status((enum weir_code)code);
        assert_in_range(status, 200, 599);
        assert_true(strlen(error_name((enum weir_code)code)) > 0);
    }
    const enum weir_code outside[] = { WEIR_CODE_COUNT, (enum weir_code) - 1 };
    for (size_t i = 0; i < ARRAY_COUNT(outside); i++) {
        assert_int_equal(error_http_status(outside[i]), 500);
        assert_false(error_retryable(outside[i]));
        assert_string_equal(error_name(outside[i]), "unknown");
    }
}

/* A name that a precision cut within a character, and bytes that never were one. */
static void the_text_is_utf8(void **state)
{
    (void)state;
    struct weir_error err;
    weir_fail(&err, WEIR_LOAD_FAILED, "tensor '%.3s'", "naïve");
    assert_string_equal(err.text, "tensor 'na?'");
    weir_wrap(&err, "'%.2s'", "€");
    assert_string_equal(err.text, "'?"
                                  "?': tensor 'na?'");
    weir_fail_os(&err, WEIR_INVALID, ENOENT, "cannot open '%s'", "/a\xff/ï");
    assert_non_null(strstr(err.text, "'/a?/ï'"));
}

/* A name from a hostile file, shown on a terminal, may not command it. */
static void the_text_has_no_controls(void **state)
{
    (void)state;
    struct weir_error err;
    weir_fail(&err, WEIR_LOAD_FAILED, "tensor '%s'", "\x1b[31m\x07\x7f\n");
    assert_string_equal(err.text, "tensor ' [31m   '");
    weir_wrap(&err, "'%s'",
              "\xc2\x9b"
              "2J\u00a0\u0100");
    assert_string_equal(err.text, "'  2J\u00a0\u0100': tensor ' [31m   '");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_everything),        cmocka_unit_test(null_is_allowed),
        cmocka_unit_test(names_the_errno),         cmocka_unit_test(wraps_in_front),
        cmocka_unit_test(refills_from_itself),     cmocka_unit_test(long_texts_end_in_an_ellipsis),
        cmocka_unit_test(cuts_between_characters), cmocka_unit_test(the_table_answers),
        cmocka_unit_test(the_text_is_utf8),        cmocka_unit_test(the_text_has_no_controls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
