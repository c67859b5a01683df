#include "cmd/npy.h"

#include "base/buffer.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/weir-npy-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    str_print(path, sizeof(path), "%s/out.npy", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* which fails when a temporary file was left */
}

/* What NumPy's format description says of version 1.0: magic, version, length, header, data. */
static void check_file(const char *shape, const float *numbers, size_t count)
{
    struct buffer b;
    struct weir_error err;
    char header[128];
    buffer_init(&b, 1 << 20);
    assert_int_equal(file_read(path, &b, &err), WEIR_OK);
    assert_memory_equal(b.data, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_int_equal(b.len, 128 + count * sizeof(float));
    assert_int_equal(b.data[127], '\n');
    memcpy(header, b.data + 10, 117);
    header[117] = '\0';
    assert_non_null(strstr(header, "'descr': '<f4'"));
    assert_non_null(strstr(header, "'fortran_order': False"));
    assert_non_null(strstr(header, shape));
    for (size_t i = 0; i < count; i++) {
        const uint8_t *const at = b.data + 128 + 4 * i;
        const uint32_t bits =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        float number;
        memcpy(&number, &bits, sizeof(number));
        assert_true(number == numbers[i]);
    }
    buffer_finish(&b);
}

static void test_rows(void **state)
{
    static const float numbers[] = { 0.5f, -1, 3e-30f, 4, 5, 6 };
    struct weir_error err;
    struct npy n;
    (void)state;
    assert_int_equal(npy_begin(&n, path, &err), WEIR_OK);
    assert_int_equal(npy_rows(&n, numbers, 2, 2, &err), WEIR_OK);
    assert_false(file_exists(path)); /* only a complete file has the name */
    assert_int_equal(npy_rows(&n, numbers + 4, 1, 2, &err), WEIR_OK);
    assert_int_equal(output_file_end(&n.file, &err), WEIR_OK);
    check_file("'shape': (3, 2)", numbers, 6);
}

static void test_many_rows(void **state)
{
    enum { ROWS = 700, DIM = 9 };
    static float numbers[ROWS * DIM];
    struct weir_error err;
    struct npy n;
    (void)state;
    for (size_t i = 0; i < ROWS * DIM; i++)
        numbers[i] = (float)i / 7;
    assert_int_equal(npy_begin(&n, path, &err), WEIR_OK);
    assert_int_equal(npy_rows(&n, numbers, ROWS, DIM, &err), WEIR_OK);
    assert_int_equal(output_file_end(&n.file, &err), WEIR_OK);
    check_file("'shape': (700, 9)", numbers, ROWS * DIM);
}

static void test_no_rows(void **state)
{
    struct weir_error err;
    struct npy n;
    (void)state;
    assert_int_equal(npy_begin(&n, path, &err), WEIR_OK);
    assert_int_equal(output_file_end(&n.file, &err), WEIR_OK);
    check_file("'shape': (0, 0)", NULL, 0);
}

/* A run that fails leaves the old file as it was, and nothing beside it. */
static void test_discard(void **state)
{
    static const float number = 7;
    struct weir_error err;
    struct npy n;
    (void)state;
    assert_int_equal(npy_begin(&n, path, &err), WEIR_OK);
    assert_int_equal(npy_rows(&n, &number, 1, 1, &err), WEIR_OK);
    assert_int_equal(output_file_end(&n.file, &err), WEIR_OK);
    assert_int_equal(npy_begin(&n, path, &err), WEIR_OK);
    assert_int_equal(npy_rows(&n, &number, 1, 1, &err), WEIR_OK);
    assert_int_equal(npy_rows(&n, &number, 1, 2, &err), WEIR_INTERNAL);
    output_file_discard(&n.file);
    check_file("'shape': (1, 1)", &number, 1);
}

static void test_no_folder(void **state)
{
    struct weir_error err;
    struct npy n;
    (void)state;
    assert_true(npy_begin(&n, "/nonexistent/folder/x.npy", &err) != WEIR_OK);
    assert_non_null(strstr(err.text, "/nonexistent/folder/x.npy"));
    assert_int_equal(n.file.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_no_rows),   cmocka_unit_test(test_discard),
        cmocka_unit_test(test_no_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
