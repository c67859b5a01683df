#include "cmd/config.h"

#include "base/check.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check_setting(const struct option_setting *s, const char *name, const char *value,
                          const char *origin)
{
    assert_string_equal(s->name, name);
    assert_string_equal(s->value, value);
    assert_string_equal(s->origin, origin);
}

static void test_sections_and_values(void **state)
{
    static const char text[] = "\xef\xbb\xbf# a comment\n"
                               "memory = 6GiB ; half of it\r\n"
                               "\n"
                               "  [limits]   ; bounds\n"
                               "queue_jobs=7\n"
                               "[model org/m:1@r]\n"
                               "path = /a b=c#d\n"
                               "\talias = \"x # y\" # quoted\n"
                               "[serve]\n"
                               "listen = [::1]:0\n"
                               "[model b]";
    struct config c;
    struct weir_error err;
    (void)state;
    assert_int_equal(config_parse(&c, "w.conf", str_of(text), &err), WEIR_OK);
    assert_string_equal(c.path, "w.conf");
    assert_int_equal(c.serve_count, 3);
    check_setting(&c.serve[0], "memory", "6GiB", "w.conf:2");
    check_setting(&c.serve[1], "limit", "queue_jobs=7", "w.conf:5");
    check_setting(&c.serve[2], "listen", "[::1]:0", "w.conf:10");
    assert_int_equal(c.models_count, 2);
    assert_string_equal(c.models[0].name, "org/m:1@r");
    assert_string_equal(c.models[0].origin, "w.conf:6");
    assert_int_equal(c.models[0].count, 2);
    check_setting(&c.models[0].settings[0], "path", "/a b=c#d", "w.conf:7");
    check_setting(&c.models[0].settings[1], "alias", "x # y", "w.conf:8");
    assert_string_equal(c.models[1].name, "b");
    assert_int_equal(c.models[1].count, 0);
    config_finish(&c);
}

/* The longest name that a model may have and values of any length come through whole. */
static void test_long_texts(void **state)
{
    enum { LONG_NAME = 200, LONG = 60000 };
    struct buffer text;
    struct config c;
    struct weir_error err;
    (void)state;
    buffer_init(&text, 1 << 20);
    buffer_text(&text, "[model ");
    for (int i = 0; i < LONG_NAME; i++)
        buffer_u8(&text, 'm');
    buffer_text(&text, "]\npath = /");
    for (int i = 0; i < LONG; i++)
        buffer_u8(&text, 'p');
    assert_int_equal(config_parse(&c, "w.conf", buffer_view(&text), &err), WEIR_OK);
    assert_int_equal(strlen(c.models[0].name), LONG_NAME);
    assert_int_equal(strlen(c.models[0].settings[0].value), LONG + 1);
    config_finish(&c);
    buffer_finish(&text);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text;
        const char *says[2];
    } cases[] = {
        {"memory",                    { "w.conf:1", "'memory' is not of the form name = value" }},
        { "\n= 5",                    { "w.conf:2", "the name of" }                             },
        { "memory =",                 { "w.conf:1", "the value of" }                            },
        { "memory = # none",          { "w.conf:1", "the value of" }                            },
        { "[limit]",                  { "w.conf:1", "perhaps [limits]" }                        },
        { "[colours]",                { "w.conf:1", "there is no section [colours]" }           },
        { "[model",                   { "w.conf:1", "a section is written [NAME]" }             },
        { "[model a] path = x",       { "w.conf:1", "a section is written [NAME]" }             },
        { "[model]",                  { "w.conf:1", "'' is no name of a model" }                },
        { "[model a b]",              { "w.conf:1", "'a b' is no name of a model" }             },
        { "[model a]\n\n[model a]",   { "w.conf:3", "stands already at w.conf:1" }              },
        { "[serve now]",              { "w.conf:1", "there is no section [serve now]" }         },
        { "a = \"b",                  { "w.conf:1", "ends in a quote" }                         },
        { "a = \"b\" c",              { "w.conf:1", "ends in a quote" }                         },
        { "a = b\x01",                { "w.conf:1", "control character 0x01 in column 6" }      },
        { "a = b\n\x1b[31m",          { "w.conf:2", "control character 0x1b in column 1" }      },
        { "a = b\rc",                 { "w.conf:1", "control character 0x0d" }                  },
        { "a = \xff",                 { "w.conf:1", "no UTF-8 in column 5" }                    },
        { "[limits]\na=1\na=1",       { "w.conf:3", "'a' was set before, at w.conf:2" }         },
        { "[limits]\nb_a=1\nb-a=2",   { "w.conf:3", "'b-a' was set before, at w.conf:2" }       },
        { "limit=a=1\n[limits]\na=2", { "w.conf:3", "'a' was set before, at w.conf:1" }         },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct config c;
        struct weir_error err;
        if (config_parse(&c, "w.conf", str_of(cases[i].text), &err) != WEIR_INVALID)
            fail_msg("taken: %s", cases[i].text);
        for (size_t k = 0; k < 2; k++) {
            if (strstr(err.text, cases[i].says[k]) == NULL)
                fail_msg("'%s' does not say '%s'", err.text, cases[i].says[k]);
        }
        config_finish(&c);
    }
}

static void test_nul_and_size(void **state)
{
    static const char nul[] = "a = b\0c\n";
    struct config c;
    struct weir_error err;
    (void)state;
    assert_int_equal(config_parse(&c, "w.conf", (struct str){ nul, sizeof(nul) - 1 }, &err),
                     WEIR_INVALID);
    assert_non_null(strstr(err.text, "control character 0x00 in column 6"));
    config_finish(&c);
    const size_t large = (1 << 20) + 1;
    char *const lines = mem_new(large, 1);
    memset(lines, '\n', large);
    assert_int_equal(config_parse(&c, "w.conf", (struct str){ lines, large }, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "1048577 bytes, the limit is 1048576"));
    config_finish(&c);
    assert_int_equal(config_parse(&c, "w.conf", (struct str){ lines, large - 1 }, &err), WEIR_OK);
    config_finish(&c);
    mem_free(lines);
}

/* The densest file there can be must not use up the arena. */
static void test_many_short_lines(void **state)
{
    enum { LINES_COUNT = 1 << 18 };
    struct buffer text;
    struct config c;
    struct weir_error err;
    (void)state;
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < LINES_COUNT; i++)
        buffer_text(&text, "a=b\n");
    assert_int_equal(config_parse(&c, "/etc/weir/weir.conf", buffer_view(&text), &err), WEIR_OK);
    assert_int_equal(c.serve_count, LINES_COUNT);
    assert_string_equal(c.serve[LINES_COUNT - 1].origin, "/etc/weir/weir.conf:262144");
    config_finish(&c);
    buffer_finish(&text);
}

static void test_limits_have_an_end(void **state)
{
    struct buffer text;
    struct config c;
    struct weir_error err;
    (void)state;
    buffer_init(&text, 1 << 20);
    buffer_text(&text, "[limits]\n");
    for (int i = 0; i < 256; i++)
        buffer_printf(&text, "l-%d = 1\n", i);
    assert_int_equal(config_parse(&c, "w.conf", buffer_view(&text), &err), WEIR_OK);
    assert_string_equal(c.serve[255].value, "l_255=1");
    config_finish(&c);
    buffer_text(&text, "more = 1\n");
    assert_int_equal(config_parse(&c, "w.conf", buffer_view(&text), &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "w.conf:258: more than 256 limits"));
    config_finish(&c);
    buffer_finish(&text);
}

static void test_a_file_that_was_asked_for_must_exist(void **state)
{
    struct config c;
    struct weir_error err;
    (void)state;
    assert_int_equal(config_load(&c, "/nonexistent/weir.conf", &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "/nonexistent/weir.conf"));
    config_finish(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections_and_values),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_nul_and_size),
        cmocka_unit_test(test_many_short_lines),
        cmocka_unit_test(test_limits_have_an_end),
        cmocka_unit_test(test_a_file_that_was_asked_for_must_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
