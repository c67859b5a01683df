#include "client/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BODY_MAX 1000

#define OK      "HTTP/1.1 200 OK\r\n"
#define LENGTH  "Content-Length: "
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

enum how {
    PLAIN,
    NO_BODY, /* the answer to HEAD */
    BY_CLOSE /* complete only when the connection ends */
};

struct legal {
    int status;
    enum how how;
    const char *body;
    const char *text;
};

static const struct legal legal[] = {
    {200,  PLAIN,    "hello",     OK LENGTH "5\r\n\r\nhello"                                     },
    { 200, PLAIN,    "hello",     "HTTP/1.1 200\r\ncontent-length:5\r\n\r\nhello"                },
    { 404, BY_CLOSE, "gone",      "HTTP/1.0 404 Not Found\r\n\r\ngone"                           },
    { 200, PLAIN,    "",          OK LENGTH "0\r\n\r\n"                                          },
    { 204, PLAIN,    "",          "HTTP/1.1 204 No Content\r\n\r\n"                              },
    { 200, NO_BODY,  "",          OK LENGTH "5\r\n\r\n"                                          },
    { 200, PLAIN,    "ok",        "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" OK LENGTH "2\r\n\r\nok"},
    { 200, PLAIN,    "abc012345", CHUNKED "3\r\nabc\r\n6;x=y\r\n012345\r\n0\r\n\r\n"             },
    { 200, PLAIN,    "",          CHUNKED "000\r\nTrailer: 1\r\n\r\n"                            },
};

static const char *const hostile[] = {
    "",
    "\r\n",
    "garbage\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.1 99 Low\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 -20 OK\r\n\r\n",
    "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
};

/* Feeds in pieces of `step` bytes; returns whether the response was taken as whole. */
static bool feed(struct response *r, const char *text, size_t size, size_t step, bool end)
{
    struct weir_error err = { .code = WEIR_OK };
    for (size_t at = 0; at < size; at += step) {
        const size_t n = size - at < step ? size - at : step;
        if (response_feed(r, text + at, n, &err) != WEIR_OK) {
            assert_int_equal(err.code, WEIR_INVALID);
            assert_true(err.text[0] != '\0');
            return false;
        }
    }
    if (end && response_end(r, &err) != WEIR_OK) {
        assert_true(err.text[0] != '\0');
        return false;
    }
    return response_done(r);
}

static void test_legal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
        const size_t size = strlen(legal[i].text);
        for (size_t step = 1; step <= size; step++) {
            struct response r;
            response_init(&r, legal[i].how != NO_BODY, BODY_MAX);
            assert_true(feed(&r, legal[i].text, size, step, legal[i].how == BY_CLOSE));
            assert_int_equal(r.status, legal[i].status);
            assert_int_equal(r.body.len, strlen(legal[i].body));
            if (r.body.len > 0)
                assert_memory_equal(r.body.data, legal[i].body, r.body.len);
            response_finish(&r);
        }
    }
}

static void test_hostile(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        const size_t size = strlen(hostile[i]);
        for (size_t step = 1; step <= size + 1; step++) {
            struct response r;
            response_init(&r, true, BODY_MAX);
            if (feed(&r, hostile[i], size, step, true))
                fail_msg("taken as a response: %s", hostile[i]);
            response_finish(&r);
        }
    }
}

/* Every cut of a complete response is incomplete, and says so when the connection ends there. */
static void test_cuts(void **state)
{
    (void)state;
    const char *const text = legal[7].text;
    for (size_t cut = 0; cut < strlen(text); cut++) {
        struct response r;
        response_init(&r, true, BODY_MAX);
        assert_false(feed(&r, text, cut, 7, true));
        response_finish(&r);
    }
}

static void test_headers(void **state)
{
    (void)state;
    static const char text[] =
        "HTTP/1.1 429 Busy\r\nRetry-After:  7 \r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n";
    struct response r;
    response_init(&r, true, BODY_MAX);
    assert_true(feed(&r, text, sizeof(text) - 1, 3, false));
    assert_true(str_eq(response_header(&r, "retry-after"), STR("7")));
    assert_true(str_eq(response_header(&r, "X-A"), STR("1")));
    assert_int_equal(response_header(&r, "x-b").len, 0);
    response_finish(&r);
}

/* A head without end and a trailer without end both meet the same ceiling. */
static void test_ceilings(void **state)
{
    (void)state;
    static const char *const begins[] = {
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        struct weir_error err = { .code = WEIR_OK };
        struct response r;
        size_t fed = 0;
        response_init(&r, true, BODY_MAX);
        assert_int_equal(response_feed(&r, begins[i], strlen(begins[i]), &err), WEIR_OK);
        while (fed < 100000 && response_feed(&r, "X-More: 1\r\n", 11, &err) == WEIR_OK)
            fed += 11;
        assert_true(fed <= RESPONSE_HEAD_MAX);
        assert_int_equal(err.code, WEIR_INVALID);
        response_finish(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legal),    cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_cuts),     cmocka_unit_test(test_headers),
        cmocka_unit_test(test_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
