#include "base/file.h"

#include "base/check.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test has a folder of its own, which it must leave empty. */
static int make_folder(void **state)
{
    static char folder[64];
    snprintf(folder, sizeof(folder), "/tmp/weir-file-test-XXXXXX");
    *state = mkdtemp(folder);
    return *state != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    return rmdir(*state);
}

static size_t entries_of(const char *folder)
{
    DIR *const dir = opendir(folder);
    assert_non_null(dir);
    size_t n = 0;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return n;
}

static void joins(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"a",   "b", "a/b"},
        { "a/", "b", "a/b"},
        { "/",  "b", "/b" },
        { "",   "b", "b"  },
        { "a",  "",  "a/" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char *const path = file_join(rows[i][0], rows[i][1]);
        assert_string_equal(path, rows[i][2]);
        mem_free(path);
    }
}

static void reads_what_it_wrote(void **state)
{
    char *const path = file_join(*state, "data");
    struct weir_error err = { .code = WEIR_OK };
    static const size_t sizes[] = { 0, 1, 63, 64, 65, 4096, 65536, 65537, 300000 };
    uint8_t *const data = mem_new(300000, 1);
    for (size_t i = 0; i < 300000; i++)
        data[i] = (uint8_t)(i * 7 >> 3);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        assert_int_equal(file_write_atomic(path, data, sizes[i], &err), WEIR_OK);
        assert_int_equal(entries_of(*state), 1);
        struct buffer b;
        /* A ceiling that just fits must do. */
        buffer_init(&b, sizes[i] + 2);
        buffer_text(&b, "> ");
        assert_int_equal(file_read(path, &b, &err), WEIR_OK);
        assert_int_equal(b.len, sizes[i] + 2);
        assert_memory_equal(b.data, "> ", 2);
        assert_memory_equal(b.data + 2, data, sizes[i]);
        buffer_finish(&b);
    }
    mem_free(data);
    assert_true(file_exists(path));
    assert_false(file_is_folder(path));
    assert_true(file_is_regular(path));
    assert_false(file_is_regular("/dev/null"));
    assert_int_equal(unlink(path), 0);
    assert_false(file_exists(path));
    mem_free(path);
}

static void the_ceiling_bounds_a_read(void **state)
{
    char *const path = file_join(*state, "large");
    assert_int_equal(file_write_atomic(path, "0123456789", 10, NULL), WEIR_OK);
    for (size_t max = 3; max < 13; max++) {
        struct buffer b;
        struct weir_error err;
        buffer_init(&b, max);
        buffer_text(&b, "old");
        assert_int_equal(file_read(path, &b, &err), WEIR_INVALID);
        assert_true(str_eq(buffer_view(&b), STR("old")));
        assert_non_null(strstr(err.text, path));
        assert_int_equal(err.limit, max);
        buffer_finish(&b);
    }
    unlink(path);
    mem_free(path);
}

/* Files of /proc say that they are empty and are not. */
static void reads_files_of_unknown_size(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1024 * 1024);
    assert_int_equal(file_read("/proc/self/status", &b, NULL), WEIR_OK);
    assert_true(str_starts(buffer_view(&b), STR("Name:")));
    assert_true(b.len > 100);
    buffer_finish(&b);
}

static void names_what_it_cannot_read(void **state)
{
    struct buffer b;
    struct weir_error err;
    buffer_init(&b, 100);
    char *const path = file_join(*state, "absent");
    assert_int_equal(file_read(path, &b, &err), WEIR_INVALID);
    assert_int_equal(err.os_errno, ENOENT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(file_read(*state, &b, &err), WEIR_INVALID);
    assert_int_equal(err.os_errno, EISDIR);
    assert_int_equal(b.len, 0);
    struct file_map map = { .data = NULL };
    assert_int_equal(file_map_open(path, &map, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(file_map_open(*state, &map, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_null(map.data);
    assert_true(file_is_folder(*state));
    mem_free(path);
    buffer_finish(&b);
}

/* A pipe that nobody writes to, where a file should be: an open that waits would wait for ever. */
static void never_waits_for_a_pipe(void **state)
{
    char *const path = file_join(*state, "pipe");
    struct weir_error err;
    struct buffer b;
    struct file_map map = { .data = NULL };
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20);
    assert_int_equal(file_map_open(path, &map, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "not a regular file"));
    buffer_init(&b, 100);
    assert_int_equal(file_read(path, &b, &err), WEIR_OK);
    assert_int_equal(b.len, 0);
    alarm(0);
    buffer_finish(&b);
    unlink(path);
    mem_free(path);
}

static void a_failed_write_leaves_nothing(void **state)
{
    struct weir_error err;
    char *const path = file_join(*state, "taken");
    assert_int_equal(mkdir(path, 0700), 0);
    /* A file cannot replace a folder: the write succeeds and the rename fails. */
    assert_int_equal(file_write_atomic(path, "x", 1, &err), WEIR_INTERNAL);
    assert_int_equal(err.os_errno, EISDIR);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(entries_of(*state), 1);
    char *const below = file_join(path, "no/such/folder");
    assert_int_equal(file_write_atomic(below, "x", 1, &err), WEIR_INTERNAL);
    assert_int_equal(err.os_errno, ENOENT);
    mem_free(below);
    rmdir(path);
    mem_free(path);
}

static void replacing_keeps_the_mode_and_makes_a_new_file(void **state)
{
    char *const path = file_join(*state, "secret");
    struct stat before, after;
    assert_int_equal(file_write_atomic(path, "old", 3, NULL), WEIR_OK);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(file_write_atomic(path, "new", 3, NULL), WEIR_OK);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_mode & 07777, 0600);
    assert_int_not_equal(before.st_ino, after.st_ino);
    unlink(path);
    mem_free(path);
}

static void maps(void **state)
{
    char *const path = file_join(*state, "mapped");
    struct weir_error err = { .code = WEIR_OK };
    struct file_map map = { .data = NULL };
    assert_int_equal(file_write_atomic(path, "", 0, NULL), WEIR_OK);
    assert_int_equal(file_map_open(path, &map, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "empty"));
    assert_int_equal(file_write_atomic(path, "content", 7, NULL), WEIR_OK);
    assert_int_equal(file_map_open(path, &map, &err), WEIR_OK);
    assert_int_equal(map.size, 7);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(map.inode == info.st_ino);
    assert_true(map.mtime_ns / 1000000000 == info.st_mtim.tv_sec);
    /* The mapping outlives its name and is not touched by a replacement. */
    assert_int_equal(file_write_atomic(path, "another", 7, NULL), WEIR_OK);
    unlink(path);
    assert_memory_equal(map.data, "content", 7);
    file_unmap(&map);
    assert_null(map.data);
    file_unmap(&map);
    file_unmap(NULL);
    mem_free(path);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

static void makes_folders(void **state)
{
    const char *folder = *state;
    char *const one = file_join(folder, "one"), *const two = file_join(one, "two");
    char *const file = file_join(folder, "file"), *const below = file_join(file, "below");
    assert_true(file_make_folders(two));
    assert_true(file_make_folders(two)); /* there already */
    assert_true(file_is_folder(two));
    assert_int_equal(file_write_atomic(file, "x", 1, NULL), WEIR_OK);
    assert_false(file_make_folders(below));
    assert_int_equal(errno, ENOTDIR);
    assert_false(file_make_folders(file));
    assert_int_equal(errno, EEXIST);
    assert_false(file_make_folders(""));
    assert_false(file_make_folders("/sys/none/below"));
    assert_int_not_equal(errno, ENOENT); /* but why there is no /sys/none */
    assert_int_equal(unlink(file) | rmdir(two) | rmdir(one), 0);
    mem_free(one);
    mem_free(two);
    mem_free(file);
    mem_free(below);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins),
        IN_FOLDER(reads_what_it_wrote),
        IN_FOLDER(the_ceiling_bounds_a_read),
        cmocka_unit_test(reads_files_of_unknown_size),
        IN_FOLDER(names_what_it_cannot_read),
        IN_FOLDER(never_waits_for_a_pipe),
        IN_FOLDER(a_failed_write_leaves_nothing),
        IN_FOLDER(replacing_keeps_the_mode_and_makes_a_new_file),
        IN_FOLDER(maps),
        IN_FOLDER(makes_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
