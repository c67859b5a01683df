/* Below libexecdir a program is found by tests/install, which has a tree to move. */
#include "base/worker_path.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OWN "test-base-worker_path" /* beside the executable there is the executable */

static void found(const char *folder, const char *path)
{
    struct weir_error err;
    char *got = worker_path(folder, OWN, &err);
    assert_non_null(got);
    assert_string_equal(got, path);
    mem_free(got);
}

static void missing(const char *folder, const char *file, const char *named)
{
    struct weir_error err;
    assert_null(worker_path(folder, file, &err));
    assert_int_equal(err.code, WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, file));
    assert_non_null(strstr(err.text, named));
}

static void beside_the_executable(void **state)
{
    (void)state;
    found(NULL, WEIR_BIN "/" OWN);
    found("", WEIR_BIN "/" OWN);
    missing(NULL, "no-such-program", WEIR_BIN);
}

static void a_named_folder_is_the_only_one(void **state)
{
    (void)state;
    found(WEIR_BIN, WEIR_BIN "/" OWN);
    missing("/nowhere", OWN, "'/nowhere'");
    setenv("WEIR_WORKER", "/elsewhere", 1);
    missing(NULL, OWN, "'/elsewhere'");
    found(WEIR_BIN, WEIR_BIN "/" OWN); /* an option is stronger than the environment */
    setenv("WEIR_WORKER", WEIR_BIN, 1);
    found(NULL, WEIR_BIN "/" OWN);
    missing(NULL, ".", WEIR_BIN); /* a folder is no program */
    unsetenv("WEIR_WORKER");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beside_the_executable),
        cmocka_unit_test(a_named_folder_is_the_only_one),
    };
    unsetenv("WEIR_WORKER");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
