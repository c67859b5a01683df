#include "cmd/output_file.h"

#include "base/buffer.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/weir-output-XXXXXX";
static char path[64], part[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    str_print(path, sizeof(path), "%s/out", folder);
    str_print(part, sizeof(part), "%s/out.part", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(part);
    return rmdir(folder); /* which fails when a temporary file was left */
}

static void assert_file(const char *name, const char *expected)
{
    struct buffer b;
    struct weir_error err;
    buffer_init(&b, 1000);
    assert_int_equal(file_read(name, &b, &err), WEIR_OK);
    assert_int_equal(b.len, strlen(expected));
    assert_memory_equal(b.data, expected, b.len);
    buffer_finish(&b);
}

static void begin(struct output_file *f, size_t head)
{
    struct weir_error err;
    assert_int_equal(output_file_begin(f, path, head, &err), WEIR_OK);
    assert_int_equal(output_file_write(f, "one\n", 4, &err), WEIR_OK);
    assert_int_equal(output_file_write(f, "two\n", 4, &err), WEIR_OK);
}

static void test_end_and_keep(void **state)
{
    struct output_file f;
    struct weir_error err;
    struct stat s;
    (void)state;
    begin(&f, 0);
    assert_false(file_exists(path));
    assert_int_equal(output_file_end(&f, &err), WEIR_OK);
    assert_file(path, "one\ntwo\n");
    assert_int_equal(output_file_keep(&f, &err), WEIR_OK); /* nothing is open any more */
    output_file_discard(&f);
    assert_false(file_exists(part));
    assert_int_equal(chmod(path, 0640), 0);
    begin(&f, 3);
    memcpy(f.head, "ab\n", 3);
    assert_int_equal(output_file_keep(&f, &err), WEIR_OK);
    assert_file(part, "ab\none\ntwo\n");
    assert_file(path, "one\ntwo\n"); /* the old one */
    begin(&f, 0);
    assert_int_equal(output_file_end(&f, &err), WEIR_OK);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0640);
    begin(&f, 0);
    output_file_discard(&f);
    assert_file(path, "one\ntwo\n");
}

static void test_refused(void **state)
{
    struct output_file f;
    struct weir_error err;
    (void)state;
    assert_int_equal(output_file_begin(&f, "/dev/null", 0, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "/dev/null is no regular file"));
    assert_int_equal(output_file_begin(&f, folder, 0, &err), WEIR_INVALID);
    unlink(part);
    assert_int_equal(symlink("/nonexistent/y", part), 0);
    assert_int_equal(output_file_begin(&f, part, 0, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "is a link"));
    assert_int_equal(unlink(part), 0);
    assert_int_equal(output_file_begin(&f, "/nonexistent/x", 0, &err), WEIR_INTERNAL);
    assert_non_null(strstr(err.text, "/nonexistent/x"));
    assert_int_equal(f.fd, -1);
    output_file_discard(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_and_keep),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
