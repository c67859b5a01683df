/* http_reply.h — the head of a response, and the body that tells of an error. Pure: values in,
 * bytes out. */
#ifndef SERVER_HTTP_REPLY_H
#define SERVER_HTTP_REPLY_H

#include "base/buffer.h"
#include "base/str.h"

#include "weir/error.h"

#include <stdbool.h>
#include <stdint.h>

struct http_reply {
    int status;
    struct str content_type; /* empty: there is no body */
    uint64_t content_length;
    bool is_chunked; /* instead of a length */
    bool is_endless; /* neither: the body ends with the connection */
    bool keep_alive;
    struct str fields; /* further fields, each line with its CRLF */
};

void http_reply_head(struct buffer *out, const struct http_reply *reply, int64_t wall_ms);
/* A piece of a chunked body in its framing, which is at most so much. */
#define HTTP_REPLY_CHUNK_ROOM 32
void http_reply_chunk(struct buffer *out, struct str piece);
/* The statuses that we send, numbered for counting; any other is the last number, status 0. */
#define HTTP_REPLY_STATUS_COUNT 23
size_t http_reply_index(int status);
int http_reply_status(size_t index);
const char *http_reply_reason(int status); /* "Not Found"; "Status" when we never send it */

/* {"error":{"message","type","param","code"}} as OpenAI's clients read it; `param` may be NULL. */
void http_reply_error(struct buffer *out, const struct weir_error *err, const char *param);
const char *http_reply_type(int status); /* the "type" in it: "invalid_request_error" */
/* The fields that tell a client whether and when to try again. */
void http_reply_retry(struct buffer *fields, const struct weir_error *err);

#endif
