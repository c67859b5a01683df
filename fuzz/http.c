/* The bytes of one connection: requests, one behind the other. However they are cut into pieces,
 * the events are the same, but for which of two mistakes is named; what is a request has a head
 * without a stray byte, a body of the length that it states, and nothing beyond its limits; what is
 * none says why. */
#include "fuzz/fuzz.h"

#include "base/buffer.h"
#include "base/check.h"
#include "server/http_head.h"

#include <string.h>

#define HEAD_MAX 1500
#define BODY_MAX 600

/* What came out of a stream: each request in words, then the error. */
struct outcome {
    struct buffer log;
    struct weir_error err;
};

/* One request that is being read. */
struct reading {
    struct http_head *head;
    size_t begin;  /* of the request, in the stream */
    uint64_t body; /* bytes of it so far */
};

/* Lines end in CRLF, neither stands alone, and no other control character does but the tab. */
static void check_clean(struct str head)
{
    for (size_t i = 0; i < head.len; i++) {
        const unsigned char b = (unsigned char)head.data[i];
        if (b == '\r')
            CHECK(i + 1 < head.len && head.data[i + 1] == '\n');
        else if (b == '\n')
            CHECK(i > 0 && head.data[i - 1] == '\r');
        else
            CHECK((b >= 0x20 || b == '\t') && b != 0x7f);
    }
    CHECK(head.len <= HEAD_MAX + 2 && str_ends(head, STR("\r\n\r\n")));
}

static void note_head(struct outcome *o, const struct reading *r)
{
    const struct http_request *q = http_head_request(r->head);
    const struct str host = http_head_field(r->head, STR("HOST"));
    CHECK(q->method.len > 0 && q->path.len > 0 && q->minor <= 1 && q->head == r->head);
    CHECK(q->path.data[0] == '/' || str_eq(q->path, STR("*")));
    CHECK(q->minor == 0 || (host.data != NULL && host.len > 0 && q->host.len > 0));
    CHECK(q->content_length <= BODY_MAX && !(q->is_chunked && q->content_length > 0));
    CHECK(q->has_body == (q->is_chunked || q->content_length > 0));
    CHECK(http_head_field(r->head, STR("no such field")).data == NULL);
    CHECK(http_head_is_begun(r->head));
    buffer_printf(&o->log, "%.*s %.*s?%.*s@%.*s %d%d%d%d%d %llu\n", STR_ARG(q->method),
                  STR_ARG(q->path), STR_ARG(q->query), STR_ARG(q->host), q->minor, q->keep_alive,
                  q->has_body, q->is_chunked, q->expects_continue,
                  (unsigned long long)q->content_length);
}

static void end_request(struct outcome *o, struct reading *r, size_t at)
{
    buffer_printf(&o->log, "= %llu\n", (unsigned long long)r->body);
    r->begin = at;
    r->body = 0;
    http_head_reset(r->head);
    CHECK(!http_head_is_begun(r->head));
}

static void take(struct outcome *o, struct reading *r, struct str stream, size_t at,
                 const struct http_event *event)
{
    const struct http_request *q = http_head_request(r->head);
    switch (event->kind) {
    case HTTP_EVENT_MORE: return;
    case HTTP_EVENT_HEAD:
        check_clean((struct str){ stream.data + r->begin, at - r->begin });
        note_head(o, r);
        if (!q->has_body)
            end_request(o, r, at);
        return;
    case HTTP_EVENT_BODY:
        CHECK(q->has_body && event->body.len > 0);
        r->body += event->body.len;
        CHECK(r->body <= BODY_MAX);
        buffer_str(&o->log, event->body);
        return;
    case HTTP_EVENT_DONE:
        CHECK(q->is_chunked || r->body == q->content_length);
        end_request(o, r, at);
        return;
    case HTTP_EVENT_BAD:
        fuzz_check_error(&event->error, event->error.code, NULL);
        o->err = event->error;
        return;
    }
}

static struct outcome read_stream(struct str stream, size_t step)
{
    struct outcome o = { .err = { .code = WEIR_OK } };
    struct reading r = { .head = http_head_create(HEAD_MAX, BODY_MAX) };
    buffer_init(&o.log, 1024 * 1024);
    for (size_t end, at = 0; at < stream.len && o.err.code == WEIR_OK; at = end) {
        struct http_event event = { .kind = HTTP_EVENT_BODY };
        end = stream.len - at < step ? stream.len : at + step;
        while (o.err.code == WEIR_OK && event.kind != HTTP_EVENT_MORE) {
            const struct str in = { stream.data + at, end - at };
            const size_t n = http_head_feed(r.head, in, &event);
            CHECK(n <= in.len);
            at += n;
            take(&o, &r, stream, at, &event);
        }
        CHECK(at == end || o.err.code != WEIR_OK);
    }
    CHECK(!o.log.failed);
    http_head_destroy(r.head);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = { 1, 7, 64 };
    const struct str stream = { (const char *)data, size };
    struct outcome whole = read_stream(stream, size + 1);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct outcome cut = read_stream(stream, steps[i]);
        CHECK((cut.err.code == WEIR_OK) == (whole.err.code == WEIR_OK));
        CHECK(str_eq(buffer_view(&cut.log), buffer_view(&whole.log)));
        buffer_finish(&cut.log);
    }
    buffer_finish(&whole.log);
    return 0;
}
