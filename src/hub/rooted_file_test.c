#include "hub/rooted_file.h"

#include "base/check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/*   base/secret
 *   base/root/a.png   base/root/deep/b.png   base/root/pipe
 *   base/root/out -> base/secret   base/root/up -> base   base/root2/c.png */
static char base[64];

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *out = path[turn++ % ARRAY_COUNT(path)];
    snprintf(out, 256, "%s/%s", base, name);
    return out;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static int build(void **state)
{
    (void)state;
    snprintf(base, sizeof(base), "/tmp/weir-rooted-test-XXXXXX");
    CHECK(mkdtemp(base) != NULL && mkdir(at("root"), 0700) == 0 &&
          mkdir(at("root/deep"), 0700) == 0 && mkdir(at("root2"), 0700) == 0);
    put("secret", "secret");
    put("root/a.png", "a");
    put("root/deep/b.png", "bb");
    put("root2/c.png", "ccc");
    CHECK(mkfifo(at("root/pipe"), 0600) == 0);
    CHECK(symlink(at("secret"), at("root/out")) == 0 && symlink(base, at("root/up")) == 0);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = { "secret",   "root/a.png", "root/deep/b.png", "root/pipe",
                                         "root/out", "root/up",    "root2/c.png" };
    static const char *const folders[] = { "root/deep", "root", "root2", "." };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++)
        unlink(at(files[i]));
    for (size_t i = 0; i + 1 < ARRAY_COUNT(folders); i++)
        rmdir(at(folders[i]));
    return rmdir(base);
}

static struct rooted_roots *open_root(const char *folder)
{
    struct rooted_roots *roots = NULL;
    struct weir_error err;
    assert_int_equal(rooted_open(&folder, 1, &roots, &err), WEIR_OK);
    return roots;
}

static void assert_reads(const struct rooted_roots *roots, const char *path, enum weir_code code,
                         const char *says)
{
    struct buffer b;
    struct weir_error err = { .code = WEIR_OK };
    buffer_init(&b, 8);
    if (rooted_read(roots, path, &b, &err) != code)
        fail_msg("%s: code %d, %s", path, err.code, err.text);
    if (code == WEIR_OK)
        assert_true(str_eq(buffer_view(&b), str_of(says)));
    else if (b.len > 0 || strstr(err.text, says) == NULL)
        fail_msg("%s: %s", path, err.text);
    buffer_finish(&b);
}

static void files_under_the_root_are_read(void **state)
{
    struct rooted_roots *roots = open_root(at("root/"));
    (void)state;
    assert_reads(roots, at("root/a.png"), WEIR_OK, "a");
    assert_reads(roots, at("root/deep/b.png"), WEIR_OK, "bb");
    assert_reads(roots, at("root//deep/./b.png"), WEIR_OK, "bb");
    rooted_close(roots);
}

static void nothing_else_is(void **state)
{
    struct rooted_roots *roots = open_root(at("root"));
    (void)state;
    assert_reads(roots, at("secret"), WEIR_FORBIDDEN, "--image-root");
    assert_reads(roots, at("root2/c.png"), WEIR_FORBIDDEN, "--image-root");
    assert_reads(roots, at("root/../secret"), WEIR_FORBIDDEN, "--image-root");
    assert_reads(roots, at("root/deep/../a.png"), WEIR_FORBIDDEN, "--image-root");
    assert_reads(roots, "root/a.png", WEIR_FORBIDDEN, "--image-root");
    assert_reads(roots, "", WEIR_FORBIDDEN, "--image-root");
    assert_reads(roots, at("root/out"), WEIR_FORBIDDEN, "symbolic");
    assert_reads(roots, at("root/up/secret"), WEIR_FORBIDDEN, "symbolic");
    assert_reads(roots, at("root/a.png/x"), WEIR_FORBIDDEN, "no folder");
    assert_reads(roots, at("root/none.png"), WEIR_INVALID, "No such file");
    assert_reads(roots, at("root/deep"), WEIR_INVALID, "no regular file");
    assert_reads(roots, at("root/pipe"), WEIR_INVALID, "no regular file");
    rooted_close(roots);
}

static void size_is_bounded(void **state)
{
    struct rooted_roots *roots = open_root(at("root"));
    (void)state;
    put("root/a.png", "123456789");
    assert_reads(roots, at("root/a.png"), WEIR_INVALID, "the limit is 8 B");
    put("root/a.png", "12345678");
    assert_reads(roots, at("root/a.png"), WEIR_OK, "12345678");
    put("root/a.png", "");
    assert_reads(roots, at("root/a.png"), WEIR_OK, "");
    rooted_close(roots);
}

static void without_a_root_nothing_is_read(void **state)
{
    struct rooted_roots *roots = NULL;
    struct weir_error err;
    (void)state;
    assert_int_equal(rooted_open(NULL, 0, &roots, &err), WEIR_OK);
    assert_reads(roots, at("root/a.png"), WEIR_FORBIDDEN, "--image-root");
    rooted_close(roots);
}

static void wrong_roots_are_named(void **state)
{
    const char *const wrong[] = { "relative", "", at("none"), at("secret") };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct rooted_roots *roots = NULL;
        struct weir_error err;
        assert_int_equal(rooted_open(&wrong[i], 1, &roots, &err), WEIR_INVALID);
        assert_non_null(strstr(err.text, wrong[i]));
        assert_null(roots);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_under_the_root_are_read),
        cmocka_unit_test(nothing_else_is),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(without_a_root_nothing_is_read),
        cmocka_unit_test(wrong_roots_are_named),
    };
    return cmocka_run_group_tests(tests, build, tear_down);
}
