#include "hub/hf_cache.h"

#include "base/file.h"
#include "base/mem.h"

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

static char cache[64];
static char listed[512]; /* "name=path " of each model, below the cache */

static int make_cache(void **state)
{
    (void)state;
    snprintf(cache, sizeof(cache), "/tmp/weir-hf-cache-XXXXXX");
    listed[0] = '\0';
    return mkdtemp(cache) == NULL ? -1 : 0;
}

static int remove_cache(void **state)
{
    char order[128];
    (void)state;
    snprintf(order, sizeof(order), "rm -r %s", cache);
    return system(order);
}

/* A file below the cache, with the folders that lead to it. */
static void put(const char *below, const char *text)
{
    char path[512], folder[512];
    snprintf(path, sizeof(path), "%s/%s", cache, below);
    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    assert_true(file_make_folders(folder));
    assert_int_equal(file_write_cache(path, text, strlen(text), NULL), WEIR_OK);
}

static void put_link(const char *below, const char *target)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", cache, below);
    put(below, "");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
}

static bool tell(void *context, struct str name, const char *path)
{
    size_t *const most = context;
    const size_t used = strlen(listed);
    assert_memory_equal(path, cache, strlen(cache));
    snprintf(listed + used, sizeof(listed) - used, "%.*s=%s ", STR_ARG(name),
             path + strlen(cache) + 1);
    return --*most > 0;
}

static void list(size_t most)
{
    struct weir_error err;
    assert_int_equal(hf_cache_list(cache, tell, &most, &err), WEIR_OK);
}

static void what_was_fetched_as_main_is_a_model(void **state)
{
    (void)state;
    put("models--own--er/refs/main", "abc\n");
    put("models--own--er/snapshots/abc/config.json", "{}");
    put("models--own--er/snapshots/old/config.json", "{}");
    list(9);
    assert_string_equal(listed, "own/er=models--own--er/snapshots/abc ");
}

static void a_name_may_have_no_owner_and_a_model_no_config(void **state)
{
    (void)state;
    put("models--gpt-2/refs/main", "1");
    put("models--gpt-2/snapshots/1/modules.json", "[]");
    list(9);
    assert_string_equal(listed, "gpt-2=models--gpt-2/snapshots/1 ");
}

static void a_link_to_what_is_still_missing_counts(void **state)
{
    (void)state;
    put("models--a--b/refs/main", "1");
    put_link("models--a--b/snapshots/1/config.json", "../../blobs/none");
    list(9);
    assert_string_equal(listed, "a/b=models--a--b/snapshots/1 ");
}

static void what_is_no_model_is_passed_over(void **state)
{
    static const char *const others[] = {
        "datasets--a--b",  "spaces--a--b", "models--", "models--a--",      "models----b",
        "models--a--b--c", "model--a--b",  ".locks",   "models--a---b--c",
    };
    char below[128];
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        snprintf(below, sizeof(below), "%s/refs/main", others[i]);
        put(below, "1");
        snprintf(below, sizeof(below), "%s/snapshots/1/config.json", others[i]);
        put(below, "{}");
    }
    put("models--a--nothing/refs/main", "1");
    put("models--a--gguf/refs/main", "1");
    put("models--a--gguf/snapshots/1/model.gguf", "GGUF");
    put("models--a--no-main/snapshots/1/config.json", "{}");
    put("models--a--gone/refs/main", "2");
    put("models--a--gone/snapshots/1/config.json", "{}");
    put("models--file", "");
    list(9);
    assert_string_equal(listed, "");
}

/* A file of refs is foreign text: it names a snapshot beside it, or nothing. */
static void a_ref_leads_nowhere_else(void **state)
{
    static const char *const refs[] = { "",     "..",   ".",   "../../b/snapshots/1",
                                        "/etc", "1/..", "a b", "1\n2" };
    char long_ref[300];
    (void)state;
    put("models--a--b/snapshots/1/config.json", "{}");
    put("models--a--b/config.json", "{}");
    memset(long_ref, 'a', sizeof(long_ref));
    long_ref[sizeof(long_ref) - 1] = '\0';
    for (size_t i = 0; i <= sizeof(refs) / sizeof(refs[0]); i++) {
        put("models--a--b/refs/main", i < sizeof(refs) / sizeof(refs[0]) ? refs[i] : long_ref);
        list(9);
        assert_string_equal(listed, "");
    }
}

static void assert_found(const char *name, const char *revision, const char *snapshot)
{
    char *const path = hf_cache_find(cache, str_of(name), str_of(revision));
    if (snapshot == NULL)
        assert_null(path);
    else
        assert_string_equal(path + strlen(cache) + 1, snapshot);
    mem_free(path);
}

static void a_name_leads_to_one_snapshot(void **state)
{
    (void)state;
    put("models--a--b/refs/main", "new");
    put("models--a--b/refs/v1.0", "old");
    put("models--a--b/snapshots/new/config.json", "{}");
    put("models--a--b/snapshots/old/config.json", "{}");
    assert_found("a/b", "main", "models--a--b/snapshots/new");
    assert_found("a/b", "v1.0", "models--a--b/snapshots/old");
    assert_found("a/b", "old", "models--a--b/snapshots/old");
    assert_found("a/b", "none", NULL);
    assert_found("a/b", "..", NULL);
    assert_found("a/b", ".", NULL);
    assert_found("a/b", "", NULL);
    assert_found("a--b", "main", NULL); /* a folder has one name */
    assert_found("a", "main", NULL);
    assert_found("a/b/c", "main", NULL);
    assert_found("/b", "main", NULL);
    assert_found("a/", "main", NULL);
    assert_found("", "main", NULL);
}

static void the_list_ends_when_it_is_told_to(void **state)
{
    (void)state;
    put("models--a/refs/main", "1");
    put("models--a/snapshots/1/config.json", "{}");
    put("models--b/refs/main", "1");
    put("models--b/snapshots/1/config.json", "{}");
    list(1);
    assert_int_equal(strlen(listed), strlen("a=models--a/snapshots/1 "));
}

static void a_cache_that_is_not_there_has_none(void **state)
{
    struct weir_error err;
    size_t most = 9;
    (void)state;
    put("file", "x");
    assert_int_equal(hf_cache_list("/nonexistent/hub", tell, &most, &err), WEIR_OK);
    char *const file = file_join(cache, "file");
    assert_int_equal(hf_cache_list(file, tell, &most, &err), WEIR_OK);
    mem_free(file);
    assert_string_equal(listed, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_cache, remove_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_fetched_as_main_is_a_model),
        TEST(a_name_may_have_no_owner_and_a_model_no_config),
        TEST(a_link_to_what_is_still_missing_counts),
        TEST(what_is_no_model_is_passed_over),
        TEST(a_ref_leads_nowhere_else),
        TEST(a_name_leads_to_one_snapshot),
        TEST(the_list_ends_when_it_is_told_to),
        TEST(a_cache_that_is_not_there_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
