#include "server/connection.h"

#include "base/check.h"
#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "server/exchange.h"
#include "server/http_head.h"
#include "server/server_state.h"

#include <limits.h>
#include <netinet/in.h>
#include <string.h>

/* Bytes of later requests that are kept while one is answered. A client that sends more gets this
 * answer as its last. Reading goes on all the same, or it would not be noticed that it leaves. */
#define AHEAD_BYTES_MAX (64 * 1024)

/* A body must bring so many bytes in each client_stall_ms, or end. */
#define BODY_PROGRESS_BYTES 1024

/* After the last answer the client may still be sending. Closing now would reset the connection and
 * could take the answer with it, so what comes is thrown away for a while. */
#define LINGER_MS 2000

/* Input is thrown away up to so many bytes beyond the limit of a body. */
#define WASTE_BYTES (1024 * 1024)

/* Connections beyond the limit that are told so; those beyond these are just closed. */
#define REFUSED_MAX 64

/*          head complete        body complete        answer given         all sent
 *   HEAD ----------------> BODY -------------> BUSY -------------> FLUSH ---------> HEAD
 *     |                      (none: at once)                         |     last one
 *     idle, too slow,                                                +------------> LINGER
 *     gone: CLOSED                                                                    | CLOSED
 */
enum state {
    HEAD,   /* idle, or a head is arriving; there is no exchange */
    BODY,   /* the exchange has its head, its body is arriving */
    BUSY,   /* the exchange works on its answer */
    FLUSH,  /* the answer was given and is being sent; there is no exchange */
    LINGER, /* everything was sent and the socket shut down; input is thrown away */
    CLOSED, /* the handles are being closed */
};

struct connection {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_shutdown_t shutdown;
    struct server *server;
    struct link link;
    struct http_head *head;
    struct exchange *exchange;
    struct buffer ahead;
    enum state state;
    bool keep_alive; /* said by the client for the current request */
    bool is_last;    /* no request after this one */
    bool is_reading;
    bool is_consuming;   /* consume() is on the stack and will go on by itself */
    bool is_stall_timed; /* the timer watches unsent bytes */
    bool is_due;         /* the timer has run out once */
    uint8_t handles_open;
    uint64_t queued_bytes; /* ever given to the socket's queue */
    uint64_t progress;     /* of sending or receiving, when the timer was last set */
    uint64_t received;     /* bytes of the body, or thrown away */
    char peer[INET6_ADDRSTRLEN];
};

struct write {
    uv_write_t request;
    struct connection *connection;
    char *data;
};

static void consume(struct connection *c, struct str in);
static void on_timer(uv_timer_t *timer);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);
static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf);

/* --- life ------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct server *s = c->server;
    if (--c->handles_open > 0)
        return;
    list_remove(&c->link);
    s->connections_count--;
    http_head_destroy(c->head);
    buffer_finish(&c->ahead);
    mem_free(c);
    server_settle(s);
}

struct connection *connection_of(struct link *at)
{
    return CONTAINER_OF(at, struct connection, link);
}

void connection_drop(struct connection *c)
{
    if (c->state == CLOSED)
        return;
    c->state = CLOSED;
    if (c->exchange)
        exchange_abandon(c->exchange);
    c->exchange = NULL;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void set_timer(struct connection *c, int64_t ms)
{
    c->is_stall_timed = c->is_due = false;
    uv_update_time(c->server->loop); /* a long answer may have been written since the turn began */
    uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0);
}

static void set_reading(struct connection *c, bool reads)
{
    if (reads == c->is_reading || c->state == CLOSED)
        return;
    c->is_reading = reads;
    if (!reads)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        connection_drop(c);
}

static void on_shut(uv_shutdown_t *request, int status)
{
    (void)request, (void)status; /* either way the wait for the client's end goes on */
}

static void linger(struct connection *c)
{
    c->state = LINGER;
    c->received = 0;
    buffer_finish(&c->ahead);
    http_head_reset(c->head);
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shut) != 0) {
        connection_drop(c);
        return;
    }
    set_timer(c, LINGER_MS);
    set_reading(c, true);
}

static void name_peer(struct connection *c)
{
    struct sockaddr_storage peer;
    int bytes = sizeof(peer);
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &bytes) != 0) {
        c->peer[0] = '-'; /* it has reset the connection already */
        return;
    }
    if (peer.ss_family == AF_INET6)
        uv_ip6_name((struct sockaddr_in6 *)(void *)&peer, c->peer, sizeof(c->peer));
    else
        uv_ip4_name((struct sockaddr_in *)(void *)&peer, c->peer, sizeof(c->peer));
}

/* Answers before anything was read, so that a client that waits for its turn learns why. */
static void refuse(struct connection *c)
{
    struct weir_error err;
    weir_fail(&err, WEIR_UNAVAILABLE, "the server has %lld open connections, its limit connections",
              (long long)c->server->limits.connections);
    c->state = BUSY;
    c->exchange = exchange_create(c->server, c, http_head_request(c->head), false);
    exchange_fail(c->exchange, &err, NULL);
}

void connection_accept(struct server *s, uv_stream_t *listener)
{
    struct connection *c = mem_new(1, sizeof(*c));
    c->server = s;
    c->head = http_head_create((size_t)s->limits.head_bytes, (uint64_t)s->limits.body_bytes);
    buffer_init(&c->ahead, AHEAD_BYTES_MAX);
    CHECK(uv_tcp_init(s->loop, &c->tcp) == 0);
    CHECK(uv_timer_init(s->loop, &c->timer) == 0);
    c->tcp.data = c->timer.data = c;
    c->handles_open = 2;
    list_push_back(&s->connections, &c->link);
    s->connections_count++;
    size_t limit = (size_t)s->limits.connections;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 || s->is_closing ||
        s->connections_count > limit + REFUSED_MAX) {
        connection_drop(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1, 60); /* a client that vanished without a word is noticed too */
    name_peer(c);
    set_timer(c, s->limits.head_ms);
    set_reading(c, true);
    if (s->connections_count > limit && c->state == HEAD)
        refuse(c);
}

const char *connection_peer(const struct connection *c)
{
    return c->peer;
}

bool connection_stays_open(const struct connection *c)
{
    return c->keep_alive && !c->is_last && c->state == BUSY && !c->server->is_draining;
}

/* --- sending ---------------------------------------------------------------------------------- */

size_t connection_unsent(const struct connection *c)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

void connection_bound_unsent(struct connection *c, size_t bytes)
{
    int wanted = bytes < INT_MAX ? (int)bytes : INT_MAX;
    if (c->state != CLOSED)
        uv_send_buffer_size((uv_handle_t *)&c->tcp, &wanted);
}

/* The answer is out: on with the next request, or good-bye. */
static void flushed(struct connection *c)
{
    if (c->is_last) {
        linger(c);
        return;
    }
    c->state = HEAD;
    http_head_reset(c->head);
    set_timer(c, c->server->limits.keep_alive_ms);
    if (c->is_consuming)
        return;
    struct buffer ahead = c->ahead;
    buffer_init(&c->ahead, ahead.max);
    consume(c, buffer_view(&ahead));
    buffer_finish(&ahead);
}

static void on_written(uv_write_t *request, int status)
{
    struct write *w = request->data;
    struct connection *c = w->connection;
    mem_free(w->data);
    mem_free(w);
    if (c->state == CLOSED)
        return;
    if (status < 0)
        connection_drop(c);
    else if (c->state == FLUSH && connection_unsent(c) == 0)
        flushed(c);
    else if (c->state == BUSY && connection_unsent(c) == 0)
        exchange_drained(c->exchange);
}

/* Watches that unsent bytes get fewer; bytes of a body are watched by the same timer, earlier. */
static void watch_unsent(struct connection *c)
{
    if (connection_unsent(c) == 0 || (c->is_stall_timed && uv_is_active((uv_handle_t *)&c->timer)))
        return;
    c->progress = c->queued_bytes - connection_unsent(c);
    set_timer(c, c->server->limits.client_stall_ms);
    c->is_stall_timed = true;
}

/* How many of the bytes the socket takes at once. */
static size_t send_now(struct connection *c, const char *data, size_t len)
{
    if (len == 0 || c->state == CLOSED || connection_unsent(c) > 0)
        return 0;
    uv_buf_t all = { .base = (char *)data, .len = len };
    int n = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
    return n > 0 ? (size_t)n : 0; /* uv_write will meet any other failure again */
}

void connection_send(struct connection *c, struct buffer *bytes)
{
    size_t len;
    char *data = buffer_take(bytes, &len);
    if (data == NULL || c->state == CLOSED) {
        mem_free(data);
        return;
    }
    size_t sent = send_now(c, data, len);
    if (sent == len) {
        mem_free(data);
        return;
    }
    struct write *w = mem_new(1, sizeof(*w));
    uv_buf_t rest = { .base = data + sent, .len = len - sent };
    *w = (struct write){ .connection = c, .data = data };
    w->request.data = w;
    c->queued_bytes += rest.len;
    CHECK(uv_write(&w->request, (uv_stream_t *)&c->tcp, &rest, 1, on_written) == 0);
    watch_unsent(c);
}

void connection_write(struct connection *c, struct str bytes)
{
    struct buffer rest;
    size_t sent = send_now(c, bytes.data, bytes.len);
    if (sent == bytes.len)
        return;
    buffer_init(&rest, bytes.len - sent);
    buffer_append(&rest, bytes.data + sent, bytes.len - sent);
    connection_send(c, &rest);
}

void connection_answered(struct connection *c, bool stays_open)
{
    c->exchange = NULL;
    if (c->state == CLOSED)
        return;
    c->is_last = c->is_last || !stays_open;
    c->state = FLUSH;
    if (connection_unsent(c) == 0)
        flushed(c);
    else
        watch_unsent(c);
}

/* --- receiving -------------------------------------------------------------------------------- */

static void on_head(struct connection *c)
{
    const struct http_request *request = http_head_request(c->head);
    c->keep_alive = request->keep_alive;
    c->received = c->progress = 0;
    c->state = request->has_body ? BODY : BUSY;
    uv_timer_stop(&c->timer);
    c->exchange = exchange_create(c->server, c, request, true);
    if (!exchange_admit(c->exchange))
        return; /* it answered, and with a body still to come that was the last answer */
    if (c->state == BUSY) {
        exchange_begin(c->exchange);
        return;
    }
    set_timer(c, c->server->limits.client_stall_ms);
    if (request->expects_continue) {
        struct buffer go_on;
        buffer_init(&go_on, 64);
        buffer_text(&go_on, "HTTP/1.1 100 Continue\r\n\r\n");
        connection_send(c, &go_on);
    }
}

/* The last answer: to a request whose head is wrong, or that is not here in time. */
static void refuse_rest(struct connection *c, const struct weir_error *err)
{
    c->is_last = true;
    if (c->exchange == NULL)
        c->exchange = exchange_create(c->server, c, http_head_request(c->head), false);
    exchange_fail(c->exchange, err, NULL);
}

void connection_retire(struct connection *c)
{
    struct weir_error err;
    c->is_last = true;
    if (c->state == HEAD) {
        connection_drop(c);
    } else if (c->state == BODY) {
        weir_fail(&err, WEIR_SHUTTING_DOWN, "the server shut down before the whole body was here");
        refuse_rest(c, &err);
    }
}

static void on_event(struct connection *c, const struct http_event *event)
{
    switch (event->kind) {
    case HTTP_EVENT_MORE: return;
    case HTTP_EVENT_HEAD: on_head(c); return;
    case HTTP_EVENT_BODY:
        c->received += event->body.len;
        exchange_take_body(c->exchange, event->body);
        return;
    case HTTP_EVENT_DONE:
        c->state = BUSY;
        uv_timer_stop(&c->timer);
        exchange_begin(c->exchange);
        return;
    case HTTP_EVENT_BAD: refuse_rest(c, &event->error); return;
    }
}

/* Input that nobody will read. */
static void waste(struct connection *c, size_t len)
{
    c->received += len;
    if (c->received > (uint64_t)c->server->limits.body_bytes + WASTE_BYTES)
        connection_drop(c);
}

static void keep_ahead(struct connection *c, struct str in)
{
    if (!c->is_last)
        buffer_str(&c->ahead, in);
    if (c->ahead.failed) {
        c->is_last = true;
        buffer_finish(&c->ahead);
    }
    if (c->is_last)
        waste(c, in.len);
}

/* Works through what was read. Bytes behind a request that is being answered wait in `ahead`. */
static void consume(struct connection *c, struct str in)
{
    struct http_event event = { .kind = HTTP_EVENT_BODY };
    c->is_consuming = true;
    while (c->state == BODY || (c->state == HEAD && in.len > 0)) {
        bool was_begun = http_head_is_begun(c->head);
        size_t n = http_head_feed(c->head, in, &event);
        in = (struct str){ in.data + n, in.len - n };
        if (c->state == HEAD && !was_begun && http_head_is_begun(c->head))
            set_timer(c, c->server->limits.head_ms);
        on_event(c, &event);
        if (event.kind == HTTP_EVENT_MORE)
            break;
    }
    c->is_consuming = false;
    if (in.len > 0 && (c->state == BUSY || c->state == FLUSH))
        keep_ahead(c, in);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct connection *c = handle->data;
    (void)wanted;
    *buf = uv_buf_init(c->server->read_bytes, sizeof(c->server->read_bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = stream->data;
    if (n == 0)
        return;
    if (n < 0 && c->state == FLUSH) {
        c->is_last = true; /* it has stopped sending, but may well be reading */
        set_reading(c, false);
    } else if (n < 0) {
        connection_drop(c);
    } else if (c->state == LINGER) {
        waste(c, (size_t)n);
    } else {
        consume(c, (struct str){ buf->base, (size_t)n });
    }
}

/* --- time ------------------------------------------------------------------------------------- */

static void refuse_slow(struct connection *c, const char *what, const char *limit, int64_t ms)
{
    struct weir_error err;
    weir_fail(&err, WEIR_SLOW_CLIENT, "%s did not arrive within the limit %s, %lld ms", what, limit,
              (long long)ms);
    err.limit = ms;
    refuse_rest(c, &err);
}

static void on_unsent_timer(struct connection *c)
{
    c->is_stall_timed = false;
    uint64_t sent = c->queued_bytes - connection_unsent(c);
    if (connection_unsent(c) > 0 && sent == c->progress) {
        log_write(&c->server->log, LOG_WARN, "server",
                  "client %s dropped: it took nothing of %zu bytes for client_stall_ms=%lld",
                  c->peer, connection_unsent(c), (long long)c->server->limits.client_stall_ms);
        connection_drop(c);
        return;
    }
    watch_unsent(c);
}

static void on_body_timer(struct connection *c)
{
    if (c->received - c->progress < BODY_PROGRESS_BYTES) {
        refuse_slow(c, "the rest of the request body", "client_stall_ms",
                    c->server->limits.client_stall_ms);
        return;
    }
    c->progress = c->received;
    set_timer(c, c->server->limits.client_stall_ms);
}

static void on_timer(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    if (!c->is_due && c->state != LINGER) {
        /* Timers run before sockets. When the loop was busy, what the client did in time may still
         * wait in the kernel, so it gets one look at the sockets more. */
        c->is_due = true;
        uv_timer_start(timer, on_timer, 1, 0);
        return;
    }
    c->is_due = false;
    switch (c->state) {
    case HEAD:
        if (http_head_is_begun(c->head))
            refuse_slow(c, "the request head", "head_ms", c->server->limits.head_ms);
        else
            connection_drop(c);
        return;
    case BODY: on_body_timer(c); return;
    case BUSY:
    case FLUSH: on_unsent_timer(c); return;
    case LINGER: connection_drop(c); return;
    case CLOSED: return;
    }
}
