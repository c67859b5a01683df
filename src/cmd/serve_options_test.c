#include "cmd/serve_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Reads flags, given as one NULL-terminated list, as the verb does. */
static enum weir_code read(const char *const *flags, struct options *o,
                           struct serve_options *options, struct serve_settings *s,
                           struct weir_error *err)
{
    static char texts[8][128];
    char *argv[8];
    int argc = 0;
    for (; flags[argc] != NULL; argc++) {
        str_print(texts[argc], sizeof(texts[argc]), "%s", flags[argc]);
        argv[argc] = texts[argc];
    }
    *options = (struct serve_options){ 0 };
    *s = (struct serve_settings){ 0 };
    const struct option_sources from = { .argc = argc, .argv = argv };
    const enum weir_code code =
        options_read(o, serve_options_table, SERVE_OPTIONS_COUNT, options, &from, err);
    return code == WEIR_OK ? serve_settings_read(s, o, options, err) : code;
}

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
    struct options o;
    struct serve_options options;
    struct serve_settings s;
    struct weir_error err;
    (void)state;
    assert_int_equal(read(ARGV("--model=a=/x"), &o, &options, &s, &err), WEIR_OK);
    assert_int_equal(options.listen.count, 1);
    assert_string_equal(options.listen.items[0], "127.0.0.1:9347");
    assert_int_equal(options.idle_ms, 60000);
    assert_int_equal(options.idle_label_ms, 0); /* the pool's own default, which heeds idle */
    assert_int_equal(options.max_workers, 4);
    assert_int_equal(options.log_level, LOG_INFO);
    assert_int_equal(s.drain_ms, 5000);
    assert_false(options.allow_image_urls);
    assert_int_equal(options.image_roots.count, 0);
    serve_settings_finish(&s);
    options_finish(&o);
}

/* Units come from the name; the server's own limits stay with it, the rest goes to the pool. */
static void test_limits(void **state)
{
    struct options o;
    struct serve_options options;
    struct serve_settings s;
    struct weir_error err;
    (void)state;
    assert_int_equal(
        read(ARGV("--limit=body_bytes=2MiB", "--limit=head_ms=3s", "--limit=queue_jobs=5",
                  "--limit=drain_ms=250ms", "--limit=queue_jobs=6", "--limit=min_stay_ms=0"),
             &o, &options, &s, &err),
        WEIR_OK);
    assert_int_equal(s.server_limits.body_bytes, 2 << 20);
    assert_int_equal(s.server_limits.head_ms, 3000);
    assert_int_equal(s.pool_limits_count, 3);
    assert_string_equal(s.pool_limits[0].name, "queue_jobs");
    assert_int_equal(s.pool_limits[0].value, 6);
    assert_int_equal(s.drain_ms, 250);
    serve_settings_finish(&s);
    options_finish(&o);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *first, *second, *says;
    } cases[] = {
        {"--idle=10",                 "--idle-label=11", "11 s is more than idle, 10 s" },
        { "--min-workers=3",          "--max-workers=2", "3 is more than max-workers, 2"},
        { "--listen=localhost",       "",                "HOST:PORT"                    },
        { "--listen=:80",             "",                "HOST:PORT"                    },
        { "--listen=[::1]:65536",     "",                "HOST:PORT"                    },
        { "--listen=::1:80",          "",                "HOST:PORT"                    },
        { "--listen=http://a:80",     "",                "HOST:PORT"                    },
        { "--allow-host=a:80",        "",                "without a port"               },
        { "--allow-origin=http://a/", "",                "without a path"               },
        { "--limit=queue_jobs",       "",                "NAME=VALUE"                   },
        { "--limit=queue_jobs=-1",    "",                "'-1'"                         },
        { "--limit=body_bytes=0",     "",                "less than 1"                  },
        { "--limit=head_ms=soon",     "",                "head_ms"                      },
        { "--limit=quue_jobs=1",      "",                "perhaps 'queue_jobs'"         },
        { "--limit=queue_jobs=0",     "",                "--limit: queue_jobs"          },
        { "--idle=2147484",           "",                "2147484"                      },
        { "--threads=0",              "",                "1 to 1024"                    },
        { "--log-level=loud",         "",                "debug|info|warn|error"        },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options o;
        struct serve_options options;
        struct serve_settings s;
        struct weir_error err;
        const char *const second = cases[i].second[0] != '\0' ? cases[i].second : NULL;
        if (read(ARGV(cases[i].first, second), &o, &options, &s, &err) != WEIR_INVALID)
            fail_msg("taken: %s %s", cases[i].first, cases[i].second);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("'%s' does not say '%s'", err.text, cases[i].says);
        serve_settings_finish(&s);
        options_finish(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
