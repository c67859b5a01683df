#include "cmd/options.h"

#include "base/check.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct target {
    const char *name;
    struct option_list items, limits;
    struct option_memory memory;
    int64_t idle_ms, count;
    bool quiet;
    int form;
};

#define AT(member) offsetof(struct target, member)

static const struct option table[] = {
    OPTION(.name = "name", .type = OPTION_STRING, .offset = AT(name), .argument = "NAME",
           .letter = 'n', .help = "A name."),
    OPTION(.name = "item", .type = OPTION_LIST, .offset = AT(items), .argument = "ITEM",
           .environment = "WEIR_ITEM", .fallback = "first", .help = "An item."),
    OPTION(.name = "limit", .type = OPTION_LIST, .offset = AT(limits), .argument = "NAME=VALUE",
           .environment = "WEIR_LIMIT_", .help = "A limit."),
    OPTION(.name = "memory", .type = OPTION_MEMORY, .offset = AT(memory), .argument = "SIZE",
           .environment = "WEIR_MEMORY", .fallback_says = "half", .help = "Memory."),
    OPTION(.name = "idle", .type = OPTION_DURATION, .offset = AT(idle_ms), .argument = "SECONDS",
           .environment = "WEIR_IDLE", .fallback = "60", .least = 1, .most = 3600000,
           .help = "Idle."),
    OPTION(.name = "count", .type = OPTION_INTEGER, .offset = AT(count), .argument = "N",
           .fallback = "4", .least = 1, .most = 64, .help = "Count."),
    OPTION(.name = "quiet", .type = OPTION_FLAG, .offset = AT(quiet), .environment = "WEIR_QUIET",
           .help = "Quiet."),
    OPTION(.name = "form", .type = OPTION_CHOICE, .offset = AT(form), .argument = "FORM",
           .fallback = "text", .choices = "text|json", .help = "Form."),
};

/* Arguments and environment are given as one text each, split at '|'. */
static enum weir_code read(struct options *o, struct target *t, const char *arguments,
                           const char *environment, struct weir_error *err)
{
    static char text[2][512];
    char *words[2][32] = { { NULL } };
    size_t counts[2] = { 0, 0 };
    const char *const sources[2] = { arguments, environment };
    for (size_t s = 0; s < 2; s++) {
        char *at = text[s];
        assert_true(strlen(sources[s]) < sizeof(text[s]));
        memcpy(text[s], sources[s], strlen(sources[s]) + 1);
        while (*at != '\0') {
            char *const bar = strchr(at, '|');
            words[s][counts[s]++] = at;
            if (bar == NULL)
                break;
            *bar = '\0';
            at = bar + 1;
        }
    }
    *t = (struct target){ 0 };
    return options_read(o, table, ARRAY_COUNT(table), t,
                        &(struct option_sources){
                            .argc = (int)counts[0], .argv = words[0], .environment = words[1] },
                        err);
}

static void test_defaults(void **state)
{
    struct options o;
    struct target t;
    struct weir_error err;
    (void)state;
    assert_int_equal(read(&o, &t, "", "", &err), WEIR_OK);
    assert_null(t.name);
    assert_int_equal(t.items.count, 1);
    assert_string_equal(t.items.items[0], "first");
    assert_int_equal(t.limits.count, 0);
    assert_int_equal(t.idle_ms, 60000);
    assert_int_equal(t.count, 4);
    assert_int_equal(t.form, 0);
    assert_int_equal(o.rest_count, 0);
    options_finish(&o);
}

static void test_both_spellings_and_rest(void **state)
{
    struct options o;
    struct target t;
    struct weir_error err;
    (void)state;
    assert_int_equal(
        read(&o, &t, "one|--name=a=b|--idle|1.5s|-|--quiet|--form|json|--memory=50%|--|--count", "",
             &err),
        WEIR_OK);
    assert_string_equal(t.name, "a=b");
    assert_int_equal(t.idle_ms, 1500);
    assert_true(t.quiet);
    assert_int_equal(t.form, 1);
    assert_int_equal(t.memory.percent, 50);
    assert_int_equal(t.memory.bytes, 0);
    assert_int_equal(o.rest_count, 3);
    assert_string_equal(o.rest[1], "-");
    assert_string_equal(o.rest[2], "--count");
    options_finish(&o);
    assert_int_equal(read(&o, &t, "-n|x|-ny", "", &err), WEIR_OK);
    assert_string_equal(t.name, "y");
    options_finish(&o);
}

static void test_order_of_strength(void **state)
{
    struct options o;
    struct target t;
    struct weir_error err;
    (void)state;
    const char *const environment =
        "WEIR_IDLE=5|WEIR_ITEM=e1  e2|WEIR_MEMORY=1GiB|WEIR_LIMIT_QUEUE_"
        "JOBS=7|WEIR_QUIET=no|PATH=/bin|WEIR_LIMIT_=x";
    assert_int_equal(read(&o, &t, "", environment, &err), WEIR_OK);
    assert_int_equal(t.idle_ms, 5000);
    assert_int_equal(t.items.count, 2);
    assert_string_equal(t.items.items[1], "e2");
    assert_int_equal(t.memory.bytes, 1 << 30);
    assert_int_equal(t.limits.count, 1);
    assert_string_equal(t.limits.items[0], "queue_jobs=7");
    assert_false(t.quiet);
    options_finish(&o);
    assert_int_equal(
        read(&o, &t, "--idle=7|--item|f|--item|g|--limit|queue_jobs=9|--quiet", environment, &err),
        WEIR_OK);
    assert_int_equal(t.idle_ms, 7000);
    assert_int_equal(t.items.count, 2); /* flags replace the environment's list … */
    assert_string_equal(t.items.items[0], "f");
    assert_int_equal(t.limits.count, 2); /* … but limits are many variables, each with its name */
    assert_string_equal(t.limits.items[1], "queue_jobs=9");
    assert_true(t.quiet);
    options_finish(&o);
}

/* What is wrong is named: the option, the value, and what would be right. */
static void test_refusals(void **state)
{
    static const struct {
        const char *arguments, *environment, *said[3];
    } cases[] = {
        {"--cuont=5",            "",               { "--cuont", "--count", NULL }               },
        { "--zzzzzzzz",          "",               { "--zzzzzzzz", "'--' comes before", NULL }  },
        { "-x",                  "",               { "-x", NULL, NULL }                         },
        { "--count",             "",               { "--count needs a value", "N", NULL }       },
        { "--count=0",           "",               { "--count", "'0'", "1 to 64" }              },
        { "--count=65",          "",               { "--count", "'65'", "1 to 64" }             },
        { "--count=x",           "",               { "--count", "'x'", "whole number" }         },
        { "--idle=-1",           "",               { "--idle", "'-1'", NULL }                   },
        { "--idle=2h",           "",               { "--idle", "'2h'", "0.001 to 3600 seconds" }},
        { "--form=xml",          "",               { "--form", "'xml'", "text|json" }           },
        { "--memory=0%",         "",               { "--memory", "'0%'", "100%" }               },
        { "--memory=101%",       "",               { "--memory", "101%", NULL }                 },
        { "--memory=0",          "",               { "--memory", "'0'", NULL }                  },
        { "--memory=lots",       "",               { "--memory", "'lots'", NULL }               },
        { "--memory=9437184TiB", "",               { "--memory", "2^63 - 1", NULL }             },
        { "--quiet=maybe",       "",               { "--quiet", "'maybe'", NULL }               },
        { "",                    "WEIR_IDLE=soon", { "WEIR_IDLE", "--idle", "'soon'" }          },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct options o;
        struct target t;
        struct weir_error err;
        if (read(&o, &t, cases[i].arguments, cases[i].environment, &err) == WEIR_OK)
            fail_msg("taken: %s %s", cases[i].arguments, cases[i].environment);
        for (size_t k = 0; k < 3 && cases[i].said[k] != NULL; k++) {
            if (strstr(err.text, cases[i].said[k]) == NULL)
                fail_msg("'%s' does not say '%s'", err.text, cases[i].said[k]);
        }
        options_finish(&o);
    }
}

static void test_printing(void **state)
{
    struct options o;
    struct target t;
    struct weir_error err;
    struct buffer out;
    (void)state;
    assert_int_equal(read(&o, &t, "--count=5|--limit=b=2", "WEIR_IDLE=5|WEIR_LIMIT_A=1", &err),
                     WEIR_OK);
    buffer_init(&out, 4096);
    options_print(&o, &out);
    buffer_u8(&out, '\0');
    assert_string_equal(out.data, "name = none  (default)\n"
                                  "item = first  (default)\n"
                                  "limit = a=1  (environment WEIR_LIMIT_A)\n"
                                  "limit = b=2  (flag)\n"
                                  "memory = half  (default)\n"
                                  "idle = 5  (environment WEIR_IDLE)\n"
                                  "count = 5  (flag)\n"
                                  "quiet = no  (default)\n"
                                  "form = text  (default)\n");
    buffer_finish(&out);
    options_finish(&o);
}

/* As many as a command line may bring: the arena must not be used up by growing. */
static void test_many_items(void **state)
{
    enum { MANY = 100000 };
    char **const words = mem_new(MANY, sizeof(*words));
    char item[] = "--item=x";
    struct options o;
    struct target t = { 0 };
    struct weir_error err;
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        words[i] = item;
    assert_int_equal(options_read(&o, table, ARRAY_COUNT(table), &t,
                                  &(struct option_sources){ .argc = MANY, .argv = words }, &err),
                     WEIR_OK);
    assert_int_equal(t.items.count, MANY);
    assert_string_equal(t.items.items[0], "x");
    assert_string_equal(t.items.items[MANY - 1], "x");
    options_finish(&o);
    mem_free(words);
}

static void test_nearest(void **state)
{
    static const char *const words[] = { "serve", "embed", "tokenize", "ps" };
    (void)state;
    assert_string_equal(options_nearest("server", words, 4), "serve");
    assert_string_equal(options_nearest("tokenise", words, 4), "tokenize");
    assert_string_equal(options_nearest("embd", words, 4), "embed");
    assert_null(options_nearest("chat", words, 4));
    assert_null(options_nearest("configuration-of-everything-that-there-is", words, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),          cmocka_unit_test(test_both_spellings_and_rest),
        cmocka_unit_test(test_order_of_strength), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_printing),          cmocka_unit_test(test_many_items),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
