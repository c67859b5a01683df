/* The strict reader, against jansson: what one takes the other must take, and read alike. */
#include "text/json_scan.h"

#include "base/check.h"
#include "base/rand.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool read_string(const char *json, char *out, size_t room)
{
    struct json_scan s;
    struct str got;
    json_scan_init(&s, str_of(json));
    bool ok = json_scan_string(&s, &got) && json_scan_peek(&s) == '\0' && s.at == strlen(json);
    if (ok) {
        assert_true(got.len < room);
        memcpy(out, got.data, got.len);
        out[got.len] = '\0';
    }
    json_scan_finish(&s);
    return ok;
}

static void reads_strings(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text; /* NULL: not JSON */
    } rows[] = {
        {"\"\"",                  ""                    },
        { "  \"a\" \n",           "a"                   },
        { "\"a\\nb\\\"\\\\\\/\"", "a\nb\"\\/"           },
        { "\"\\u00e9\\u4F60\"",   "\xC3\xA9\xE4\xBD\xA0"},
        { "\"\\ud83d\\ude00x\"",  "\xF0\x9F\x98\x80x"   },
        { "\"\\b\\f\\r\\t\"",     "\b\f\r\t"            },
        { "\"\\ud83d\"",          NULL                  },
        { "\"\\ud83dabcdef\"",    NULL                  },
        { "\"\\ud83d\\u0041\"",   NULL                  },
        { "\"\\ude00\"",          NULL                  },
        { "\"\\u12g4\"",          NULL                  },
        { "\"\\u12",              NULL                  },
        { "\"\\x41\"",            NULL                  },
        { "\"a\nb\"",             NULL                  },
        { "\"abc",                NULL                  },
        { "\"abc\\",              NULL                  },
        { "\"a\" b",              NULL                  },
        { "a",                    NULL                  },
        { "",                     NULL                  },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[64] = "";
        bool ok = read_string(rows[i].json, text, sizeof(text));
        if (ok != (rows[i].text != NULL))
            fail_msg("%s: %s", rows[i].json, ok ? "taken" : "refused");
        if (ok)
            assert_string_equal(text, rows[i].text);
    }
}

static void reads_numbers(void **state)
{
    (void)state;
    static const char *const good[] = { "0", "-0", "12", "-1.5", "1e5", "1E+5", "0.25e-7", "10.0" };
    static const char *const bad[] = { "", "-", "01", "1.", ".5", "1e", "1e+", "+1", "x", "-a" };
    struct json_scan s;
    struct str got;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        json_scan_init(&s, str_of(good[i]));
        assert_true(json_scan_number(&s, &got));
        assert_true(str_eq(got, str_of(good[i])));
        json_scan_finish(&s);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        json_scan_init(&s, str_of(bad[i]));
        bool ok = json_scan_number(&s, &got) && s.at == strlen(bad[i]);
        if (ok)
            fail_msg("'%s' is taken", bad[i]);
        json_scan_finish(&s);
    }
}

/* An array of texts and numbers. False: not one, or not JSON. */
static bool read_list(struct str json, size_t *out_members, size_t *out_bytes)
{
    struct json_scan s;
    struct str part;
    bool first = true;
    *out_members = *out_bytes = 0;
    json_scan_init(&s, json);
    json_scan_need(&s, '[');
    while (json_scan_more(&s, ']', &first)) {
        bool ok =
            json_scan_peek(&s) == '"' ? json_scan_string(&s, &part) : json_scan_number(&s, &part);
        *out_members += 1;
        *out_bytes += ok && part.len > 0 && part.data[0] != '-' ? part.len : 0;
    }
    json_scan_peek(&s);
    bool whole = !s.failed && s.at == json.len;
    json_scan_finish(&s);
    return whole;
}

static void agrees_with_the_parser_about_damaged_lists(void **state)
{
    (void)state;
    static const char list[] =
        "[\"a\", 12, \"b\\n\\u00e9\", -1.5e3 ,\"\\ud83d\\ude00\" , 0, \"\", \"xyz\\\\\"]";
    static const char bytes[] = "\"\\[], 01.e-u\n\x01z";
    struct rng rng;
    size_t taken = 0, refused = 0;
    rand_seed(&rng, 6);
    for (int round = 0; round < 20000; round++) {
        char copy[sizeof(list)];
        memcpy(copy, list, sizeof(list));
        for (uint64_t n = rand_below(&rng, 3); n < 3; n++)
            copy[rand_below(&rng, sizeof(list) - 1)] = bytes[rand_below(&rng, sizeof(bytes) - 1)];
        struct str json = { copy, sizeof(list) - 1 };
        size_t members, length;
        json_t *tree = json_loadb(json.data, json.len, JSON_ALLOW_NUL, NULL);
        bool ours = read_list(json, &members, &length), is_flat = json_is_array(tree);
        for (size_t i = 0; is_flat && i < json_array_size(tree); i++) {
            const json_t *member = json_array_get(tree, i);
            is_flat = json_is_string(member) || json_is_number(member);
        }
        /* A number too large for the parser is one still. */
        if (ours != is_flat && strchr(copy, 'e') == NULL)
            fail_msg("%s: %s", copy, ours ? "taken" : "refused");
        if (ours && tree != NULL)
            assert_int_equal(members, json_array_size(tree));
        taken += ours;
        refused += !ours;
        json_decref(tree);
    }
    assert_true(taken > 500 && refused > 500);
}

static void steps_over_values(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        size_t end; /* 0: there is no value with an end */
    } rows[] = {
        {"{\"a\":[1,{}],\"b]\":\"}\"} x", 21},
        { " true,1",                      5 },
        { "[[[]]]]",                      6 },
        { "\"a\\\"]\"]",                  6 },
        { "[1,2",                         0 },
        { "{\"a",                         0 },
        { "]",                            0 },
        { ",",                            0 },
        { "",                             0 },
        { "\"a\\",                        0 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct json_scan s;
        json_scan_init(&s, str_of(rows[i].json));
        bool ok = json_scan_skip(&s);
        if (ok != (rows[i].end > 0) || (ok && s.at != rows[i].end))
            fail_msg("%s: %s at %zu", rows[i].json, ok ? "ends" : "fails", s.at);
        json_scan_finish(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_strings),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(agrees_with_the_parser_about_damaged_lists),
        cmocka_unit_test(steps_over_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
