#include "server/http_head.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "server/http_chunks.h"

#include <http_parser.h>
#include <string.h>

#define FIELDS_MAX 100

/* Framing of a chunked body may cost so much a byte of body; one-byte chunks need 5. */
#define FRAMING_PER_BYTE 8

enum stage { STAGE_HEAD, STAGE_LENGTH, STAGE_CHUNKS, STAGE_ENDED };

/* Where the scan of the head stands: what the last bytes were. */
enum ending { ENDING_NONE, ENDING_CR, ENDING_CRLF, ENDING_CRLF_CR };

struct http_head {
    http_parser parser;
    struct buffer raw; /* the head as it came, without the empty line before it */
    struct http_request request;
    struct http_chunks chunks;
    uint64_t body_max;
    uint64_t body_seen;
    uint64_t framing_seen;
    enum stage stage;
    enum ending ending;
    uint8_t skipped;  /* bytes of one empty line before the request line */
    bool is_complete; /* the library saw the end of the head */
};

static int on_headers_complete(http_parser *parser)
{
    struct http_head *h = parser->data;
    h->is_complete = true;
    h->request.keep_alive = http_should_keep_alive(parser) != 0;
    return 0;
}

static const http_parser_settings settings = { .on_headers_complete = on_headers_complete };

struct http_head *http_head_create(size_t head_bytes_max, uint64_t body_bytes_max)
{
    struct http_head *h = mem_new(1, sizeof(*h));
    /* The library's own limit is one for the process; ours is checked first. */
    http_parser_set_max_header_size(UINT32_MAX / 2);
    buffer_init(&h->raw, head_bytes_max);
    h->body_max = body_bytes_max;
    http_head_reset(h);
    return h;
}

void http_head_destroy(struct http_head *h)
{
    if (h == NULL)
        return;
    buffer_finish(&h->raw);
    mem_free(h);
}

void http_head_reset(struct http_head *h)
{
    buffer_finish(&h->raw);
    http_parser_init(&h->parser, HTTP_REQUEST);
    h->parser.data = h;
    h->request = (struct http_request){ .head = h };
    h->body_seen = h->framing_seen = 0;
    h->stage = STAGE_HEAD;
    h->ending = ENDING_NONE;
    h->skipped = 0;
    h->is_complete = false;
}

bool http_head_is_begun(const struct http_head *h)
{
    return h->raw.len > 0;
}

const struct http_request *http_head_request(const struct http_head *h)
{
    return &h->request;
}

/* Takes the line at *at without its CRLF and moves on; false at the empty line that ends the
 * head. */
static bool next_line(const struct http_head *h, size_t *at, struct str *line)
{
    const char *data = (const char *)h->raw.data + *at;
    const char *end = memchr(data, '\r', h->raw.len - *at);
    if (end == NULL || end == data)
        return false;
    *line = (struct str){ data, (size_t)(end - data) };
    *at += line->len + 2;
    return true;
}

struct str http_head_field(const struct http_head *h, struct str name)
{
    size_t at = 0;
    struct str line, key, value;
    if (!h->is_complete || !next_line(h, &at, &line))
        return (struct str){ NULL, 0 };
    while (next_line(h, &at, &line))
        if (str_cut(line, ':', &key, &value) && str_eq_ignore_case(key, name))
            return str_trim(value);
    return (struct str){ NULL, 0 };
}

/* The characters of a field name and of a method (RFC 9110, token). */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char b = (unsigned char)s.data[i];
        if (b <= 0x20 || b >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", b) != NULL)
            return false;
    }
    return s.len > 0;
}

static bool is_visible(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] <= 0x20 || (unsigned char)s.data[i] >= 0x7f)
            return false;
    return s.len > 0;
}

/* An absolute target ("http://host/path") names the host that counts (RFC 9112, 3.2.2). */
static enum weir_code read_target(struct http_request *r, struct str target, struct weir_error *err)
{
    static const struct str scheme = { "http://", 7 };
    if (target.len > scheme.len &&
        str_eq_ignore_case((struct str){ target.data, scheme.len }, scheme)) {
        struct str rest = { target.data + scheme.len, target.len - scheme.len };
        size_t n = 0;
        while (n < rest.len && rest.data[n] != '/' && rest.data[n] != '?')
            n++;
        r->host = (struct str){ rest.data, n };
        target = (struct str){ rest.data + n, rest.len - n };
        if (r->host.len == 0)
            return weir_fail(err, WEIR_INVALID, "the request target names no host");
        if (target.len == 0 || target.data[0] == '?') {
            str_cut(target, '?', &r->path, &r->query);
            r->path = STR("/");
            return WEIR_OK;
        }
    }
    bool is_star = str_eq(target, STR("*")) && str_eq(r->method, STR("OPTIONS"));
    if (target.len == 0 || (target.data[0] != '/' && !is_star))
        return weir_fail(err, WEIR_INVALID, "the request target must begin with '/'");
    str_cut(target, '?', &r->path, &r->query);
    return WEIR_OK;
}

static enum weir_code read_request_line(struct http_request *r, struct str line,
                                        struct weir_error *err)
{
    struct str rest, target, version;
    bool is_whole = str_cut(line, ' ', &r->method, &rest) && str_cut(rest, ' ', &target, &version);
    if (!is_whole || !is_token(r->method) || !is_visible(target))
        return weir_fail(err, WEIR_INVALID,
                         "the request line must be a method, a target and a version, with one "
                         "space between them");
    if (str_eq(version, STR("HTTP/1.1")))
        r->minor = 1;
    else if (!str_eq(version, STR("HTTP/1.0")))
        return weir_fail(err, WEIR_INVALID, "the request must be of HTTP/1.1 or HTTP/1.0");
    return read_target(r, target, err);
}

/* The fields that decide how the request is read: how often each came, and its last value. */
struct framing {
    struct str host, length, coding, expect;
    size_t hosts, lengths, codings, fields;
    bool expects_more; /* than a 100 */
};

static enum weir_code collect_field(struct framing *f, struct str line, struct weir_error *err)
{
    struct str name, value;
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return weir_fail(err, WEIR_INVALID, "header field %zu is folded over two lines", f->fields);
    if (++f->fields > FIELDS_MAX)
        return weir_fail(err, WEIR_HEAD_TOO_LARGE, "the request has more than %d header fields",
                         FIELDS_MAX);
    if (!str_cut(line, ':', &name, &value) || !is_token(name))
        return weir_fail(err, WEIR_INVALID,
                         "header field %zu must be a name, a colon directly after it, and a value",
                         f->fields);
    value = str_trim(value);
    if (str_eq_ignore_case(name, STR("host"))) {
        f->host = value;
        f->hosts++;
    } else if (str_eq_ignore_case(name, STR("content-length"))) {
        f->length = value;
        f->lengths++;
    } else if (str_eq_ignore_case(name, STR("transfer-encoding"))) {
        f->coding = value;
        f->codings++;
    } else if (str_eq_ignore_case(name, STR("expect")) && !f->expects_more) {
        f->expect = value;
        f->expects_more = !str_eq_ignore_case(value, STR("100-continue"));
    }
    return WEIR_OK;
}

static enum weir_code read_length(struct http_head *h, const struct framing *f,
                                  struct weir_error *err)
{
    struct http_request *r = &h->request;
    if (f->lengths > 1)
        return weir_fail(err, WEIR_INVALID, "the request has %zu content-length fields",
                         f->lengths);
    if (f->codings > 0 && f->lengths > 0)
        return weir_fail(err, WEIR_INVALID,
                         "the request has both content-length and transfer-encoding");
    if (f->codings > 0 && r->minor == 0)
        return weir_fail(err, WEIR_INVALID, "HTTP/1.0 has no transfer-encoding");
    if (f->codings > 1 || (f->codings == 1 && !str_eq_ignore_case(f->coding, STR("chunked"))))
        return weir_fail(err, WEIR_UNSUPPORTED, "the only transfer coding served is 'chunked'");
    r->is_chunked = f->codings == 1;
    if (f->lengths == 1 && !str_to_u64(f->length, &r->content_length))
        return weir_fail(err, WEIR_INVALID, "content-length must be a whole number");
    if (r->content_length > h->body_max) {
        weir_fail(err, WEIR_BODY_TOO_LARGE, "the body has %llu bytes, the limit body_bytes is %llu",
                  (unsigned long long)r->content_length, (unsigned long long)h->body_max);
        err->value = r->content_length > INT64_MAX ? INT64_MAX : (int64_t)r->content_length;
        err->limit = (int64_t)h->body_max;
        return err->code;
    }
    r->has_body = r->is_chunked || r->content_length > 0;
    return WEIR_OK;
}

static enum weir_code read_head(struct http_head *h, struct weir_error *err)
{
    struct framing f = { 0 };
    struct str line;
    size_t at = 0;
    if (!next_line(h, &at, &line))
        return weir_fail(err, WEIR_INVALID, "the request line is empty");
    if (read_request_line(&h->request, line, err) != WEIR_OK)
        return err->code;
    while (next_line(h, &at, &line))
        if (collect_field(&f, line, err) != WEIR_OK)
            return err->code;
    if (f.hosts > 1)
        return weir_fail(err, WEIR_INVALID, "the request has %zu Host fields", f.hosts);
    if (h->request.minor == 1 && (f.hosts == 0 || f.host.len == 0))
        return weir_fail(err, WEIR_INVALID, "the request has no Host field");
    if (h->request.host.len == 0)
        h->request.host = f.host;
    if (h->request.minor == 1 && f.expect.data) {
        if (f.expects_more)
            return weir_fail(err, WEIR_EXPECTATION,
                             "the only expectation that is met is '100-continue', not '%.*s'",
                             (int)(f.expect.len < 40 ? f.expect.len : 40), f.expect.data);
        h->request.expects_continue = true;
    }
    return read_length(h, &f, err);
}

/* One empty line before a request line is forgiven (RFC 9112, 2.2). */
static size_t skip_empty_line(struct http_head *h, struct str in)
{
    size_t at = 0;
    if (h->raw.len > 0)
        return 0;
    if (h->skipped == 0 && at < in.len && in.data[at] == '\r')
        h->skipped++, at++;
    if (h->skipped == 1 && at < in.len && in.data[at] == '\n')
        h->skipped++, at++;
    return at;
}

/* Walks to the end of the head or of the bytes; the bytes before `*out` are clean. */
static const char *scan(struct http_head *h, struct str in, size_t *out, bool *is_end)
{
    *is_end = false;
    for (*out = 0; *out < in.len; ++*out) {
        unsigned char b = (unsigned char)in.data[*out];
        bool is_after_cr = h->ending == ENDING_CR || h->ending == ENDING_CRLF_CR;
        if (b == '\n') {
            if (!is_after_cr)
                return "the request head has a line feed without a carriage return";
            if (h->ending == ENDING_CRLF_CR) {
                ++*out;
                *is_end = true;
                return NULL;
            }
            h->ending = ENDING_CRLF;
        } else if (is_after_cr || (h->skipped == 1 && h->raw.len == 0)) {
            return "the request head has a carriage return without a line feed";
        } else if (b == '\r') {
            if (h->raw.len == 0 && *out == 0)
                return "there is an empty line where a request line belongs";
            h->ending = h->ending == ENDING_CRLF ? ENDING_CRLF_CR : ENDING_CR;
        } else if ((b < 0x20 && b != '\t') || b == 0x7f) {
            return "the request head has a control character";
        } else {
            h->ending = ENDING_NONE;
        }
    }
    return NULL;
}

static enum weir_code head_too_large(const struct http_head *h, struct weir_error *err)
{
    weir_fail(err, WEIR_HEAD_TOO_LARGE, "the request head is longer than the limit head_bytes, %zu",
              h->raw.max);
    err->limit = (int64_t)h->raw.max;
    return err->code;
}

static size_t feed_head(struct http_head *h, struct str in, struct http_event *out)
{
    size_t skipped = skip_empty_line(h, in), n;
    bool is_end;
    in = (struct str){ in.data + skipped, in.len - skipped };
    const char *problem = scan(h, in, &n, &is_end);
    out->kind = HTTP_EVENT_BAD;
    size_t room = h->raw.max - h->raw.len;
    bool is_too_large = n > room;
    if (is_too_large) /* what is wrong before the limit is said, however the bytes came */
        n = room, problem = NULL, is_end = false;
    buffer_append(&h->raw, in.data, n);
    if (n > 0) /* to the library nothing is the end of the connection */
        http_parser_execute(&h->parser, &settings, in.data, n);
    enum http_errno refused = HTTP_PARSER_ERRNO(&h->parser);
    bool is_well_formed = refused == HPE_OK || refused == HPE_INVALID_TRANSFER_ENCODING;
    if (problem) {
        weir_fail(&out->error, WEIR_INVALID, "%s, at byte %zu", problem, h->raw.len);
    } else if (is_end && read_head(h, &out->error) != WEIR_OK &&
               (is_well_formed || out->error.code == WEIR_INVALID)) {
        /* Said by read_head: its reasons are more exact than the library's. But what the library
         * refuses is malformed, as it would be if it came in smaller pieces. */
    } else if (refused != HPE_OK || (is_end && !h->is_complete)) {
        weir_fail(&out->error, WEIR_INVALID, "the request head is malformed: %s",
                  http_errno_description(refused));
    } else if (is_too_large) {
        head_too_large(h, &out->error);
    } else if (is_end) {
        out->kind = HTTP_EVENT_HEAD;
        h->stage = h->request.is_chunked ? STAGE_CHUNKS
                   : h->request.has_body ? STAGE_LENGTH
                                         : STAGE_ENDED;
        http_chunks_init(&h->chunks);
    } else {
        out->kind = HTTP_EVENT_MORE;
    }
    return skipped + n;
}

static size_t feed_length(struct http_head *h, struct str in, struct http_event *out)
{
    uint64_t left = h->request.content_length - h->body_seen;
    size_t n = in.len < left ? in.len : (size_t)left;
    h->body_seen += n;
    out->body = (struct str){ in.data, n };
    if (left == 0) {
        out->kind = HTTP_EVENT_DONE;
        h->stage = STAGE_ENDED;
    } else if (n > 0) {
        out->kind = HTTP_EVENT_BODY;
    }
    return n;
}

static size_t feed_chunks(struct http_head *h, struct str in, struct http_event *out)
{
    const char *problem;
    size_t n = http_chunks_feed(&h->chunks, in, &out->body, &problem);
    h->body_seen += out->body.len;
    h->framing_seen += n - out->body.len;
    if (h->body_seen + h->chunks.left > h->body_max) { /* the size comes before what ends it */
        out->kind = HTTP_EVENT_BAD;
        weir_fail(&out->error, WEIR_BODY_TOO_LARGE,
                  "the chunked body is longer than the limit body_bytes, %llu",
                  (unsigned long long)h->body_max);
        out->error.limit = (int64_t)h->body_max;
    } else if (problem) {
        out->kind = HTTP_EVENT_BAD;
        weir_fail(&out->error, WEIR_INVALID, "the chunked body is malformed: %s", problem);
    } else if (h->framing_seen > h->raw.max + FRAMING_PER_BYTE * h->body_seen) {
        out->kind = HTTP_EVENT_BAD;
        weir_fail(&out->error, WEIR_INVALID,
                  "the chunked body has %llu bytes of framing around %llu bytes of data",
                  (unsigned long long)h->framing_seen, (unsigned long long)h->body_seen);
    } else if (out->body.len > 0) {
        out->kind = HTTP_EVENT_BODY;
    } else if (http_chunks_ended(&h->chunks)) {
        out->kind = HTTP_EVENT_DONE;
        h->stage = STAGE_ENDED;
    }
    return n;
}

size_t http_head_feed(struct http_head *h, struct str in, struct http_event *out)
{
    CHECK(h->stage != STAGE_ENDED);
    out->kind = HTTP_EVENT_MORE;
    out->body = (struct str){ NULL, 0 };
    if (h->stage == STAGE_LENGTH)
        return feed_length(h, in, out);
    if (in.len == 0)
        return 0;
    return h->stage == STAGE_HEAD ? feed_head(h, in, out) : feed_chunks(h, in, out);
}
