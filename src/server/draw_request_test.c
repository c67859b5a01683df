#include "server/draw_request.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct json_value *parse(const char *body)
{
    struct weir_error err;
    struct json_value *tree = json_read_parse(str_of(body), &err);
    assert_non_null(tree);
    return tree;
}

static void everything_is_read(void **state)
{
    struct json_value *tree =
        parse("{\"prompt\":\"a cat\",\"negative_prompt\":\"dogs\",\"n\":3,\"size\":\"64x32\","
              "\"seed\":9,\"steps\":4,\"guidance\":3.5,\"response_format\":\"b64_json\","
              "\"output_format\":\"png\",\"stream\":true,\"quality\":\"high\"}");
    struct json_fields f = json_fields_of(tree);
    const struct draw_request r = draw_request_read(&f);
    (void)state;
    assert_true(json_fields_ok(&f));
    assert_memory_equal(r.draw.prompt.data, "a cat", r.draw.prompt.bytes);
    assert_int_equal(r.draw.negative_prompt.bytes, 4);
    assert_int_equal(r.draw.negative_prompt.size, sizeof(struct weir_input));
    assert_int_equal(r.draw.count, 3);
    assert_true(r.draw.width == 64 && r.draw.height == 32);
    assert_true(r.draw.seeded && r.draw.seed == 9);
    assert_true(r.draw.steps == 4 && r.draw.guidance == 3.5f && r.streams);
    json_read_free(tree);
}

static void absent_fields_are_the_models_own(void **state)
{
    struct json_value *tree = parse("{\"prompt\":\"a\",\"size\":\"auto\",\"seed\":null}");
    struct json_fields f = json_fields_of(tree);
    const struct draw_request r = draw_request_read(&f);
    (void)state;
    assert_true(json_fields_ok(&f));
    assert_int_equal(r.draw.negative_prompt.size, 0);
    assert_true(r.draw.count == 1 && r.draw.width == 0 && r.draw.height == 0);
    assert_true(r.draw.steps == 0 && !r.draw.seeded && !r.streams);
    json_read_free(tree);
}

static void wrong_bodies_are_refused(void **state)
{
    static const char *const rows[][2] = {
        {"{}",                                              "prompt"         },
        { "[]",                                             NULL             },
        { "{\"prompt\":\"\"}",                              "prompt"         },
        { "{\"prompt\":7}",                                 "prompt"         },
        { "{\"prompt\":\"x\",\"n\":0}",                     "n"              },
        { "{\"prompt\":\"x\",\"n\":11}",                    "n"              },
        { "{\"prompt\":\"x\",\"size\":\"64\"}",             "size"           },
        { "{\"prompt\":\"x\",\"size\":\"64x\"}",            "size"           },
        { "{\"prompt\":\"x\",\"size\":\"64x65\"}",          "size"           },
        { "{\"prompt\":\"x\",\"size\":\"0x64\"}",           "size"           },
        { "{\"prompt\":\"x\",\"size\":\"2064x64\"}",        "size"           },
        { "{\"prompt\":\"x\",\"size\":\"-64x64\"}",         "size"           },
        { "{\"prompt\":\"x\",\"steps\":201}",               "steps"          },
        { "{\"prompt\":\"x\",\"guidance\":-1}",             "guidance"       },
        { "{\"prompt\":\"x\",\"response_format\":\"url\"}", "response_format"},
        { "{\"prompt\":\"x\",\"output_format\":\"jpeg\"}",  "output_format"  },
        { "{\"prompt\":\"x\",\"stream\":1}",                "stream"         },
        { "{\"prompt\":\"x\",\"negative_prompt\":[\"a\"]}", "negative_prompt"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct json_value *tree = parse(rows[i][0]);
        struct json_fields f = json_fields_of(tree);
        draw_request_read(&f);
        if (json_fields_ok(&f) || (rows[i][1] && strcmp(f.param, rows[i][1]) != 0))
            fail_msg("%s: %s", rows[i][0], f.problem.text);
        json_read_free(tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(absent_fields_are_the_models_own),
        cmocka_unit_test(wrong_bodies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
