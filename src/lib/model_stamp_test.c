#include "lib/model_stamp.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LATER INT64_C(4000000000000) /* of the year 2096: all changes are settled */

static char folder[64];

static char *below(const char *name)
{
    static char path[2][256];
    static int which;
    which ^= 1;
    snprintf(path[which], sizeof(path[0]), "%s/%s", folder, name);
    return path[which];
}

static void put(const char *name, const char *text)
{
    assert_int_equal(file_write_cache(below(name), text, strlen(text), NULL), WEIR_OK);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weir-stamp-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    put("config.json", "{}");
    return mkdir(below("1_Pooling"), 0700);
}

static int remove_folder(void **state)
{
    char order[128];
    (void)state;
    snprintf(order, sizeof(order), "rm -r %s", folder);
    return system(order);
}

/* Each step makes another stamp, and it stays until the next. */
static void every_change_is_another_stamp(void **state)
{
    uint64_t stamps[9];
    size_t count = 0;
    (void)state;
    stamps[count++] = model_stamp(folder, LATER);
    put("1_Pooling/config.json", "{}"); /* what was missing has come */
    stamps[count++] = model_stamp(folder, LATER);
    put("config.json", "[]"); /* of the same size, in its place */
    stamps[count++] = model_stamp(folder, LATER);
    assert_int_equal(rename(below("config.json"), below("other.json")), 0);
    stamps[count++] = model_stamp(folder, LATER);
    assert_int_equal(symlink("blob", below("link")), 0); /* to nothing */
    stamps[count++] = model_stamp(folder, LATER);
    put("blob", "x"); /* and to something */
    stamps[count++] = model_stamp(folder, LATER);
    assert_int_equal(chmod(below("blob"), 0600), 0);
    stamps[count++] = model_stamp(folder, LATER);
    put(".hidden", "x");
    stamps[count++] = model_stamp(folder, LATER);
    assert_int_equal(unlink(below("other.json")), 0);
    stamps[count++] = model_stamp(folder, LATER);
    for (size_t i = 0; i < count; i++) {
        assert_true(stamps[i] != 0);
        for (size_t k = 0; k < i; k++)
            assert_true(stamps[i] != stamps[k]);
    }
    assert_true(model_stamp(folder, LATER) == stamps[count - 1]);
}

/* A change of the same size within one tick of the file system's clock would not show. */
static void a_fresh_change_is_no_stamp(void **state)
{
    struct stat info;
    (void)state;
    assert_int_equal(stat(below("1_Pooling"), &info), 0);
    const int64_t changed_ms =
        (int64_t)info.st_ctim.tv_sec * 1000 + info.st_ctim.tv_nsec / 1000000 + 1;
    assert_true(model_stamp(folder, changed_ms) == 0);
    assert_true(model_stamp(folder, changed_ms + MODEL_STAMP_SETTLED_MS - 2) == 0);
    assert_true(model_stamp(folder, changed_ms + MODEL_STAMP_SETTLED_MS + 1000) != 0);
    assert_true(model_stamp(folder, 0) == 0); /* a clock that was set back */
}

static void what_cannot_be_seen_whole_has_no_stamp(void **state)
{
    char name[64];
    (void)state;
    assert_true(model_stamp(below("none"), LATER) == 0);
    assert_int_equal(symlink("nothing", below("dangling")), 0);
    assert_true(model_stamp(below("dangling"), LATER) == 0);
    assert_true(model_stamp(folder, LATER) != 0);
    assert_int_equal(symlink(".", below("loop")), 0);
    assert_true(model_stamp(folder, LATER) == 0);
    assert_int_equal(unlink(below("loop")), 0);
    for (int i = 0; i < MODEL_STAMP_FILES_MAX - 4; i++) {
        snprintf(name, sizeof(name), "1_Pooling/%d", i);
        assert_int_equal(symlink("x", below(name)), 0);
    }
    /* With itself, config.json, 1_Pooling and the link there are as many as may be. */
    assert_true(model_stamp(folder, LATER) != 0);
    assert_int_equal(symlink("x", below("one more")), 0);
    assert_true(model_stamp(folder, LATER) == 0);
}

static void a_file_has_a_stamp(void **state)
{
    (void)state;
    const uint64_t before = model_stamp(below("config.json"), LATER);
    assert_true(before != 0);
    put("config.json", "{ }");
    assert_true(model_stamp(below("config.json"), LATER) != before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_change_is_another_stamp),
        TEST(a_fresh_change_is_no_stamp),
        TEST(what_cannot_be_seen_whole_has_no_stamp),
        TEST(a_file_has_a_stamp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
