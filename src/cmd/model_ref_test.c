#include "cmd/model_ref.h"

#include "base/mem.h"
#include "cmd/folders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_paths(void **state)
{
    static const char *const paths[] = { "/a", "./a", "../a", "~", "~/a", "fake:text_embedding",
                                         ".",  ".." };
    static const char *const names[] = { "a", "a/b", "a.b", "...", ".a", "fake", "a:b", "-" };
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_true(model_ref_is_path(paths[i]));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_false(model_ref_is_path(names[i]));
}

static void test_names(void **state)
{
    static const char *const good[] = { "a", "org/model-1.5_x:latest", "a@main", "a@1.0-b_c" };
    static const char *const bad[] = { "",      "a b",      "a@", "@a", "a@b@c",
                                       "a@b/c", "\xc3\xa4", "a?", "a=b" };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(model_ref_is_name(str_of(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(model_ref_is_name(str_of(bad[i])));
    assert_false(model_ref_is_name((struct str){ "a\0b", 3 }));
    char longest[201];
    memset(longest, 'a', sizeof(longest));
    assert_true(model_ref_is_name((struct str){ longest, 200 }));
    assert_false(model_ref_is_name((struct str){ longest, 201 }));
}

static void test_expand(void **state)
{
    static const struct {
        const char *path, *expanded;
    } cases[] = {
        {"~/m",           "/home/x/m"   },
        { "/~/m",         "/~/m"        },
        { "~user/m",      "~user/m"     },
        { "./~",          "./~"         },
        { "fake:a?b=~/c", "fake:a?b=~/c"},
    };
    (void)state;
    setenv("HOME", "/home/x", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *const path = model_ref_expand(cases[i].path);
        assert_string_equal(path, cases[i].expanded);
        mem_free(path);
    }
}

/* WEIR_MODELS, then XDG_DATA_HOME, then HOME; an empty variable is one that is not set. */
static void test_find(void **state)
{
    struct weir_error err;
    char *path;
    (void)state;
    setenv("HF_HOME", "/hf", 1);
    setenv("WEIR_MODELS", WEIR_FIXTURES "/..", 1);
    assert_int_equal(model_ref_find("fixtures", &path, &err), WEIR_OK);
    assert_string_equal(path, WEIR_FIXTURES "/../fixtures");
    mem_free(path);
    assert_int_equal(model_ref_find("no-such-model", &path, &err), WEIR_NO_SUCH_MODEL);
    assert_non_null(strstr(err.text, "no-such-model"));
    setenv("WEIR_MODELS", "", 1);
    setenv("XDG_DATA_HOME", "/xdg", 1);
    assert_int_equal(model_ref_find("m", &path, &err), WEIR_NO_SUCH_MODEL);
    assert_non_null(strstr(err.text, "/xdg/weir/models"));
    unsetenv("XDG_DATA_HOME");
    setenv("HOME", "/home/x", 1);
    assert_int_equal(model_ref_find("m", &path, &err), WEIR_NO_SUCH_MODEL);
    assert_non_null(strstr(err.text, "/home/x/.local/share/weir/models"));
    assert_non_null(strstr(err.text, "/hf/hub"));
    unsetenv("HOME");
    unsetenv("HF_HOME");
    assert_int_equal(model_ref_find("m", &path, &err), WEIR_NO_SUCH_MODEL);
    assert_int_equal(model_ref_find("a b", &path, &err), WEIR_INVALID);
}

static void expect_folder(char *folder, const char *expected)
{
    assert_string_equal(folder, expected);
    mem_free(folder);
}

/* As the tools of Hugging Face look for their cache; they expand "~" too. */
static void test_hub(void **state)
{
    (void)state;
    setenv("HOME", "/home/x", 1);
    unsetenv("XDG_CACHE_HOME");
    expect_folder(folders_hub(), "/home/x/.cache/huggingface/hub");
    setenv("XDG_CACHE_HOME", "/xdg", 1);
    expect_folder(folders_hub(), "/xdg/huggingface/hub");
    setenv("HF_HOME", "~/hf", 1);
    expect_folder(folders_hub(), "/home/x/hf/hub");
    setenv("HUGGINGFACE_HUB_CACHE", "/old", 1);
    expect_folder(folders_hub(), "/old");
    setenv("HF_HUB_CACHE", "/new", 1);
    expect_folder(folders_hub(), "/new");
    setenv("HF_HUB_CACHE", "", 1);
    expect_folder(folders_hub(), "/old");
    unsetenv("HUGGINGFACE_HUB_CACHE");
    unsetenv("HF_HOME");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    assert_null(folders_hub());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths), cmocka_unit_test(test_names), cmocka_unit_test(test_expand),
        cmocka_unit_test(test_find),  cmocka_unit_test(test_hub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
