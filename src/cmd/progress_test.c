#include "cmd/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_line(size_t total, size_t done, double share, int64_t elapsed_ms,
                        const char *expected)
{
    const struct progress p = { .shown = true, .total = total };
    char line[PROGRESS_ROOM];
    progress_line(&p, done, share, elapsed_ms, line);
    assert_string_equal(line, expected);
}

static void test_lines(void **state)
{
    (void)state;
    assert_line(0, 0, -1, 0, "0 texts, 0 a second");
    assert_line(0, 512, -1, 2000, "512 texts, 256 a second");
    assert_line(0, 512, 0.5, 2000, "[############------------]  50 %  512 texts, 256 a second");
    assert_line(0, 7, 1.5, 1000, "[########################] 100 %  7 texts, 7 a second");
    assert_line(1024, 256, -1, 1000,
                "[######------------------]  25 %  256 of 1024 texts, 256 a second");
}

/* The tests' stderr is no terminal. */
static void test_nothing_is_shown_elsewhere(void **state)
{
    struct progress p;
    (void)state;
    progress_begin(&p, 10, false);
    assert_false(p.shown);
    progress_show(&p, 5, -1);
    assert_int_equal(p.last_ms, 0);
    progress_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_nothing_is_shown_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
