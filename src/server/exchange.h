/* exchange.h — one request and its one answer.
 *
 * Lives from the head of a request until its answer was handed to the connection and the pool
 * and the thread pool have let go of it. A route's begin-function is called once, with the whole
 * body; from then on exactly one of exchange_reply, exchange_fail or a stream ends the exchange,
 * and that call is the last thing the route does with it. If the client leaves first, the
 * request in the pool is cancelled, `over` is called, and no callback of the route comes any
 * more. */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include "weir/weir.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXCHANGE_ID_MAX 128

struct connection;
struct exchange;
struct http_request;
struct json_fields;
struct json_value;
struct route;
struct server;

/* A route's side of a request in the pool. Neither is called after the client has left. */
struct exchange_calls {
    void (*output)(struct exchange *x, const struct weir_output *output); /* never answers */
    void (*ended)(struct exchange *x, const struct weir_end *end);       /* succeeded: answer now */
    void (*progress)(struct exchange *x, uint32_t step, uint32_t steps); /* optional */
};

/* What the pool says of a request at its end. */
struct exchange_usage {
    bool is_known;
    int64_t queued_ms;
    uint64_t input_tokens, output_tokens;
};

/* Writes the body of an error as the routes of one API do. */
typedef void exchange_write_error(const struct exchange *x, struct buffer *out,
                                  const struct weir_error *err, const char *param);

struct exchange {
    struct server *server;
    struct connection *connection;      /* NULL once answered or abandoned */
    const struct http_request *request; /* borrowed while there is a connection */
    const struct route *route; /* NULL before admission, and for a request that was malformed */
    exchange_write_error *write_error; /* NULL: as OpenAI's */
    struct str rest;                   /* of the path, behind a route that ends in '/'; decoded */
    struct arena arena;                /* dies with the exchange */
    struct buffer body;
    size_t counted_bytes;    /* of the body, in the server's bodies_bytes */
    const char *client;      /* the name of its API key; NULL: known by its address */
    struct json_value *json; /* of the body, once read by json_body */
    void *state;             /* the route's own */
    char *model;             /* the name that the pool was asked for, NULL: it was not */
    const char *input_param; /* the field that an error about an input names; NULL: "input" */
    void (*over)(
        struct exchange *x); /* optional: the connection is done with it, answered or not */
    char id[EXCHANGE_ID_MAX + 1];

    /* private */
    struct buffer fields; /* of the answer's head */
    const struct exchange_calls *calls;
    uint64_t job; /* in the pool; 0: none */
    struct exchange_usage usage;
    int64_t began_ms;
    uint64_t sent_bytes;
    const char *problem; /* why a status is 5xx, for the log */
    int status;
    unsigned holds;
    bool is_head_only;
    bool is_streaming;
    bool has_credit;      /* the pool may send as much as the client takes, and no more */
    uint32_t owed_events; /* credit that goes back to the pool once the socket has taken all */
    uint64_t owed_bytes;
    bool is_chunked;
    bool keep_alive;
};

/* --- for connections --- */
/* `request` is what is known of it; of one that is not good only the answer takes its form. */
struct exchange *exchange_create(struct server *s, struct connection *c,
                                 const struct http_request *request, bool is_good);
bool exchange_admit(struct exchange *x); /* by Host, Origin, key and path; false: answered */
/* May answer: bodies together are bounded. */
void exchange_take_body(struct exchange *x, struct str piece);
void exchange_begin(struct exchange *x);
void exchange_abandon(struct exchange *x); /* the client has left */
void exchange_drained(struct exchange *x); /* the socket has taken everything that was sent */

/* --- for routes --- */
void exchange_field(struct exchange *x, const char *name, struct str value); /* before the answer */
/* Answers with the bytes of `body`, which is empty afterwards. A failed buffer becomes an error. */
void exchange_reply(struct exchange *x, int status, const char *content_type, struct buffer *body);
void exchange_reply_json(struct exchange *x, int status, struct buffer *body);
/* `param` names the field at fault, or NULL. Within a stream it is an event of its own, the last
 * one, behind which nothing says that all went well. */
void exchange_fail(struct exchange *x, const struct weir_error *err, const char *param);

/* An answer in pieces: begin, any number of writes, end. */
void exchange_stream_begin(struct exchange *x, const char *content_type);
/* False: the client does not read (more than unsent_bytes wait), and has been dropped. A stream
 * with credit is not dropped for that: what waits is bounded by its credit, and how long by
 * client_stall_ms. */
bool exchange_stream_write(struct exchange *x, struct str piece);
void exchange_stream_end(struct exchange *x);

/* From the field deadline_ms, else the header x-weir-deadline-ms, else 0. */
int64_t exchange_deadline(const struct exchange *x, struct json_fields *fields);
/* Submits with this exchange's id, client and callbacks filled in. Body and JSON are freed.
 * False: it was refused, which has been answered. With WEIR_FLAG_OWN_CREDIT each output's credit
 * goes back to the pool when the socket has taken what the route wrote for it. */
bool exchange_submit(struct exchange *x, struct weir_request *request,
                     const struct exchange_calls *calls);

/* Gives back what body and JSON hold, where a route goes on without them. */
void exchange_forget_body(struct exchange *x);

/* Who asks: the name of the API key, or the address. Legal while there is a connection. */
const char *exchange_client(const struct exchange *x);
/* Value of a header field of the request, trimmed; data NULL when there is none. */
struct str exchange_header(const struct exchange *x, struct str name);
/* Keeps the exchange alive while something outside refers to it. */
void exchange_hold(struct exchange *x);
void exchange_release(struct exchange *x);

#endif
