#include "client/response.h"

#include "base/check.h"
#include "base/hex.h"

#include <string.h>

#define LINE_MAX_BYTES (16 * 1024)

void response_init(struct response *r, bool has_body, size_t body_max)
{
    *r = (struct response){ .has_body = has_body };
    buffer_init(&r->head, RESPONSE_HEAD_MAX);
    buffer_init(&r->body, body_max);
    buffer_init(&r->line, LINE_MAX_BYTES);
}

void response_finish(struct response *r)
{
    buffer_finish(&r->head);
    buffer_finish(&r->body);
    buffer_finish(&r->line);
}

bool response_done(const struct response *r)
{
    return r->state == RESPONSE_DONE;
}

struct str response_header(const struct response *r, const char *name)
{
    struct str rest = buffer_view(&r->head);
    while (rest.len > 0) {
        struct str line, key, value;
        str_cut(rest, '\n', &line, &rest);
        if (str_cut(line, ':', &key, &value) && str_eq_ignore_case(key, str_of(name)))
            return str_trim(value);
    }
    return (struct str){ NULL, 0 };
}

/* "HTTP/1.1 200 OK": three digits, and either nothing or a space behind them. */
static enum weir_code read_status_line(struct response *r, struct str line, struct weir_error *err)
{
    uint64_t status = 0;
    const struct str version = { line.data, line.len < 8 ? line.len : 8 };
    const bool ok = (str_eq(version, STR("HTTP/1.1")) || str_eq(version, STR("HTTP/1.0"))) &&
                    line.len >= 12 && line.data[8] == ' ' &&
                    str_to_u64((struct str){ line.data + 9, 3 }, &status) && status >= 100 &&
                    (line.len == 12 || line.data[12] == ' ');
    if (!ok)
        return weir_fail(err, WEIR_INVALID, "'%.*s' is not the status line of an HTTP response",
                         (int)(line.len < 60 ? line.len : 60), line.len > 0 ? line.data : "");
    r->status = (int)status;
    return WEIR_OK;
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.data[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return s.len > 0;
}

/* The two headers that decide where the body ends are read here; all others are only kept. */
static enum weir_code read_header_line(struct response *r, struct str line, struct weir_error *err)
{
    struct str key, value;
    if (!str_cut(line, ':', &key, &value) || !is_token(key) ||
        memchr(value.data, '\0', value.len) != NULL)
        return weir_fail(err, WEIR_INVALID, "the response has a malformed header line");
    value = str_trim(value);
    if (str_eq_ignore_case(key, STR("content-length"))) {
        uint64_t length;
        if (r->length_known || !str_to_u64(value, &length))
            return weir_fail(err, WEIR_INVALID, "the response has %s Content-Length",
                             r->length_known ? "more than one" : "a malformed");
        r->length_known = true;
        r->left = length;
    } else if (str_eq_ignore_case(key, STR("transfer-encoding"))) {
        if (r->chunked || !str_eq_ignore_case(value, STR("chunked")))
            return weir_fail(err, WEIR_INVALID,
                             "the response has a transfer coding other than chunked");
        r->chunked = true;
    }
    buffer_str(&r->head, line);
    buffer_text(&r->head, "\r\n");
    return WEIR_OK;
}

static enum weir_code end_head(struct response *r, struct weir_error *err)
{
    if (r->status == 0)
        return weir_fail(err, WEIR_INVALID, "the response begins with an empty line");
    if (r->chunked && r->length_known)
        return weir_fail(err, WEIR_INVALID,
                         "the response has both Content-Length and a transfer coding");
    if (r->status < 200) { /* interim: the real one follows */
        const int interim = r->status;
        r->status = 0;
        r->length_known = r->chunked = false;
        buffer_clear(&r->head);
        if (interim == 101)
            return weir_fail(err, WEIR_INVALID, "the server changed the protocol unasked");
        return WEIR_OK;
    }
    if (!r->has_body || r->status == 204 || r->status == 304) {
        r->state = RESPONSE_DONE;
    } else if (r->chunked) {
        r->state = RESPONSE_CHUNK_SIZE;
    } else if (r->length_known) {
        if (r->left > r->body.max)
            return weir_fail(err, WEIR_INVALID, "a response body of %llu bytes, the limit is %zu",
                             (unsigned long long)r->left, r->body.max);
        r->state = r->left > 0 ? RESPONSE_LENGTH : RESPONSE_DONE;
    } else {
        r->state = RESPONSE_UNTIL_END;
    }
    return WEIR_OK;
}

/* Hexadecimal digits, at most 15 so that nothing overflows; an extension after ';' is passed over.
 */
static enum weir_code read_chunk_size(struct response *r, struct str line, struct weir_error *err)
{
    struct str digits, extension;
    str_cut(line, ';', &digits, &extension);
    digits = str_trim(digits);
    uint64_t size = 0;
    bool ok = digits.len > 0 && digits.len <= 15;
    for (size_t i = 0; ok && i < digits.len; i++) {
        const int digit = hex_digit(digits.data[i]);
        ok = digit >= 0;
        size = ok ? size * 16 + (uint64_t)digit : 0;
    }
    if (!ok)
        return weir_fail(err, WEIR_INVALID, "the response has a malformed chunk size");
    r->left = size;
    r->state = size > 0 ? RESPONSE_CHUNK : RESPONSE_TRAILER;
    return WEIR_OK;
}

static enum weir_code on_line(struct response *r, struct str line, struct weir_error *err)
{
    switch (r->state) {
    case RESPONSE_HEAD:
        if (line.len == 0)
            return end_head(r, err);
        return r->status == 0 ? read_status_line(r, line, err) : read_header_line(r, line, err);
    case RESPONSE_CHUNK_SIZE: return read_chunk_size(r, line, err);
    case RESPONSE_CHUNK_END:
        if (line.len != 0)
            return weir_fail(err, WEIR_INVALID, "a chunk of the response is longer than stated");
        r->state = RESPONSE_CHUNK_SIZE;
        return WEIR_OK;
    case RESPONSE_TRAILER:
        if (line.len == 0)
            r->state = RESPONSE_DONE;
        return WEIR_OK;
    default: CHECK(false); return WEIR_INTERNAL;
    }
}

/* Collects a line up to its CRLF. Returns how many bytes were used; *complete tells when it is
 * whole. */
static size_t take_line(struct response *r, const char *data, size_t bytes, bool *complete,
                        struct weir_error *err)
{
    const char *const end = memchr(data, '\n', bytes);
    const size_t used = end != NULL ? (size_t)(end - data) + 1 : bytes;
    const bool in_head = r->state == RESPONSE_HEAD || r->state == RESPONSE_TRAILER;
    *complete = false;
    r->head_bytes += in_head ? used : 0;
    buffer_append(&r->line, data, end != NULL ? used - 1 : used);
    if (r->line.failed || r->head_bytes > RESPONSE_HEAD_MAX) {
        weir_fail(err, WEIR_INVALID, "the head of the response is over %d bytes",
                  RESPONSE_HEAD_MAX);
        r->state = RESPONSE_FAILED;
    } else if (end != NULL && (r->line.len == 0 || r->line.data[r->line.len - 1] != '\r')) {
        weir_fail(err, WEIR_INVALID, "a line of the response does not end in CR LF");
        r->state = RESPONSE_FAILED;
    } else {
        *complete = end != NULL;
    }
    return used;
}

static size_t take_body(struct response *r, const char *data, size_t bytes, struct weir_error *err)
{
    const bool counted = r->state != RESPONSE_UNTIL_END;
    const size_t used = counted && r->left < bytes ? (size_t)r->left : bytes;
    buffer_append(&r->body, data, used);
    if (r->body.failed) {
        weir_fail(err, WEIR_INVALID, "the response body is over the limit of %zu bytes",
                  r->body.max);
        r->state = RESPONSE_FAILED;
    } else if (counted && (r->left -= used) == 0) {
        r->state = r->state == RESPONSE_CHUNK ? RESPONSE_CHUNK_END : RESPONSE_DONE;
    }
    return used;
}

enum weir_code response_feed(struct response *r, const void *data, size_t bytes,
                             struct weir_error *err)
{
    const char *at = data;
    while (bytes > 0 && r->state != RESPONSE_FAILED) {
        size_t used = 0;
        if (r->state == RESPONSE_DONE) {
            r->state = RESPONSE_FAILED;
            return weir_fail(err, WEIR_INVALID, "%zu bytes follow the response", bytes);
        }
        if (r->state == RESPONSE_LENGTH || r->state == RESPONSE_CHUNK ||
            r->state == RESPONSE_UNTIL_END) {
            used = take_body(r, at, bytes, err);
        } else {
            bool complete;
            used = take_line(r, at, bytes, &complete, err);
            if (complete) {
                const struct str line = buffer_view(&r->line);
                if (on_line(r, (struct str){ line.data, line.len - 1 }, err) != WEIR_OK)
                    r->state = RESPONSE_FAILED;
                buffer_clear(&r->line);
            }
        }
        at += used;
        bytes -= used;
    }
    return r->state == RESPONSE_FAILED ? WEIR_INVALID : WEIR_OK;
}

enum weir_code response_end(struct response *r, struct weir_error *err)
{
    if (r->state == RESPONSE_UNTIL_END)
        r->state = RESPONSE_DONE;
    if (r->state == RESPONSE_DONE)
        return WEIR_OK;
    r->state = RESPONSE_FAILED;
    return weir_fail(err, WEIR_INVALID, "the connection ended in the middle of the response");
}
