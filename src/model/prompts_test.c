#include "model/prompts.h"

#include "model/test_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define FILE_NAME "config_sentence_transformers.json"

static enum weir_code read_text(const char *text, struct prompts *out, struct weir_error *err)
{
    struct test_folder t;
    struct folder f;
    test_folder_init(&t);
    if (text)
        test_folder_write(&t, FILE_NAME, text, strlen(text));
    folder_init(&f, t.path);
    enum weir_code code = prompts_read(&f, out, err);
    folder_finish(&f);
    test_folder_unlink(&t, FILE_NAME);
    test_folder_finish(&t);
    return code;
}

static void assert_text(const struct prompts *p, struct str name, const char *text)
{
    struct str found;
    assert_int_equal(prompts_find(p, name, &found, NULL), WEIR_OK);
    assert_true(str_eq(found, str_of(text)));
}

static void test_no_file_and_no_prompts(void **state)
{
    static const char *const texts[] = { NULL, "{}", "{\"prompts\": null}", "{\"prompts\": {}}",
                                         "{\"prompts\": {\"query\": null}}" };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct prompts p;
        assert_int_equal(read_text(texts[i], &p, NULL), WEIR_OK);
        assert_text(&p, STR(""), "");
        assert_text(&p, STR("query"), "");
        assert_text(&p, STR("document"), "");
        prompts_finish(&p);
        prompts_finish(&p);
    }
}

static void test_names_and_the_default(void **state)
{
    struct prompts p;
    struct weir_error err;
    struct str text = STR("untouched");
    (void)state;
    assert_int_equal(read_text("{\"model_type\": \"SentenceTransformer\", \"truncate_dim\": null,"
                               "\"prompts\": {\"query\": \"query: \", \"s2p\": \"Find: \"},"
                               "\"default_prompt_name\": \"s2p\"}",
                               &p, NULL),
                     WEIR_OK);
    assert_text(&p, STR("query"), "query: ");
    assert_text(&p, STR("s2p"), "Find: ");
    assert_text(&p, STR(""), "Find: ");
    assert_text(&p, STR("document"), "");
    assert_int_equal(prompts_find(&p, STR("passage"), &text, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "'passage', the model knows query, s2p, document"));
    assert_true(str_eq(text, STR("untouched")));
    prompts_finish(&p);
}

static void test_what_is_refused_is_named(void **state)
{
    static const struct {
        const char *text, *named;
    } rows[] = {
        {"[",                                                             "JSON"               },
        { "[]",                                                           "object"             },
        { "{\"prompts\": []}",                                            "prompts"            },
        { "{\"prompts\": {\"query\": 1}}",                                "prompts.query"      },
        { "{\"default_prompt_name\": 1}",                                 "default_prompt_name"},
        { "{\"default_prompt_name\": \"x\"}",                             "'x'"                },
        { "{\"model_type\": \"CrossEncoder\"}",                           "'CrossEncoder'"     },
        { "{\"truncate_dim\": 16}",                                       "truncate_dim"       },
        { "{\"prompts\": {\"a\": \"\"}, \"default_prompt_name\": \"b\"}", "'b'"                },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct prompts p;
        struct weir_error err;
        assert_int_equal(read_text(rows[i].text, &p, &err), WEIR_LOAD_FAILED);
        if (strstr(err.text, rows[i].named) == NULL || strstr(err.text, FILE_NAME) == NULL)
            fail_msg("'%s' does not name '%s' and the file", err.text, rows[i].named);
        assert_int_equal(read_text(rows[i].text, &p, NULL), WEIR_LOAD_FAILED);
    }
}

/* `count` prompts, one of them with a text of so many bytes. */
static enum weir_code read_many(size_t count, size_t bytes, struct prompts *out,
                                struct weir_error *err)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    buffer_text(&b, "{\"prompts\": {\"long\": \"");
    for (size_t i = 0; i < bytes; i++)
        buffer_u8(&b, 'x');
    buffer_text(&b, "\"");
    for (size_t i = 1; i < count; i++)
        buffer_printf(&b, ", \"p%zu\": \"\"", i);
    buffer_text(&b, "}}");
    buffer_u8(&b, 0);
    CHECK(!b.failed);
    enum weir_code code = read_text((const char *)b.data, out, err);
    buffer_finish(&b);
    return code;
}

static void test_limits(void **state)
{
    struct prompts p;
    struct weir_error err;
    struct str text;
    (void)state;
    assert_int_equal(read_many(PROMPTS_MAX, PROMPT_BYTES_MAX, &p, NULL), WEIR_OK);
    assert_int_equal(prompts_find(&p, STR("long"), &text, NULL), WEIR_OK);
    assert_int_equal(text.len, PROMPT_BYTES_MAX);
    /* More names than an error has room for. */
    assert_int_equal(prompts_find(&p, STR("absent"), &text, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "long, p1, p2"));
    prompts_finish(&p);
    assert_int_equal(read_many(PROMPTS_MAX + 1, 1, &p, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "more than 64 prompts"));
    assert_int_equal(read_many(1, PROMPT_BYTES_MAX + 1, &p, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "16385 bytes, the limit is 16384"));
}

static void test_names_for_people(void **state)
{
    static const char text[] = "{\"prompts\": {\"none\": \"\", \"a\": \"A: \", \"b\\nc\": \"x\","
                               "\"second\": \"2: \"}, \"default_prompt_name\": \"second\"}";
    struct prompts p;
    char names[24];
    (void)state;
    assert_int_equal(read_text(text, &p, NULL), WEIR_OK);
    assert_int_equal(prompts_names(&p, names, sizeof(names)), 2);
    assert_string_equal(names, "a\nsecond\n");
    /* Room for "a", its line end and the mark of more, but not for "second". */
    assert_int_equal(prompts_names(&p, names, 12), 0);
    assert_string_equal(names, "a\n…\n");
    prompts_finish(&p);
    assert_int_equal(read_text("{}", &p, NULL), WEIR_OK);
    assert_int_equal(prompts_names(&p, names, sizeof(names)), 0);
    assert_string_equal(names, "");
    prompts_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_file_and_no_prompts),
        cmocka_unit_test(test_names_and_the_default),
        cmocka_unit_test(test_what_is_refused_is_named),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_names_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
