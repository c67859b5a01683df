#include "server/api_keys.h"

#include "base/buffer.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct str none = { NULL, 0 };

static struct api_keys *parsed(const char *text)
{
    struct api_keys *keys = NULL;
    struct weir_error err;
    if (api_keys_parse(str_of(text), "keys", &keys, &err) != WEIR_OK)
        fail_msg("%s", err.text);
    return keys;
}

/* The name under which a field lets in: "-" for a key without one, NULL for a refusal. */
static const char *name_of(const struct api_keys *keys, struct str authorization, struct str own)
{
    const char *name = "left as it was";
    if (!api_keys_admit(keys, authorization, own, &name)) {
        assert_string_equal(name, "left as it was");
        return NULL;
    }
    return name ? name : "-";
}

static void lines_are_keys(void **state)
{
    (void)state;
    struct api_keys *keys = parsed("# ours\n\n  first:sk-1\t\r\nsk-2\r\n#second:sk-3\n"
                                   "first:sk-4\nb.C_9-:a:b:c=");
    assert_int_equal(api_keys_count(keys), 4);
    assert_string_equal(name_of(keys, none, STR("sk-1")), "first");
    assert_string_equal(name_of(keys, none, STR("sk-2")), "-");
    assert_null(name_of(keys, none, STR("sk-3")));
    assert_string_equal(name_of(keys, none, STR("sk-4")), "first");
    assert_string_equal(name_of(keys, none, STR("a:b:c=")), "b.C_9-");
    assert_null(name_of(keys, none, STR("sk-")));
    assert_null(name_of(keys, none, STR("sk-11")));
    assert_null(name_of(keys, none, STR("first:sk-1")));
    assert_null(name_of(keys, none, STR("")));
    assert_null(name_of(keys, none, none));
    api_keys_destroy(keys);
}

static void fields_carry_keys(void **state)
{
    static const struct {
        const char *field, *name;
    } rows[] = {
        {"Bearer sk-1",             "me"},
        { "bearer   sk-1",          "me"},
        { "BEARER sk-2",            "-" },
        { "Basic dXNlcjpzay0x",     "me"}, /* user:sk-1 */
        { "basic OnNrLTI=",         "-" }, /* :sk-2 */
        { "Basic OnNrLTI",          "-" },
        { "Basic c2stMQ==",         NULL}, /* sk-1, without a user */
        { "Basic dXNlcjpzay0xIA==", NULL}, /* user:sk-1 and a blank */
        { "Basic !",                NULL},
        { "Basic",                  NULL},
        { "Bearer",                 NULL},
        { "Bearersk-1",             NULL},
        { "sk-1",                   NULL},
        { "Digest sk-1",            NULL},
        { "Bearer sk-1 sk-2",       NULL},
        { "",                       NULL},
    };
    struct api_keys *keys = parsed("me:sk-1\nsk-2\n");
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *name = name_of(keys, str_of(rows[i].field), none);
        if ((name == NULL) != (rows[i].name == NULL) || (name && strcmp(name, rows[i].name) != 0))
            fail_msg("'%s' gives %s", rows[i].field, name ? name : "nothing");
    }
    /* The official clients send their own field beside one that a proxy may have made. */
    assert_string_equal(name_of(keys, STR("Bearer wrong"), STR("sk-1")), "me");
    assert_string_equal(name_of(keys, STR("Bearer sk-2"), STR("wrong")), "-");
    assert_null(name_of(keys, STR("Bearer wrong"), STR("wrong")));
    api_keys_destroy(keys);
}

static void wrong_files_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"",                        "no key"                         },
        { "# nothing\n\n",          "no key"                         },
        { "good\nna me:hidden\n",   "keys:2"                         },
        { ":hidden\n",              "before the ':'"                 },
        { "1st:hidden\n",           "before the ':'"                 },
        { "n:\n",                   "visible ASCII"                  },
        { "a b\n",                  "visible ASCII"                  },
        { "a\nb\nkey\x7f\n",        "keys:3"                         },
        { "hidden\xc3\xbc\n",       "visible ASCII"                  },
        { "a:hidden\n\nb:hidden\n", "keys:3: the key of line 1 again"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct api_keys *keys = NULL;
        struct weir_error err;
        assert_int_equal(api_keys_parse(str_of(rows[i].text), "keys", &keys, &err), WEIR_INVALID);
        assert_null(keys);
        if (strstr(err.text, rows[i].says) == NULL || strstr(err.text, "hidden") != NULL)
            fail_msg("%zu: %s", i, err.text);
    }
}

static void there_are_so_many_keys_at_most(void **state)
{
    struct buffer text;
    struct api_keys *keys = NULL;
    struct weir_error err;
    (void)state;
    buffer_init(&text, 64 * 1024);
    for (int i = 0; i < 1024; i++)
        buffer_printf(&text, "c%d:key%d\n", i, i);
    assert_int_equal(api_keys_parse(buffer_view(&text), "keys", &keys, &err), WEIR_OK);
    assert_int_equal(api_keys_count(keys), 1024);
    assert_string_equal(name_of(keys, none, STR("key1023")), "c1023");
    api_keys_destroy(keys);
    buffer_text(&text, "one-more\n");
    assert_int_equal(api_keys_parse(buffer_view(&text), "keys", &keys, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "keys:1025: more than 1024 keys"));
    buffer_finish(&text);
}

static void names_have_their_length(void **state)
{
    char text[80];
    struct api_keys *keys = NULL;
    struct weir_error err;
    (void)state;
    memset(text, 'n', sizeof(text));
    memcpy(text + 64, ":key", 5);
    keys = parsed(text);
    assert_int_equal(strlen(name_of(keys, none, STR("key"))), 64);
    api_keys_destroy(keys);
    memset(text, 'n', sizeof(text));
    memcpy(text + 65, ":key", 5);
    assert_int_equal(api_keys_parse(str_of(text), "keys", &keys, &err), WEIR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_keys),          cmocka_unit_test(fields_carry_keys),
        cmocka_unit_test(wrong_files_are_refused), cmocka_unit_test(there_are_so_many_keys_at_most),
        cmocka_unit_test(names_have_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
