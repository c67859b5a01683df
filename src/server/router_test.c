#include "server/router.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* One request line: the path of the route that is found and the rest, or the code. */
struct row {
    const char *method, *path;
    enum weir_code code;
    const char *route, *rest;
};

static const struct row rows[] = {
    {"POST",    "/v1/embeddings",         WEIR_OK,           "/v1/embeddings",      ""           },
    { "GET",    "/v1/models",             WEIR_OK,           "/v1/models",          ""           },
    { "HEAD",   "/v1/models",             WEIR_OK,           "/v1/models",          ""           },
    { "GET",    "/v1/models/mini",        WEIR_OK,           "/v1/models/",         "mini"       },
    { "GET",    "/v1/models/qwen/foo:q4", WEIR_OK,           "/v1/models/",         "qwen/foo:q4"},
    { "GET",    "/v1/models/a%2Fb%3aq4",  WEIR_OK,           "/v1/models/",         "a/b:q4"     },
    { "GET",    "/v1/models/%C3%A9",      WEIR_OK,           "/v1/models/",         "\xc3\xa9"   },
    { "GET",    "/v1/models/a+b",         WEIR_OK,           "/v1/models/",         "a+b"        },
    { "GET",    "/v1/models/%",           WEIR_INVALID,      NULL,                  NULL         },
    { "GET",    "/v1/models/%4",          WEIR_INVALID,      NULL,                  NULL         },
    { "GET",    "/v1/models/%4g",         WEIR_INVALID,      NULL,                  NULL         },
    { "GET",    "/v1/models/a%00b",       WEIR_INVALID,      NULL,                  NULL         },
    { "GET",    "/v1/models/%ff",         WEIR_INVALID,      NULL,                  NULL         },
    { "GET",    "/v1/models/",            WEIR_NO_SUCH_PATH, NULL,                  NULL         },
    { "GET",    "/",                      WEIR_NO_SUCH_PATH, NULL,                  NULL         },
    { "GET",    "/v1/modelsx",            WEIR_NO_SUCH_PATH, NULL,                  NULL         },
    { "POST",   "/v1/embeddings/",        WEIR_NO_SUCH_PATH, NULL,                  NULL         },
    { "POST",   "/V1/embeddings",         WEIR_NO_SUCH_PATH, NULL,                  NULL         },
    { "GET",    "/v1/embeddings",         WEIR_METHOD,       NULL,                  NULL         },
    { "HEAD",   "/v1/embeddings",         WEIR_METHOD,       NULL,                  NULL         },
    { "PUT",    "/v1/models/mini",        WEIR_METHOD,       NULL,                  NULL         },
    { "GET",    "/health/live",           WEIR_OK,           "/health/live",        ""           },
    { "GET",    "/health/ready",          WEIR_OK,           "/health/ready",       ""           },
    { "GET",    "/weir/v1/status",        WEIR_OK,           "/weir/v1/status",     ""           },
    { "GET",    "/weir/v1/events",        WEIR_OK,           "/weir/v1/events",     ""           },
    { "POST",   "/weir/v1/tokenize",      WEIR_OK,           "/weir/v1/tokenize",   ""           },
    { "POST",   "/weir/v1/detokenize",    WEIR_OK,           "/weir/v1/detokenize", ""           },
    { "POST",   "/weir/v1/load",          WEIR_OK,           "/weir/v1/load",       ""           },
    { "POST",   "/weir/v1/unload",        WEIR_OK,           "/weir/v1/unload",     ""           },
    { "POST",   "/weir/v1/pin",           WEIR_OK,           "/weir/v1/pin",        ""           },
    { "POST",   "/weir/v1/unpin",         WEIR_OK,           "/weir/v1/unpin",      ""           },
    { "GET",    "/weir/v1/plan",          WEIR_OK,           "/weir/v1/plan",       ""           },
    { "GET",    "/weir/v1/requests",      WEIR_OK,           "/weir/v1/requests",   ""           },
    { "GET",    "/weir/v1/requests/a-1",  WEIR_OK,           "/weir/v1/requests/",  "a-1"        },
    { "DELETE", "/weir/v1/requests/a-1",  WEIR_OK,           "/weir/v1/requests/",  "a-1"        },
    { "DELETE", "/weir/v1/requests",      WEIR_METHOD,       NULL,                  NULL         },
    { "GET",    "/metrics",               WEIR_OK,           "/metrics",            ""           },
    { "POST",   "/embed",                 WEIR_OK,           "/embed",              ""           },
    { "GET",    "/embed",                 WEIR_METHOD,       NULL,                  NULL         },
    { "GET",    "/info",                  WEIR_OK,           "/info",               ""           },
    { "HEAD",   "/health",                WEIR_OK,           "/health",             ""           },
    { "GET",    "/health/",               WEIR_NO_SUCH_PATH, NULL,                  NULL         },
};

/* The reference is made of the table. */
static void routes_say_what_they_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < router_count(); i++) {
        assert_non_null(router_at(i)->says);
        assert_true(str_ends(str_of(router_at(i)->says), STR(".")));
    }
}

static void routes_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena arena;
        struct str rest;
        struct weir_error err = { .code = WEIR_OK };
        arena_init(&arena, 64 * 1024);
        const struct route *r =
            router_find(str_of(rows[i].method), str_of(rows[i].path), &arena, &rest, &err);
        if (err.code != rows[i].code)
            fail_msg("%s %s: code %d", rows[i].method, rows[i].path, err.code);
        assert_int_equal(r != NULL, rows[i].code == WEIR_OK);
        if (r) {
            assert_string_equal(r->path, rows[i].route);
            assert_non_null(r->begin);
            assert_string_equal(rest.data, rows[i].rest);
            assert_int_equal(rest.len, strlen(rows[i].rest));
        }
        arena_finish(&arena);
    }
}

static void assert_allows(const char *path, const char *methods)
{
    struct buffer b;
    buffer_init(&b, 256);
    router_allow(str_of(path), &b);
    assert_true(str_eq(buffer_view(&b), str_of(methods)));
    buffer_finish(&b);
}

static void allowed_methods_are_listed(void **state)
{
    (void)state;
    assert_allows("/v1/embeddings", "POST, OPTIONS");
    assert_allows("/v1/chat/completions", "POST, OPTIONS");
    assert_allows("/v1/images/generations", "POST, OPTIONS");
    assert_allows("/v1/models", "GET, HEAD, OPTIONS");
    assert_allows("/v1/models/a/b", "GET, HEAD, OPTIONS");
    assert_allows("/weir/v1/requests/a", "GET, HEAD, DELETE, OPTIONS");
    assert_allows("/nothing", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_say_what_they_answer),
        cmocka_unit_test(routes_are_found),
        cmocka_unit_test(allowed_methods_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
