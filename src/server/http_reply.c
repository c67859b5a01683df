#include "server/http_reply.h"

#include "base/check.h"
#include "base/error.h"
#include "base/jsonw.h"

#include <string.h>
#include <time.h>

#define STATUSES(X)                                                                                \
    X(200, "OK")                                                                                   \
    X(204, "No Content")                                                                           \
    X(400, "Bad Request")                                                                          \
    X(401, "Unauthorized")                                                                         \
    X(403, "Forbidden")                                                                            \
    X(404, "Not Found")                                                                            \
    X(405, "Method Not Allowed")                                                                   \
    X(408, "Request Timeout")                                                                      \
    X(409, "Conflict")                                                                             \
    X(413, "Content Too Large")                                                                    \
    X(415, "Unsupported Media Type")                                                               \
    X(417, "Expectation Failed")                                                                   \
    X(422, "Unprocessable Content")                                                                \
    X(429, "Too Many Requests")                                                                    \
    X(431, "Request Header Fields Too Large")                                                      \
    X(499, "Client Closed Request")                                                                \
    X(500, "Internal Server Error")                                                                \
    X(501, "Not Implemented")                                                                      \
    X(502, "Bad Gateway")                                                                          \
    X(503, "Service Unavailable")                                                                  \
    X(504, "Gateway Timeout")                                                                      \
    X(507, "Insufficient Storage")

const char *http_reply_reason(int status)
{
    switch (status) {
#define X(number, text)                                                                            \
    case number: return text;
        STATUSES(X)
#undef X
    default: return "Status";
    }
}

static const int statuses[] = {
#define X(number, text) number,
    STATUSES(X)
#undef X
        0,
};
_Static_assert(sizeof(statuses) / sizeof(statuses[0]) == HTTP_REPLY_STATUS_COUNT,
               "HTTP_REPLY_STATUS_COUNT is one more than there are rows");

size_t http_reply_index(int status)
{
    size_t i = 0;
    while (i + 1 < HTTP_REPLY_STATUS_COUNT && statuses[i] != status)
        i++;
    return i;
}

int http_reply_status(size_t index)
{
    CHECK(index < HTTP_REPLY_STATUS_COUNT);
    return statuses[index];
}

/* Written out by hand because strftime's names follow the locale. */
static void write_date(struct buffer *out, int64_t wall_ms)
{
    static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t;
    if (gmtime_r(&seconds, &t) == NULL)
        return;
    buffer_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[t.tm_wday], t.tm_mday,
                  months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

void http_reply_head(struct buffer *out, const struct http_reply *reply, int64_t wall_ms)
{
    buffer_printf(out, "HTTP/1.1 %d %s\r\n", reply->status, http_reply_reason(reply->status));
    write_date(out, wall_ms);
    if (reply->content_type.len > 0)
        buffer_printf(out, "Content-Type: %.*s\r\n", STR_ARG(reply->content_type));
    if (reply->is_chunked)
        buffer_text(out, "Transfer-Encoding: chunked\r\n");
    else if (!reply->is_endless && reply->status != 204)
        buffer_printf(out, "Content-Length: %llu\r\n", (unsigned long long)reply->content_length);
    buffer_str(out, reply->fields);
    buffer_printf(out, "Connection: %s\r\n\r\n", reply->keep_alive ? "keep-alive" : "close");
}

/* Digits by hand: a stream of tokens comes through here once a token. */
void http_reply_chunk(struct buffer *out, struct str piece)
{
    static const char hex[] = "0123456789abcdef";
    char size[2 * sizeof(piece.len)];
    size_t at = sizeof(size);
    size_t left = piece.len;
    do
        size[--at] = hex[left & 15];
    while ((left >>= 4) > 0);
    if (buffer_reserve(out, piece.len + HTTP_REPLY_CHUNK_ROOM) == NULL)
        return; /* all of it or nothing */
    buffer_append(out, size + at, sizeof(size) - at);
    buffer_text(out, "\r\n");
    buffer_str(out, piece);
    buffer_text(out, "\r\n");
}

const char *http_reply_type(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 429: return "rate_limit_error";
    case 503: return "unavailable_error";
    default: return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

/* Programs look for the phrase; the pool's own sentence says which input it was. */
static void write_overflow(struct jsonw *j, const struct weir_error *err)
{
    static const char phrase[] = "exceeds the available context size";
    struct buffer message;
    buffer_init(&message, 2 * sizeof(err->text));
    buffer_text(&message, err->text);
    if (strstr(err->text, phrase) == NULL)
        buffer_printf(&message, " (request of %lld tokens %s of %lld tokens)",
                      (long long)err->value, phrase, (long long)err->limit);
    jsonw_key(j, "message"), jsonw_str(j, buffer_view(&message));
    jsonw_key(j, "n_prompt_tokens"), jsonw_i64(j, err->value);
    jsonw_key(j, "n_ctx"), jsonw_i64(j, err->limit);
    buffer_finish(&message);
}

/* The field at fault, where the code alone tells. */
static const char *param_of(const struct weir_error *err)
{
    if (err->code == WEIR_NO_SUCH_MODEL)
        return "model";
    return err->index >= 0 || err->code == WEIR_CONTEXT_LENGTH ? "input" : NULL;
}

void http_reply_error(struct buffer *out, const struct weir_error *err, const char *param)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "error");
    jsonw_object(&j);
    if (err->code == WEIR_CONTEXT_LENGTH)
        write_overflow(&j, err);
    else
        jsonw_key(&j, "message"), jsonw_text(&j, err->text[0] ? err->text : error_says(err->code));
    jsonw_key(&j, "type"), jsonw_text(&j, http_reply_type(error_http_status(err->code)));
    jsonw_key(&j, "param"), jsonw_text(&j, param ? param : param_of(err));
    jsonw_key(&j, "code"), jsonw_text(&j, error_name(err->code));
    jsonw_end(&j);
    jsonw_end(&j);
}

void http_reply_retry(struct buffer *fields, const struct weir_error *err)
{
    int status = error_http_status(err->code);
    if (!error_retryable(err->code))
        buffer_text(fields, "x-should-retry: false\r\n");
    if (status != 429 && status != 503)
        return;
    int64_t ms = err->retry_after_ms > 0 ? err->retry_after_ms : 1000;
    buffer_printf(fields, "Retry-After: %lld\r\nretry-after-ms: %lld\r\n",
                  (long long)(ms / 1000 + (ms % 1000 != 0)), (long long)ms);
}
