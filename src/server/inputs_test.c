#include "server/inputs.h"

#include "base/buffer.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Reads "input" from a body and writes what came out: "t:TEXT;" or "i:1,2;" an input. */
static struct json_fields read(const char *body, struct arena *arena, char out[256])
{
    static const struct inputs_rules rules = { .name = "input", .count_max = 3, .takes_ids = true };
    struct weir_error err;
    struct json_value *tree = json_read_parse(str_of(body), &err);
    assert_non_null(tree);
    struct json_fields f = json_fields_of(tree);
    size_t count = 0;
    struct buffer b;
    const struct weir_input *inputs = inputs_read(&f, &rules, arena, &count);
    assert_int_equal(inputs != NULL, json_fields_ok(&f));
    buffer_init(&b, 255);
    for (size_t i = 0; inputs && i < count; i++) {
        const int32_t *ids = inputs[i].data;
        if (inputs[i].kind == WEIR_INPUT_TEXT)
            buffer_printf(&b, "t:%.*s", (int)inputs[i].bytes, (const char *)inputs[i].data);
        for (size_t k = 0; inputs[i].kind == WEIR_INPUT_IDS && k < inputs[i].bytes / 4; k++)
            buffer_printf(&b, "%s%d", k ? "," : "i:", (int)ids[k]);
        buffer_text(&b, ";");
    }
    memcpy(out, b.data ? (const char *)b.data : "", b.len);
    out[b.len] = '\0';
    buffer_finish(&b);
    f.object = NULL;
    json_read_free(tree);
    return f;
}

static void every_form_is_read(void **state)
{
    static const char *const forms[][2] = {
        {"{\"input\":\"a b\"}",                                    "t:a b;"             },
        { "{\"input\":[\"a\",\"b\",\"c\"]}",                       "t:a;t:b;t:c;"       },
        { "{\"input\":[1,2,3,4]}",                                 "i:1,2,3,4;"         },
        { "{\"input\":[[1],[2147483647,0]]}",                      "i:1;i:2147483647,0;"},
        { "{\"input\":\"first\",\"input\":\"last\",\"other\":{}}", "t:last;"            },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct arena arena;
        char out[256];
        arena_init(&arena, 64 * 1024);
        struct json_fields f = read(forms[i][0], &arena, out);
        if (!json_fields_ok(&f))
            fail_msg("%s: %s", forms[i][0], f.problem.text);
        assert_string_equal(out, forms[i][1]);
        arena_finish(&arena);
    }
}

/* An array of texts and of arrays of ids, in any order, and of nothing else. */
static void texts_and_ids_may_be_mixed(void **state)
{
    static const struct inputs_rules rules = {
        .name = "inputs", .count_max = 4, .takes_ids = true, .takes_mixed = true
    };
    static const char *const wrong[] = { "{\"inputs\":[\"a\",1]}", "{\"inputs\":[[1],{}]}",
                                         "{\"inputs\":[1,\"a\"]}", "{\"inputs\":[[1],\"\"]}" };
    const char *good = "{\"inputs\":[[7],\"a\",[8,9],\"b\"]}";
    (void)state;
    for (size_t i = 0; i <= ARRAY_COUNT(wrong); i++) {
        struct arena arena;
        struct weir_error err;
        size_t count = 0;
        arena_init(&arena, 64 * 1024);
        struct json_value *tree = json_read_parse(str_of(i == 0 ? good : wrong[i - 1]), &err);
        struct json_fields f = json_fields_of(tree);
        const struct weir_input *inputs = inputs_read(&f, &rules, &arena, &count);
        assert_int_equal(inputs != NULL, i == 0);
        assert_int_equal(json_fields_ok(&f), i == 0);
        if (i == 0) {
            assert_int_equal(count, 4);
            assert_true(inputs[0].kind == WEIR_INPUT_IDS && inputs[1].kind == WEIR_INPUT_TEXT);
            assert_true(inputs[2].bytes == 8 && inputs[3].bytes == 1);
        }
        json_read_free(tree);
        arena_finish(&arena);
    }
}

struct wrong {
    const char *body;
    const char *part; /* of the message */
    int index;
};

static void every_mistake_is_named(void **state)
{
    static const struct wrong wrong[] = {
        {"{}",                                     "'input' is required",                 -1},
        { "{\"input\":null}",                      "'input' is required",                 -1},
        { "{\"input\":5}",                         "not an integer",                      -1},
        { "{\"input\":{}}",                        "not an object",                       -1},
        { "{\"input\":[]}",                        "empty array",                         -1},
        { "{\"input\":\"\"}",                      "input[0]' is an empty string",        0 },
        { "{\"input\":[\"a\",\"\"]}",              "input[1]' is an empty string",        1 },
        { "{\"input\":[\"a\",1]}",                 "input[1]' is an integer",             1 },
        { "{\"input\":[1,\"a\"]}",                 "a string where token id 1",           -1},
        { "{\"input\":[1,-1]}",                    "out of range where token id 1",       -1},
        { "{\"input\":[2147483648]}",              "out of range where token id 0",       -1},
        { "{\"input\":[1.5]}",                     "element is a number with a fraction", -1},
        { "{\"input\":[[1],[]]}",                  "input[1]' is an empty array",         1 },
        { "{\"input\":[[1],[true]]}",              "a boolean where token id 0",          1 },
        { "{\"input\":[[[1]]]}",                   "an array where token id 0",           0 },
        { "{\"input\":[null]}",                    "its first element is null",           -1},
        { "{\"input\":[\"a\",\"b\",\"c\",\"d\"]}", "4 elements, the limit inputs is 3",   -1},
        { "[]",                                    "must be a JSON object, not an array", -1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct arena arena;
        char out[256];
        arena_init(&arena, 64 * 1024);
        struct json_fields f = read(wrong[i].body, &arena, out);
        assert_int_equal(f.problem.code, WEIR_INVALID);
        if (!strstr(f.problem.text, wrong[i].part))
            fail_msg("%s: %s", wrong[i].body, f.problem.text);
        assert_int_equal(f.problem.index, wrong[i].index);
        assert_true(f.param == NULL || strcmp(f.param, "input") == 0);
        arena_finish(&arena);
    }
}

static void json_is_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "",
        "{",
        "{\"a\":1}x",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\xff\"}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":99999999999999999999}",
        "nul",
    };
    struct weir_error err;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_null(json_read_parse(str_of(wrong[i]), &err));
        assert_int_equal(err.code, WEIR_INVALID);
        assert_non_null(strstr(err.text, "at line 1, column"));
    }
    struct json_value *tree = json_read_parse(STR("{\"a\":\"x\\u0000y\"}"), &err);
    assert_int_equal(json_read_text(json_read_field(tree, "a")).len, 3);
    json_read_free(tree);
}

static void values_are_counted_before_they_are_made(void **state)
{
    struct weir_error err;
    struct buffer b;
    (void)state;
    buffer_init(&b, 16 * 1024 * 1024);
    buffer_text(&b, "[0");
    for (int i = 0; i < JSON_READ_VALUES_MAX; i++)
        buffer_text(&b, ",0");
    buffer_text(&b, "]");
    assert_null(json_read_parse(buffer_view(&b), &err));
    assert_int_equal(err.code, WEIR_BODY_TOO_LARGE);
    buffer_clear(&b);
    buffer_text(&b, "\"\\\""); /* commas inside a text are no values */
    for (int i = 0; i < JSON_READ_VALUES_MAX; i++)
        buffer_text(&b, ",:");
    buffer_text(&b, "\"");
    struct json_value *tree = json_read_parse(buffer_view(&b), &err);
    assert_non_null(tree);
    json_read_free(tree);
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(texts_and_ids_may_be_mixed),
        cmocka_unit_test(every_mistake_is_named),
        cmocka_unit_test(json_is_read_strictly),
        cmocka_unit_test(values_are_counted_before_they_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
