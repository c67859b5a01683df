/* api.h — what the verbs ask of a running weir: JSON in, JSON out, errors as struct weir_error.
 *
 * Knows where the server is ($WEIR_HOST), the key ($WEIR_API_KEY) and the shape of its error
 * bodies; knows no route. */
#ifndef CLIENT_API_H
#define CLIENT_API_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"
#include "client/http_client.h"

#include <jansson.h>

#define API_DEFAULT_HOST "http://127.0.0.1:9347"

struct api {
    struct http_url url;
    const char *host;    /* the text of the URL, borrowed from the environment */
    const char *api_key; /* likewise; NULL: none */
};

/* Reads $WEIR_HOST and $WEIR_API_KEY. */
enum weir_code api_init(struct api *a, struct weir_error *err);

/* GET when `body` has no data, else POST. *status is 0 when nobody answered the connection, -1 when
 * what came was not HTTP, else what the server said; anything but 200 is an error with the server's
 * own words and code. *out is the caller's (json_decref) on success. */
enum weir_code api_call(const struct api *a, const char *path, struct str body, int64_t total_ms,
                        int *status, json_t **out, struct weir_error *err);

/* GET of something that is no JSON, such as /metrics: the bytes of an answer with status 200 are
 * appended to `out`, whose ceiling bounds them. Anything else is an error. */
enum weir_code api_text(const struct api *a, const char *path, int64_t total_ms, struct buffer *out,
                        struct weir_error *err);

/* `text` percent-encoded for a path segment. Caller frees with mem_free. */
char *api_encode(const char *text);

#endif
