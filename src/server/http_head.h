/* http_head.h — reads one HTTP/1 request after another from the bytes of a connection.
 *
 * The one room around the parser library. Pure: bytes in, events out; no socket, no clock. It is
 * stricter than the library: lines end in CRLF only, no control characters, no white space
 * before a colon, no folded lines, exactly one Host (HTTP/1.1), one way to state a body's
 * length, `chunked` as the only transfer coding, at most 100 fields and the given number of
 * bytes. Memory is held only while a request is there. */
#ifndef SERVER_HTTP_HEAD_H
#define SERVER_HTTP_HEAD_H

#include "base/str.h"

#include "weir/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_head;

/* Everything is borrowed from the reader until http_head_reset. */
struct http_request {
    struct str method;
    struct str path;  /* as sent, before the '?'; "*" for OPTIONS * */
    struct str query; /* after the '?' */
    struct str host;  /* Host, or the authority of an absolute target; empty: none (HTTP/1.0) */
    uint8_t minor;    /* of HTTP/1.x */
    bool keep_alive;  /* the client may send another request */
    bool has_body;
    bool is_chunked;
    bool expects_continue;
    uint64_t content_length;
    const struct http_head *head;
};

enum http_event_kind {
    HTTP_EVENT_MORE, /* everything was consumed, nothing new is known */
    HTTP_EVENT_HEAD, /* the head is complete; without a body this is the last event */
    HTTP_EVENT_BODY, /* `body` is a piece of the body, borrowed from the bytes that were fed */
    HTTP_EVENT_DONE, /* the body is complete */
    HTTP_EVENT_BAD,  /* `error` says why; the connection cannot be used any more */
};

struct http_event {
    enum http_event_kind kind;
    struct str body;
    struct weir_error error;
};

struct http_head *http_head_create(size_t head_bytes_max, uint64_t body_bytes_max);
void http_head_destroy(struct http_head *h);

/* Consumes bytes up to the next event and returns how many. Call again, also with the nothing
 * that is left, until HTTP_EVENT_MORE; after the last event of a request, http_head_reset comes
 * first. */
size_t http_head_feed(struct http_head *h, struct str in, struct http_event *out);
void http_head_reset(struct http_head *h); /* ready for the next request; gives the memory back */

bool http_head_is_begun(const struct http_head *h); /* more than the empty line before it */
const struct http_request *http_head_request(const struct http_head *h);
/* Value of the first field of that name (any case), trimmed; data NULL when there is none. */
struct str http_head_field(const struct http_head *h, struct str name);

#endif
