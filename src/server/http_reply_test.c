#include "server/http_reply.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(struct buffer *b, const char *expected)
{
    assert_false(b->failed);
    buffer_u8(b, 0);
    assert_string_equal((const char *)b->data, expected);
    buffer_clear(b);
}

static void heads_are_written(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 4096);
    http_reply_head(&b,
                    &(struct http_reply){ .status = 200,
                                          .content_type = STR("application/json"),
                                          .content_length = 12,
                                          .keep_alive = true,
                                          .fields = STR("X: y\r\n") },
                    INT64_C(784111777000));
    assert_text(&b, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                    "Content-Type: application/json\r\nContent-Length: 12\r\nX: y\r\n"
                    "Connection: keep-alive\r\n\r\n");
    http_reply_head(&b, &(struct http_reply){ .status = 204 }, 0);
    assert_text(&b, "HTTP/1.1 204 No Content\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                    "Connection: close\r\n\r\n");
    http_reply_head(&b, &(struct http_reply){ .status = 200, .is_chunked = true }, 0);
    assert_text(&b, "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    buffer_finish(&b);
}

/* Every code of the table has a status with a name of its own. */
static void every_status_has_a_reason(void **state)
{
    (void)state;
    for (enum weir_code c = 0; c < WEIR_CODE_COUNT; c++)
        assert_string_not_equal(http_reply_reason(error_http_status(c)), "Status");
}

static void errors_are_objects(void **state)
{
    struct weir_error err;
    struct buffer b;
    (void)state;
    buffer_init(&b, 4096);
    weir_fail(&err, WEIR_INVALID, "no \"x\"");
    http_reply_error(&b, &err, "model");
    assert_text(&b, "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":\"invalid_request_error\","
                    "\"param\":\"model\",\"code\":\"invalid_request\"}}");
    weir_fail(&err, WEIR_QUEUE_FULL, "full");
    http_reply_error(&b, &err, NULL);
    assert_text(&b, "{\"error\":{\"message\":\"full\",\"type\":\"rate_limit_error\","
                    "\"param\":null,\"code\":\"queue_full\"}}");
    weir_fail(&err, WEIR_CONTEXT_LENGTH, "input 2 is too long");
    err.value = 600;
    err.limit = 512;
    err.index = 2;
    http_reply_error(&b, &err, NULL);
    assert_text(&b, "{\"error\":{\"message\":\"input 2 is too long (request of 600 tokens exceeds "
                    "the available context size of 512 tokens)\",\"n_prompt_tokens\":600,"
                    "\"n_ctx\":512,\"type\":\"invalid_request_error\",\"param\":\"input\","
                    "\"code\":\"context_length_exceeded\"}}");
    buffer_finish(&b);
}

static void assert_retry(enum weir_code code, int64_t retry_after_ms, const char *expected)
{
    struct weir_error err = { .code = code, .retry_after_ms = retry_after_ms };
    struct buffer b;
    buffer_init(&b, 4096);
    http_reply_retry(&b, &err);
    assert_text(&b, expected);
    buffer_finish(&b);
}

static void retries_are_advised(void **state)
{
    (void)state;
    assert_retry(WEIR_INVALID, 0, "x-should-retry: false\r\n");
    assert_retry(WEIR_TOO_BIG, 0, "x-should-retry: false\r\n");
    assert_retry(WEIR_LOAD_FAILED, 0, "x-should-retry: false\r\n");
    assert_retry(WEIR_WORKER_LOST, 0, "");
    assert_retry(WEIR_QUEUE_FULL, 0, "Retry-After: 1\r\nretry-after-ms: 1000\r\n");
    assert_retry(WEIR_QUEUE_FULL, 1, "Retry-After: 1\r\nretry-after-ms: 1\r\n");
    assert_retry(WEIR_UNAVAILABLE, 2001, "Retry-After: 3\r\nretry-after-ms: 2001\r\n");
}

static void chunks_are_framed(void **state)
{
    static const char piece[300] = "";
    struct buffer b;
    (void)state;
    buffer_init(&b, sizeof(piece) + HTTP_REPLY_CHUNK_ROOM);
    http_reply_chunk(&b, STR("a"));
    assert_text(&b, "1\r\na\r\n");
    buffer_clear(&b);
    http_reply_chunk(&b, STR("0123456789abcdef"));
    assert_text(&b, "10\r\n0123456789abcdef\r\n");
    buffer_clear(&b);
    http_reply_chunk(&b, (struct str){ piece, sizeof(piece) });
    assert_int_equal(b.len, 3 + 2 + sizeof(piece) + 2);
    assert_memory_equal(b.data, "12c\r\n", 5);
    buffer_clear(&b);
    http_reply_chunk(&b, (struct str){ piece, sizeof(piece) });
    http_reply_chunk(&b, STR("a")); /* finds no room */
    assert_true(b.failed);
    assert_int_equal(b.len, 3 + 2 + sizeof(piece) + 2);
    buffer_finish(&b);
}

static void statuses_are_numbered(void **state)
{
    (void)state;
    for (size_t i = 0; i < HTTP_REPLY_STATUS_COUNT; i++)
        assert_int_equal(http_reply_index(http_reply_status(i)), i);
    for (enum weir_code code = 0; code < WEIR_CODE_COUNT; code++) {
        int status = error_http_status(code);
        assert_int_equal(http_reply_status(http_reply_index(status)), status);
    }
    assert_int_equal(http_reply_status(http_reply_index(418)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_are_numbered),     cmocka_unit_test(heads_are_written),
        cmocka_unit_test(every_status_has_a_reason), cmocka_unit_test(errors_are_objects),
        cmocka_unit_test(retries_are_advised),       cmocka_unit_test(chunks_are_framed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
