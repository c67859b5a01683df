#include "server/exchange.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/access_log.h"
#include "server/api_keys.h"
#include "server/connection.h"
#include "server/http_head.h"
#include "server/http_reply.h"
#include "server/http_stats.h"
#include "server/json_body.h"
#include "server/json_fields.h"
#include "server/router.h"
#include "server/server_state.h"

#include <stdio.h>
#include <string.h>

#define FIELDS_BYTES_MAX SERVER_FIELDS_BYTES

/* Beside the copies that a route makes of its body, which are at most four times as large. */
#define ARENA_BYTES (1024 * 1024)

/* Bodies up to this size are bounded by the number of connections, and not counted: so large ones
 * can never fill the room of small ones. */
#define SMALL_BODY_BYTES ((size_t)(64 * 1024))

/* --- life ------------------------------------------------------------------------------------- */

/* Fit for a header, a path, and a line of the log. */
static bool is_sane_id(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char b = id.data[i];
        bool is_alphanumeric =
            (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9');
        if (!is_alphanumeric && (b == '\0' || strchr("._-~:/=+@", b) == NULL))
            return false;
    }
    return id.len > 0 && id.len <= EXCHANGE_ID_MAX;
}

/* Nobody can foresee one. The system is asked for many at a time. */
static uint64_t random_number(struct server *s)
{
    if (s->randoms_left == 0) {
        CHECK(uv_random(NULL, NULL, s->randoms, sizeof(s->randoms), 0, NULL) == 0);
        s->randoms_left = ARRAY_COUNT(s->randoms);
    }
    return s->randoms[--s->randoms_left];
}

/* The client's own name for the request, when nobody else uses it now; else a random one. */
static void name_exchange(struct exchange *x)
{
    struct map *ids = &x->server->exchange_ids;
    struct str wanted = exchange_header(x, STR("x-request-id"));
    if (is_sane_id(wanted) && map_get(ids, wanted) == NULL) {
        memcpy(x->id, wanted.data, wanted.len);
    } else {
        do
            snprintf(x->id, sizeof(x->id), "req-%016llx",
                     (unsigned long long)random_number(x->server));
        while (map_get(ids, str_of(x->id)) != NULL);
    }
    map_put(ids, str_of(x->id), x);
}

struct exchange *exchange_create(struct server *s, struct connection *c,
                                 const struct http_request *request, bool is_good)
{
    struct exchange *x = mem_new(1, sizeof(*x));
    x->server = s;
    x->connection = c;
    x->request = is_good ? request : NULL;
    x->write_error = router_error_writer(request->path);
    x->began_ms = clock_ms();
    x->holds = 1; /* the connection's */
    x->is_head_only = str_eq(request->method, STR("HEAD"));
    arena_init(&x->arena, ARENA_BYTES + 4 * (size_t)s->limits.body_bytes);
    buffer_init(&x->body, (size_t)s->limits.body_bytes);
    buffer_init(&x->fields, FIELDS_BYTES_MAX);
    name_exchange(x);
    s->exchanges_count++;
    return x;
}

void exchange_forget_body(struct exchange *x)
{
    json_body_free(x);
    x->server->bodies_bytes -= x->counted_bytes;
    x->counted_bytes = 0;
    buffer_finish(&x->body);
}

void exchange_hold(struct exchange *x)
{
    x->holds++;
}

void exchange_release(struct exchange *x)
{
    struct server *s = x->server;
    CHECK(x->holds > 0);
    if (--x->holds > 0)
        return;
    map_remove(&s->exchange_ids, str_of(x->id));
    s->exchanges_count--;
    exchange_forget_body(x);
    buffer_finish(&x->fields);
    arena_finish(&x->arena);
    mem_free(x->model);
    mem_free(x);
    server_settle(s);
}

/* The connection's part is over. Returns the connection, which may go on to its next request; the
 * exchange may be gone. */
static struct connection *part(struct exchange *x)
{
    struct connection *c = x->connection;
    access_log_write(x);
    http_stats_observe(x->server->stats, x->route, x->status, clock_ms() - x->began_ms);
    x->connection = NULL;
    x->request = NULL;
    if (x->over)
        x->over(x);
    if (x->job)
        weir_cancel(x->server->pool, x->job);
    exchange_release(x);
    return c;
}

void exchange_abandon(struct exchange *x)
{
    if (x->status == 0)
        x->status = error_http_status(WEIR_CANCELLED);
    part(x);
}

static void answered(struct exchange *x)
{
    bool keep_alive = x->keep_alive;
    struct connection *c = part(x);
    connection_answered(c, keep_alive);
}

const char *exchange_client(const struct exchange *x)
{
    return x->client ? x->client : connection_peer(x->connection);
}

/* --- the request ------------------------------------------------------------------------------ */

struct str exchange_header(const struct exchange *x, struct str name)
{
    if (x->request == NULL)
        return (struct str){ NULL, 0 };
    return http_head_field(x->request->head, name);
}

static bool refuse(struct exchange *x, const struct weir_error *err)
{
    exchange_fail(x, err, NULL);
    return false;
}

/* Tells a browser that this origin may read the answer. */
static void allow_origin(struct exchange *x, struct str origin)
{
    exchange_field(x, "Access-Control-Allow-Origin", origin);
    exchange_field(x, "Access-Control-Expose-Headers",
                   STR("x-request-id, x-weir-queued-ms, x-weir-truncated, x-should-retry, "
                       "retry-after, retry-after-ms"));
    exchange_field(x, "Vary", STR("Origin"));
}

/* Load balancers probe health without keys, and browsers ask what they may without any. */
static bool needs_key(const struct http_request *r)
{
    return !str_eq(r->method, STR("OPTIONS")) && !str_eq(r->path, STR("/health")) &&
           !str_starts(r->path, STR("/health/"));
}

static bool has_key(struct exchange *x, struct weir_error *err)
{
    struct str authorization = exchange_header(x, STR("authorization"));
    struct str own = exchange_header(x, STR("x-api-key"));
    const char *name;
    if (api_keys_admit(x->server->keys, authorization, own, &name)) {
        if (name) /* the set of keys may be replaced while this request runs */
            x->client = arena_str(&x->arena, str_of(name)).data;
        return true;
    }
    exchange_field(x, "WWW-Authenticate", STR("Bearer realm=\"weir\""));
    if (authorization.data || own.data)
        weir_fail(err, WEIR_UNAUTHORIZED, "the API key is none of this server's");
    else
        weir_fail(err, WEIR_UNAUTHORIZED,
                  "an API key is needed: 'Authorization: Bearer KEY' or 'x-api-key: KEY'");
    return false;
}

static bool has_room(const struct exchange *x, uint64_t more, struct weir_error *err)
{
    const struct server *s = x->server;
    uint64_t limit = (uint64_t)s->limits.bodies_bytes;
    if (s->bodies_bytes + more <= limit)
        return true;
    weir_fail(err, WEIR_NO_MEMORY,
              "large request bodies hold %llu bytes already, %llu more would pass the limit "
              "bodies_bytes, %llu",
              (unsigned long long)s->bodies_bytes, (unsigned long long)more,
              (unsigned long long)limit);
    err->limit = s->limits.bodies_bytes;
    return false;
}

bool exchange_admit(struct exchange *x)
{
    const struct http_request *r = x->request;
    const struct access *access = &x->server->access;
    struct str origin = exchange_header(x, STR("origin"));
    struct weir_error err;
    if (r->host.len > 0 && !access_host_is_allowed(access, r->host)) {
        weir_fail(&err, WEIR_FORBIDDEN,
                  "the host '%.*s' is not one of this server's (--allow-host)",
                  (int)(r->host.len < 80 ? r->host.len : 80), r->host.data);
        return refuse(x, &err);
    }
    if (origin.data && !access_origin_is_allowed(access, origin, r->host)) {
        weir_fail(&err, WEIR_FORBIDDEN, "the origin '%.*s' is not allowed (--allow-origin)",
                  (int)(origin.len < 80 ? origin.len : 80), origin.data);
        return refuse(x, &err);
    }
    if (origin.data)
        allow_origin(x, origin);
    if (x->server->keys && needs_key(r) && !has_key(x, &err))
        return refuse(x, &err);
    /* Nothing is reserved for what may never come; but what has no room now need not be sent. */
    if (r->content_length > SMALL_BODY_BYTES && !has_room(x, r->content_length, &err))
        return refuse(x, &err);
    return router_admit(x);
}

void exchange_take_body(struct exchange *x, struct str piece)
{
    struct weir_error err;
    buffer_str(&x->body, piece);
    size_t held = x->body.len > SMALL_BODY_BYTES ? x->body.len : 0;
    size_t more = held - x->counted_bytes;
    if (!has_room(x, more, &err)) {
        exchange_fail(x, &err, NULL);
        return;
    }
    x->server->bodies_bytes += more;
    x->counted_bytes = held;
}

void exchange_begin(struct exchange *x)
{
    struct weir_error err;
    if (x->body.failed) { /* the limit was checked while reading: only memory can be short */
        weir_fail(&err, WEIR_NO_MEMORY, "there is no memory for a request body of %zu bytes",
                  x->body.len);
        exchange_fail(x, &err, NULL);
        return;
    }
    if (!str_eq(x->request->method, STR("POST"))) /* nobody reads it, and a stream may stay long */
        exchange_forget_body(x);
    x->route->begin(x);
}

/* --- the answer ------------------------------------------------------------------------------- */

void exchange_field(struct exchange *x, const char *name, struct str value)
{
    buffer_printf(&x->fields, "%s: %.*s\r\n", name, STR_ARG(value));
}

/* Sends the head, and `body` (taken, may be NULL) behind it: in one piece when it is small. */
static void send_head(struct exchange *x, struct http_reply *reply, struct buffer *body)
{
    struct buffer *head = &x->server->head;
    exchange_field(x, "x-request-id", str_of(x->id));
    x->status = reply->status;
    reply->keep_alive = x->keep_alive;
    reply->fields = buffer_view(&x->fields);
    buffer_clear(head);
    http_reply_head(head, reply, clock_wall_ms());
    if (body && body->len <= SERVER_ONE_PIECE_BYTES) {
        buffer_str(head, buffer_view(body));
        buffer_clear(body);
    }
    connection_write(x->connection, buffer_view(head));
    if (body && body->len > 0)
        connection_send(x->connection, body);
}

void exchange_reply(struct exchange *x, int status, const char *content_type, struct buffer *body)
{
    CHECK(x->connection != NULL && !x->is_streaming);
    struct weir_error err;
    if (body && body->failed) {
        weir_fail(&err, WEIR_INTERNAL,
                  "the answer is too large or finds no memory, after %zu bytes", body->len);
        buffer_finish(body);
        exchange_fail(x, &err, NULL);
        return;
    }
    struct http_reply reply = { .status = status,
                                .content_type = str_of(content_type),
                                .content_length = body ? body->len : 0 };
    x->keep_alive = connection_stays_open(x->connection);
    x->sent_bytes = x->is_head_only ? 0 : reply.content_length;
    send_head(x, &reply, x->is_head_only ? NULL : body);
    if (body)
        buffer_finish(body);
    answered(x);
}

void exchange_reply_json(struct exchange *x, int status, struct buffer *body)
{
    exchange_reply(x, status, "application/json", body);
}

static void fail_stream(struct exchange *x, const struct weir_error *err, const char *param)
{
    struct buffer event;
    buffer_init(&event, 16 * 1024);
    buffer_text(&event, "data: ");
    http_reply_error(&event, err, param);
    buffer_text(&event, "\n\n");
    if (exchange_stream_write(x, buffer_view(&event)))
        exchange_stream_end(x);
    buffer_finish(&event);
}

void exchange_fail(struct exchange *x, const struct weir_error *err, const char *param)
{
    struct buffer body;
    int status = error_http_status(err->code);
    if (status >= 500)
        x->problem = arena_str(&x->arena, str_of(err->text)).data;
    if (x->is_streaming) { /* the head with its status is out */
        fail_stream(x, err, param);
        return;
    }
    buffer_init(&body, 16 * 1024);
    if (x->write_error)
        x->write_error(x, &body, err, param);
    else
        http_reply_error(&body, err, param);
    http_reply_retry(&x->fields, err);
    exchange_reply_json(x, status, &body);
}

void exchange_stream_begin(struct exchange *x, const char *content_type)
{
    CHECK(x->connection != NULL && !x->is_streaming);
    struct http_reply reply = { .status = 200, .content_type = str_of(content_type) };
    bool has_chunks = x->request && x->request->minor == 1;
    x->is_streaming = true;
    x->is_chunked = reply.is_chunked = has_chunks;
    reply.is_endless = !has_chunks;
    x->keep_alive = has_chunks && connection_stays_open(x->connection);
    connection_bound_unsent(x->connection, (size_t)x->server->limits.unsent_bytes);
    send_head(x, &reply, NULL);
}

bool exchange_stream_write(struct exchange *x, struct str piece)
{
    struct server *s = x->server;
    if (x->is_head_only || piece.len == 0)
        return true;
    x->sent_bytes += piece.len;
    if (x->is_chunked) {
        http_reply_chunk(&s->chunk, piece);
        connection_write(x->connection, buffer_view(&s->chunk));
        buffer_reuse(&s->chunk, SERVER_EVENT_BYTES_KEPT);
    } else {
        connection_write(x->connection, piece);
    }
    size_t unsent = connection_unsent(x->connection);
    if (x->has_credit || unsent <= (size_t)s->limits.unsent_bytes)
        return true;
    log_write(&s->log, LOG_WARN, "http", "client %s dropped: %zu bytes unsent, unsent_bytes=%lld",
              connection_peer(x->connection), unsent, (long long)s->limits.unsent_bytes);
    connection_drop(x->connection);
    return false;
}

void exchange_stream_end(struct exchange *x)
{
    struct buffer out;
    buffer_init(&out, 16);
    if (x->is_chunked && !x->is_head_only)
        buffer_text(&out, "0\r\n\r\n");
    connection_send(x->connection, &out);
    answered(x);
}

/* --- the pool --------------------------------------------------------------------------------- */

void exchange_drained(struct exchange *x)
{
    if (x->owed_events == 0 || x->job == 0)
        return;
    weir_credit(x->server->pool, x->job, x->owed_events, x->owed_bytes);
    x->owed_events = 0;
    x->owed_bytes = 0;
}

static void on_output(void *context, uint64_t id, const struct weir_output *output)
{
    struct exchange *x = context;
    (void)id;
    if (x->connection)
        x->calls->output(x, output);
    if (x->connection == NULL || !x->has_credit) /* the route may have lost the client */
        return;
    x->owed_events++;
    x->owed_bytes += output->bytes + output->image_bytes;
    if (connection_unsent(x->connection) == 0)
        exchange_drained(x);
}

static void on_progress(void *context, uint64_t id, uint32_t step, uint32_t steps)
{
    struct exchange *x = context;
    (void)id;
    if (x->connection && x->calls->progress)
        x->calls->progress(x, step, steps);
}

/* An error of the pool, which knows inputs but not what the route calls them. */
static void fail_by_pool(struct exchange *x, const struct weir_error *err)
{
    bool is_of_input = err->index >= 0 || err->code == WEIR_CONTEXT_LENGTH;
    exchange_fail(x, err, is_of_input ? x->input_param : NULL);
}

static void take_usage(struct exchange *x, const struct weir_end *end)
{
    char ms[24];
    x->usage = (struct exchange_usage){ .is_known = true,
                                        .queued_ms = end->queued_ms,
                                        .input_tokens = end->input_tokens,
                                        .output_tokens = end->output_tokens };
    snprintf(ms, sizeof(ms), "%lld", (long long)end->queued_ms);
    if (x->connection && !x->is_streaming)
        exchange_field(x, "x-weir-queued-ms", str_of(ms));
}

static void on_end(void *context, uint64_t id, const struct weir_end *end)
{
    struct exchange *x = context;
    (void)id;
    x->job = 0;
    take_usage(x, end);
    if (x->connection && end->error.code == WEIR_OK)
        x->calls->ended(x, end);
    else if (x->connection)
        fail_by_pool(x, &end->error);
    exchange_release(x);
}

static const struct weir_callbacks pool_callbacks = {
    .size = sizeof(struct weir_callbacks),
    .on_output = on_output,
    .on_progress = on_progress,
    .on_end = on_end,
};

int64_t exchange_deadline(const struct exchange *x, struct json_fields *fields)
{
    static const char field[] = "x-weir-deadline-ms";
    struct str text = exchange_header(x, STR("x-weir-deadline-ms"));
    int64_t header_ms = 0;
    if (text.data && (!str_to_i64(text, &header_ms) || header_ms < 1))
        json_fields_fail(fields, field, "the header %s must be a positive integer, not '%.*s'",
                         field, (int)(text.len < 40 ? text.len : 40), text.data);
    return json_fields_integer(fields, "deadline_ms", 1, INT64_MAX, header_ms);
}

bool exchange_submit(struct exchange *x, struct weir_request *request,
                     const struct exchange_calls *calls)
{
    struct weir_error err;
    request->size = sizeof(*request);
    request->client = exchange_client(x);
    request->id = x->id;
    request->callbacks = &pool_callbacks;
    request->context = x;
    x->calls = calls;
    x->model = mem_copy_text(request->model, strlen(request->model));
    x->has_credit = (request->flags & WEIR_FLAG_OWN_CREDIT) != 0;
    x->job = weir_submit(x->server->pool, request, &err);
    if (x->job == 0) {
        fail_by_pool(x, &err);
        return false;
    }
    exchange_hold(x);
    exchange_forget_body(x);
    return true;
}
