#include "base/jsonw.h"

#include "base/check.h"
#include "base/rand.h"

#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
    struct buffer out;
    struct jsonw j;
};

static struct scene *begin(struct scene *s)
{
    buffer_clear(&s->out);
    jsonw_init(&s->j, &s->out);
    return s;
}

static const char *text_of(struct scene *s)
{
    assert_false(s->out.failed);
    buffer_u8(&s->out, 0);
    return (const char *)s->out.data;
}

static int open_scene(void **state)
{
    static struct scene scene;
    buffer_init(&scene.out, 1024 * 1024);
    *state = &scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *const s = *state;
    buffer_finish(&s->out);
    return 0;
}

static void keeps_commas_and_nesting(void **state)
{
    struct scene *const s = begin(*state);
    struct jsonw *const j = &s->j;
    jsonw_object(j);
    jsonw_key(j, "a"), jsonw_u64(j, UINT64_MAX);
    jsonw_key(j, "b"), jsonw_i64(j, INT64_MIN);
    jsonw_key(j, "c"), jsonw_array(j);
    jsonw_end(j);
    jsonw_key(j, "d"), jsonw_array(j);
    jsonw_object(j);
    jsonw_end(j);
    jsonw_object(j);
    jsonw_key(j, "x"), jsonw_null(j);
    jsonw_end(j);
    jsonw_bool(j, true);
    jsonw_bool(j, false);
    jsonw_text(j, NULL);
    jsonw_raw(j, STR("[1,2]"));
    jsonw_raw(j, STR(""));
    jsonw_end(j);
    jsonw_key(j, "e"), jsonw_text(j, "end");
    jsonw_end(j);
    assert_string_equal(text_of(s),
                        "{\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":[],"
                        "\"d\":[{},{\"x\":null},true,false,null,[1,2],null],\"e\":\"end\"}");
}

static void goes_32_levels_deep(void **state)
{
    struct scene *const s = begin(*state);
    for (int i = 0; i < 32; i++) {
        if (i % 2 == 0) {
            jsonw_array(&s->j);
            jsonw_u64(&s->j, 1);
        } else {
            jsonw_object(&s->j);
            jsonw_key(&s->j, "k");
        }
    }
    jsonw_u64(&s->j, 7);
    for (int i = 0; i < 32; i++)
        jsonw_end(&s->j);
    const char *const text = text_of(s);
    assert_non_null(strstr(text, "[1,{\"k\":[1,{\"k\":7}]}]"));
    assert_int_equal(s->j.depth, 0);
}

static void escapes(void **state)
{
    struct scene *s = begin(*state);
    jsonw_str(&s->j, STR("\"\\/\b\f\n\r\t\x01\x1f\x7f\0z ä€🌊"));
    assert_string_equal(text_of(s), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000z ä€🌊\"");
    s = begin(s);
    jsonw_object(&s->j);
    jsonw_key(&s->j, "a\"b");
    jsonw_str(&s->j, str_of(NULL));
    jsonw_end(&s->j);
    assert_string_equal(text_of(s), "{\"a\\\"b\":\"\"}");
}

static void replaces_what_is_not_utf8(void **state)
{
    static const struct {
        struct str in;
        const char *out;
    } rows[] = {
        {{ "a\xff"
            "b",
            3 },
         "\"a\xef\xbf\xbd"
          "b\""                                                              },
        { { "\xc3", 1 },           "\"\xef\xbf\xbd\""                        },
        { { "\xed\xa0\x80", 3 },   "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        { { "\xc3\xa4\x80\n", 4 }, "\"\xc3\xa4\xef\xbf\xbd\\n\""             },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct scene *const s = begin(*state);
        jsonw_str(&s->j, rows[i].in);
        assert_string_equal(text_of(s), rows[i].out);
    }
    /* Whatever comes in, what goes out is UTF-8. */
    struct rng r;
    rand_seed(&r, 11);
    for (int round = 0; round < 2000; round++) {
        struct scene *const s = begin(*state);
        char noise[40];
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (char)rand_below(&r, 256);
        jsonw_str(&s->j, (struct str){ noise, sizeof(noise) });
        assert_int_equal(str_utf8_valid(buffer_view(&s->out)), s->out.len);
    }
}

static void writes_base64(void **state)
{
    /* The test vectors of RFC 4648, section 10. */
    static const char *const rows[][2] = {
        {"",              "\"\""        },
        { "f",            "\"Zg==\""    },
        { "fo",           "\"Zm8=\""    },
        { "foo",          "\"Zm9v\""    },
        { "foob",         "\"Zm9vYg==\""},
        { "fooba",        "\"Zm9vYmE=\""},
        { "foobar",       "\"Zm9vYmFy\""},
        { "\xfb\xff\xbf", "\"+/+/\""    },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct scene *const s = begin(*state);
        jsonw_base64(&s->j, rows[i][0], strlen(rows[i][0]));
        assert_string_equal(text_of(s), rows[i][1]);
    }
    /* It asks for no more room than it fills. */
    struct buffer small;
    struct jsonw j;
    buffer_init(&small, 10);
    jsonw_init(&j, &small);
    jsonw_base64(&j, "foob", 4);
    assert_false(small.failed);
    assert_int_equal(small.len, 10);
    buffer_finish(&small);
}

static const char *float_text(struct scene *s, float v)
{
    begin(s);
    jsonw_float(&s->j, v);
    return text_of(s);
}

static void floats_are_short(void **state)
{
    static const struct {
        float value;
        const char *text;
    } rows[] = {
        {0.0F,             "0"            },
        { -0.0F,           "-0.0"         },
        { 1.0F,            "1"            },
        { -1.5F,           "-1.5"         },
        { 0.1F,            "0.1"          },
        { 0.3F,            "0.3"          },
        { 100.0F,          "100"          },
        { 1e9F,            "1e9"          },
        { 123456789.0F,    "123456790"    },
        { 16777216.0F,     "16777216"     },
        { 0.001F,          "0.001"        },
        { 1.5e-5F,         "0.000015"     },
        { 1e-5F,           "0.00001"      },
        { 1e-6F,           "1e-6"         },
        { 3.14159274F,     "3.1415927"    },
        { 0.0123456789F,   "0.012345679"  },
        { 9.99999905e-1F,  "0.9999999"    },
        { 0.99999994F,     "0.99999994"   },
        { 1.17549435e-38F, "1.1754944e-38"},
        { 1e-45F,          "1e-45"        },
        { 3.40282347e+38F, "3.4028235e+38"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_string_equal(float_text(*state, rows[i].value), rows[i].text);
    assert_string_equal(float_text(*state, NAN), "null");
    assert_string_equal(float_text(*state, INFINITY), "null");
    assert_string_equal(float_text(*state, -INFINITY), "null");
}

static uint32_t bits_of(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

/* Digits without the zeros that only place the point. */
static size_t significant_digits(const char *text)
{
    size_t digits = 0;
    size_t zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text == '0' && digits > 0)
            zeros++;
        else if (*text >= '1' && *text <= '9') {
            digits += zeros + 1;
            zeros = 0;
        }
    }
    return digits;
}

/* JSON's own grammar for numbers. */
static bool is_json_number(const char *at)
{
    at += *at == '-';
    if (*at == '0')
        at++;
    else if (strspn(at, "0123456789") > 0)
        at += strspn(at, "0123456789");
    else
        return false;
    if (*at == '.') {
        const size_t n = strspn(at + 1, "0123456789");
        if (n == 0)
            return false;
        at += 1 + n;
    }
    if (*at == 'e') {
        at++;
        at += *at == '-' || *at == '+';
        const size_t n = strspn(at, "0123456789");
        if (n == 0)
            return false;
        at += n;
    }
    return *at == '\0';
}

/* Both kinds of reader get the same bits: one that knows floats, one that goes through double. */
static void check_float(struct scene *s, float v)
{
    const char *const text = float_text(s, v);
    if (bits_of(strtof(text, NULL)) != bits_of(v))
        fail_msg("%s reads back to other bits than %08x", text, bits_of(v));
    if (bits_of((float)strtod(text, NULL)) != bits_of(v))
        fail_msg("%s reads back through double to other bits than %08x", text, bits_of(v));
    if (significant_digits(text) > 9 || !is_json_number(text))
        fail_msg("%s is not a JSON number of at most 9 digits", text);
}

static float float_of(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static void floats_read_back(void **state)
{
    struct rng r;
    rand_seed(&r, 12);
    /* All bit patterns are equally likely, so all exponents are too. */
    for (int i = 0; i < 1000000; i++) {
        const float v = float_of((uint32_t)rand_u64(&r));
        if (isfinite(v))
            check_float(*state, v);
    }
    /* Subnormals are one exponent of 256. */
    for (int i = 0; i < 50000; i++)
        check_float(*state, float_of((uint32_t)rand_below(&r, UINT32_C(0x800000))));
    /* What embeddings hold. */
    for (int i = 0; i < 200000; i++)
        check_float(*state, (float)((rand_unit(&r) - 0.5) * 0.3));
}

/* Where the step between floats changes and where the number of digits does. */
static void floats_at_the_edges_read_back(void **state)
{
    for (uint32_t exponent = 0; exponent < 255; exponent++) {
        for (uint32_t near = 0; near < 5; near++) {
            const uint32_t bits = exponent << 23;
            check_float(*state, float_of(bits + near));
            if (bits > near)
                check_float(*state, float_of(bits - near));
        }
    }
    check_float(*state, FLT_MAX);
    check_float(*state, FLT_MIN);
    static const char *const shapes[] = { "1", "9.99999", "9.9999995", "1.000001", "5" };
    for (size_t shape = 0; shape < ARRAY_COUNT(shapes); shape++) {
        for (int power = -45; power <= 38; power++) {
            char text[32];
            str_print(text, sizeof(text), "%se%d", shapes[shape], power);
            const float v = strtof(text, NULL);
            if (!isfinite(v))
                continue;
            const uint32_t bits = bits_of(v);
            for (uint32_t near = 0; near < 5; near++) {
                if (isfinite(float_of(bits + near)))
                    check_float(*state, float_of(bits + near));
                if (bits >= near)
                    check_float(*state, float_of(bits - near));
            }
        }
    }
}

/* Exactly between a float and one of its neighbours; a double holds all three. */
static bool is_halfway(double between, float v)
{
    const double step = 2 * (between - (double)v);
    return (double)v + step == (double)float_of(bits_of(v) + 1) ||
           (double)v + step == (double)float_of(bits_of(v) - 1);
}

/* No text of fewer digits would do, as printf shows, which gives the nearest number of each
 * length. Two cases are left out: next to a power of two a farther number may be within the
 * bounds, and a text halfway between two floats is never written, as it would trust the reader
 * to round to even. */
static void floats_are_the_shortest(void **state)
{
    struct rng r;
    rand_seed(&r, 13);
    int compared = 0;
    for (int i = 0; i < 200000; i++) {
        const float v =
            i % 2 == 0 ? float_of((uint32_t)rand_u64(&r)) : (float)(rand_unit(&r) - 0.5);
        if (!isfinite(v) || (bits_of(v) & UINT32_C(0x7fffff)) == 0)
            continue;
        const size_t digits = significant_digits(float_text(*state, v));
        if (digits < 2)
            continue;
        char shorter[40];
        str_print(shorter, sizeof(shorter), "%.*e", (int)digits - 2, (double)v);
        if (bits_of(strtof(shorter, NULL)) == bits_of(v) && !is_halfway(strtod(shorter, NULL), v))
            fail_msg("%08x has %zu digits where %s would do", bits_of(v), digits, shorter);
        compared++;
    }
    assert_in_range(compared, 150000, 200000);
}

static void doubles_read_back(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0,        "0"                    },
        { -0.0,      "-0.0"                 },
        { 0.1,       "0.1"                  },
        { -2.5,      "-2.5"                 },
        { 1e300,     "1e+300"               },
        { 0.1 + 0.2, "0.30000000000000004"  },
        { 5e-324,    "4.94065645841247e-324"},
        { 1234567,   "1234567"              },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct scene *const s = begin(*state);
        jsonw_double(&s->j, rows[i].value);
        assert_string_equal(text_of(s), rows[i].text);
    }
    struct rng r;
    rand_seed(&r, 14);
    for (int i = 0; i < 100000; i++) {
        const uint64_t bits = rand_u64(&r);
        double v, back;
        memcpy(&v, &bits, sizeof(v));
        struct scene *const s = begin(*state);
        jsonw_double(&s->j, v);
        const char *const text = text_of(s);
        if (!isfinite(v)) {
            assert_string_equal(text, "null");
            continue;
        }
        back = strtod(text, NULL);
        assert_memory_equal(&back, &v, sizeof(v));
        assert_true(is_json_number(text));
    }
}

static void a_full_buffer_fails_quietly(void **state)
{
    (void)state;
    struct buffer small;
    struct jsonw j;
    for (size_t max = 0; max < 20; max++) {
        buffer_init(&small, max);
        jsonw_init(&j, &small);
        jsonw_object(&j);
        jsonw_key(&j, "key");
        jsonw_array(&j);
        jsonw_float(&j, 0.25F);
        jsonw_text(&j, "text");
        jsonw_base64(&j, "x", 1);
        jsonw_end(&j);
        jsonw_end(&j);
        assert_true(small.failed);
        buffer_finish(&small);
    }
}

static void value_without_key(struct jsonw *j)
{
    jsonw_object(j);
    jsonw_u64(j, 1);
}

static void key_in_an_array(struct jsonw *j)
{
    jsonw_array(j);
    jsonw_key(j, "k");
}

static void two_keys(struct jsonw *j)
{
    jsonw_object(j);
    jsonw_key(j, "k");
    jsonw_key(j, "k");
}

static void end_after_key(struct jsonw *j)
{
    jsonw_object(j);
    jsonw_key(j, "k");
    jsonw_end(j);
}

static void end_of_nothing(struct jsonw *j)
{
    jsonw_end(j);
}

static void too_deep(struct jsonw *j)
{
    for (int i = 0; i < 33; i++)
        jsonw_array(j);
}

/* Misuse is a bug in weir and ends the process, here one that was made for it. */
static void misuse_aborts(void **state)
{
    static void (*const misuses[])(struct jsonw *) = {
        value_without_key, key_in_an_array, two_keys, end_after_key, end_of_nothing, too_deep
    };
    for (size_t i = 0; i < ARRAY_COUNT(misuses); i++) {
        struct scene *const s = begin(*state);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            /* The message is expected; cmocka's own handler of the signal would speak too. */
            const int nowhere = open("/dev/null", O_WRONLY);
            dup2(nowhere, STDOUT_FILENO);
            dup2(nowhere, STDERR_FILENO);
            signal(SIGABRT, SIG_DFL);
            misuses[i](&s->j);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(keeps_commas_and_nesting),
        IN_SCENE(goes_32_levels_deep),
        IN_SCENE(escapes),
        IN_SCENE(replaces_what_is_not_utf8),
        IN_SCENE(writes_base64),
        IN_SCENE(floats_are_short),
        IN_SCENE(floats_read_back),
        IN_SCENE(floats_at_the_edges_read_back),
        IN_SCENE(floats_are_the_shortest),
        IN_SCENE(doubles_read_back),
        IN_SCENE(a_full_buffer_fails_quietly),
        IN_SCENE(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
