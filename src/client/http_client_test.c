#include "client/http_client.h"

#include "client/test_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *port;
    } good[] = {
        {"http://127.0.0.1:9347", "127.0.0.1", "9347" },
        { "http://localhost:1/",  "localhost", "1"    },
        { "http://example",       "example",   "80"   },
        { "http://[::1]:65535",   "::1",       "65535"},
        { "http://[::1]",         "::1",       "80"   },
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct http_url url;
        struct weir_error err;
        assert_int_equal(http_client_url(good[i].text, &url, &err), WEIR_OK);
        assert_string_equal(url.host, good[i].host);
        assert_string_equal(url.port, good[i].port);
        assert_int_equal(url.host_is_v6, strchr(good[i].text, '[') != NULL);
    }
    static const char *const bad[] = {
        "",
        "127.0.0.1:9347",
        "https://127.0.0.1:9347",
        "http://",
        "http://:80",
        "http://a:0",
        "http://a:65536",
        "http://a:",
        "http://a:8x",
        "http://a:80/path",
        "http://user@a:80",
        "http://a\r\nX: y:80",
        "http://[::1",
        "http://[::1]80",
        "http://a:1:2",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct http_url url;
        struct weir_error err;
        if (http_client_url(bad[i], &url, &err) == WEIR_OK)
            fail_msg("taken as a URL: %s", bad[i]);
        assert_int_equal(err.code, WEIR_INVALID);
    }
}

static enum weir_code exchange(struct one_shot *s, const char *key, int64_t total_ms,
                               struct response *reply, struct weir_error *err)
{
    const struct http_url url = one_shot_listen(s);
    const struct http_request request = { .method = "POST",
                                          .path = "/v1/x",
                                          .api_key = key,
                                          .body = STR("{}"),
                                          .connect_ms = 2000,
                                          .total_ms = total_ms };
    bool connected;
    one_shot_start(s);
    response_init(reply, true, 1000);
    const enum weir_code code = http_client_send(&url, &request, reply, &connected, err);
    assert_true(connected);
    one_shot_end(s);
    return code;
}

static void test_exchange(void **state)
{
    (void)state;
    struct one_shot s = { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" };
    struct response reply;
    struct weir_error err;
    assert_int_equal(exchange(&s, "secret", 5000, &reply, &err), WEIR_OK);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.len, 2);
    assert_non_null(strstr(s.got, "POST /v1/x HTTP/1.1\r\n"));
    assert_non_null(strstr(s.got, "\r\nAuthorization: Bearer secret\r\n"));
    assert_non_null(strstr(s.got, "\r\nContent-Length: 2\r\n"));
    assert_non_null(strstr(s.got, "\r\nHost: 127.0.0.1:"));
    response_finish(&reply);
}

static void test_silence_has_a_limit(void **state)
{
    (void)state;
    struct one_shot s = { .answer = NULL };
    struct response reply;
    struct weir_error err;
    assert_int_equal(exchange(&s, NULL, 50, &reply, &err), WEIR_DEADLINE);
    response_finish(&reply);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct one_shot s = { .answer = NULL };
    const struct http_url url = one_shot_listen(&s);
    close(s.listener);
    const struct http_request request = {
        .method = "GET", .path = "/", .connect_ms = 500, .total_ms = 500
    };
    struct response reply;
    struct weir_error err;
    bool connected = true;
    response_init(&reply, true, 1000);
    assert_int_equal(http_client_send(&url, &request, &reply, &connected, &err), WEIR_UNAVAILABLE);
    assert_false(connected);
    response_finish(&reply);
}

static void test_key_cannot_write_headers(void **state)
{
    (void)state;
    const struct http_url url = { .host = "127.0.0.1", .port = "1" };
    const struct http_request request = {
        .method = "GET", .path = "/", .api_key = "a\r\nX: y", .connect_ms = 500, .total_ms = 500
    };
    struct response reply;
    struct weir_error err;
    bool connected;
    response_init(&reply, true, 1000);
    assert_int_equal(http_client_send(&url, &request, &reply, &connected, &err), WEIR_INVALID);
    response_finish(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_silence_has_a_limit),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_key_cannot_write_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
