#include "base/log.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    int lines;
    enum log_level level;
    char line[20000];
};

static void see(void *context, enum log_level level, const char *line)
{
    struct seen *const seen = context;
    seen->lines++;
    seen->level = level;
    str_print(seen->line, sizeof(seen->line), "%s", line);
}

static void writes_one_line_per_fact(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    const struct log log = { .sink = see, .context = &seen, .least = LOG_INFO };
    log_write(&log, LOG_WARN, "child", "exited status=%d", 9);
    assert_int_equal(seen.lines, 1);
    assert_int_equal(seen.level, LOG_WARN);
    assert_string_equal(seen.line, "child: exited status=9");
    log_write(&log, LOG_DEBUG, "child", "not worth a line");
    assert_int_equal(seen.lines, 1);
}

static void silence_is_allowed(void **state)
{
    (void)state;
    const struct log silent = { .sink = NULL };
    log_write(&silent, LOG_ERROR, "base", "unheard");
    log_write(NULL, LOG_ERROR, "base", "unheard");
}

/* A name that a client chose must not forge a line, nor colour a terminal. */
static void foreign_text_stays_in_its_line(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    const struct log log = { .sink = see, .context = &seen };
    log_write(&log, LOG_INFO, "http", "model=%s", "a\nb\r\x1b[31m\x7fä");
    assert_string_equal(seen.line, "http: model=a b  [31m ä");
    /* U+0080 to U+009F are control characters too: U+009B does what ESC [ does. */
    log_write(&log, LOG_INFO, "http", "model=%s", "\xc2\x9b[31m\xc2\x80\xc2\x9f\xc2\xa0");
    assert_string_equal(seen.line, "http: model=  [31m    \xc2\xa0");
}

static void long_lines_end_in_an_ellipsis(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    const struct log log = { .sink = see, .context = &seen };
    static char filler[20000];
    memset(filler, 'a', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    log_write(&log, LOG_INFO, "http", "%s", filler);
    assert_int_equal(strlen(seen.line), 16 * 1024 - 1);
    assert_string_equal(seen.line + 16 * 1024 - 1 - strlen("a…"), "a…");
    filler[8192] = '\0'; /* the last words of a worker fit whole */
    log_write(&log, LOG_INFO, "http", "%s", filler);
    assert_int_equal(strlen(seen.line), strlen("http: ") + 8192);
}

static void levels_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        enum log_level level = LOG_LEVEL_COUNT;
        assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
        assert_int_equal(level, i);
    }
    enum log_level level = LOG_WARN;
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
    assert_false(log_level_parse(NULL, &level));
    assert_int_equal(level, LOG_WARN);
    assert_string_equal(log_level_name(LOG_LEVEL_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_one_line_per_fact),
        cmocka_unit_test(silence_is_allowed),
        cmocka_unit_test(foreign_text_stays_in_its_line),
        cmocka_unit_test(long_lines_end_in_an_ellipsis),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
