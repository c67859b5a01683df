/* response.h — reads one HTTP/1.1 response from bytes as they arrive.
 *
 * Pure: it is fed bytes and knows no socket. It owns the head and the body, both with a ceiling
 * given at birth, takes Content-Length, chunked and until-the-end bodies, and refuses whatever is
 * not plainly one of them: a bare LF, two lengths, a length beside a coding, an unknown coding, a
 * folded header, a chunk size that does not fit. The first problem sticks. */
#ifndef CLIENT_RESPONSE_H
#define CLIENT_RESPONSE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESPONSE_HEAD_MAX (32 * 1024)

enum response_state {
    RESPONSE_HEAD,
    RESPONSE_LENGTH,    /* `left` bytes of the body are still to come */
    RESPONSE_UNTIL_END, /* the body ends where the connection does */
    RESPONSE_CHUNK_SIZE,
    RESPONSE_CHUNK,     /* `left` bytes of the chunk are still to come */
    RESPONSE_CHUNK_END, /* the line end behind a chunk */
    RESPONSE_TRAILER,
    RESPONSE_DONE,
    RESPONSE_FAILED
};

struct response {
    int status;         /* 0 until the head has arrived */
    struct buffer head; /* header lines, without the status line, each ending in CRLF */
    struct buffer body;
    /* Private. */
    enum response_state state;
    struct buffer line; /* the line being read, without its end */
    size_t head_bytes;  /* of this response so far, trailer included */
    uint64_t left;
    bool has_body; /* false for the answer to HEAD */
    bool length_known, chunked;
};

void response_init(struct response *r, bool has_body, size_t body_max);
void response_finish(struct response *r);

/* Reads all of the bytes; what follows a complete response is refused, because nobody asked for it.
 */
enum weir_code response_feed(struct response *r, const void *data, size_t bytes,
                             struct weir_error *err);

/* The connection ended: fine when the response is complete or lasts until the end. */
enum weir_code response_end(struct response *r, struct weir_error *err);

bool response_done(const struct response *r);

/* The value of the first header of that name (any case), trimmed and borrowed; empty when absent.
 */
struct str response_header(const struct response *r, const char *name);

#endif
