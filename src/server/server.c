#include "server/server.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "hub/fetch.h"
#include "hub/rooted_file.h"
#include "server/connection.h"
#include "server/http_reply.h"
#include "server/http_stats.h"
#include "server/listener.h"
#include "server/server_state.h"
#include "server/weir_events.h"
#include "server/weir_unload.h"

#include "weir/weir.h"

#include <string.h>
#include <sys/resource.h>

/* Open files that are no clients: three a worker, and a few. */
#define OTHER_FILES 1024

/* --- limits ----------------------------------------------------------------------------------- */

bool server_limit_set(struct server_limits *limits, const char *name, int64_t value)
{
    if (value < 1)
        return false;
#define X(field, standard, says)                                                                   \
    if (strcmp(name, #field) == 0) {                                                               \
        limits->field = value;                                                                     \
        return true;                                                                               \
    }
    SERVER_LIMITS(X)
#undef X
    return false;
}

static struct server_limits limits_or_defaults(struct server_limits limits)
{
#define X(field, standard, says)                                                                   \
    if (limits.field <= 0)                                                                         \
        limits.field = (standard);
    SERVER_LIMITS(X)
#undef X
    if (limits.bodies_bytes < limits.body_bytes) /* one body must be possible */
        limits.bodies_bytes = limits.body_bytes;
    return limits;
}

/* Many systems give a program 1024 descriptors until it asks for more. Where it may not have as
 * many as it needs, connections leave some of them to workers, listeners and files: a thousand, or
 * half of what there is. */
static void fit_connections(struct server *s)
{
    struct rlimit files;
    rlim_t wanted = (rlim_t)s->limits.connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted)
        return;
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 && getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    if (files.rlim_cur >= wanted)
        return;
    const rlim_t others = files.rlim_cur / 2 < OTHER_FILES ? files.rlim_cur / 2 : OTHER_FILES;
    int64_t most = files.rlim_cur > 1 ? (int64_t)(files.rlim_cur - others) : 1;
    if (most >= s->limits.connections)
        return;
    log_write(
        &s->log, LOG_WARN, "server",
        "connections=%lld instead of %lld: the system allows %llu open files (ulimit -Hn), and "
        "the pool needs some of them",
        (long long)most, (long long)s->limits.connections, (unsigned long long)files.rlim_cur);
    s->limits.connections = most;
}

/* --- the pool --------------------------------------------------------------------------------- */

/* weir_fd is readable whenever the pool has something to do, so this is its whole drive. */
static void on_pool(uv_poll_t *poll, int status, int events)
{
    struct server *s = poll->data;
    struct weir_error err;
    (void)status, (void)events; /* an error of the poll is the pool's to find */
    enum weir_code code = weir_step(s->pool, 0, &err);
    if (code != WEIR_OK && code != s->step_code)
        log_write(&s->log, LOG_ERROR, "server", "the pool cannot go on: %s", err.text);
    s->step_code = code;
}

/* --- life ------------------------------------------------------------------------------------- */

static void allow(struct access *access, const struct server_options *options)
{
    access_init(access);
    for (size_t i = 0; i < options->allow_hosts_count; i++)
        access_allow_host(access, str_of(options->allow_hosts[i]));
    for (size_t i = 0; i < options->allow_origins_count; i++)
        access_allow_origin(access, str_of(options->allow_origins[i]));
}

enum weir_code server_create(uv_loop_t *loop, struct weir *pool,
                             const struct server_options *options, struct server **out,
                             struct weir_error *err)
{
    struct rooted_roots *roots;
    enum weir_code code =
        rooted_open(options->image_roots, options->image_roots_count, &roots, err);
    if (code != WEIR_OK)
        return code;
    if (options->allow_image_urls)
        fetch_prepare();
    struct server *s = mem_new(1, sizeof(*s));
    s->image_roots = roots;
    s->loop = loop;
    s->pool = pool;
    s->limits = limits_or_defaults(options->limits);
    if (options->log)
        s->log = *options->log;
    s->started_s = clock_wall_ms() / 1000;
    list_init(&s->listeners);
    list_init(&s->connections);
    list_init(&s->readers);
    list_init(&s->unloads);
    s->stats = http_stats_create();
    list_init(&s->fetches_waiting);
    buffer_init(&s->event, SERVER_EVENT_BYTES_MAX);
    buffer_init(&s->chunk, SERVER_EVENT_BYTES_MAX + HTTP_REPLY_CHUNK_ROOM);
    buffer_init(&s->head, 2 * SERVER_FIELDS_BYTES + SERVER_ONE_PIECE_BYTES);
    s->keys = options->keys;
    s->allow_image_urls = options->allow_image_urls;
    s->address_is_public = options->address_is_public;
    map_init(&s->exchange_ids);
    int failed = uv_poll_init(loop, &s->pool_poll, weir_fd(pool));
    if (failed) {
        map_finish(&s->exchange_ids);
        http_stats_destroy(s->stats);
        rooted_close(roots);
        mem_free(s);
        return weir_fail(err, WEIR_INTERNAL, "cannot poll the pool: %s", uv_strerror(failed));
    }
    fit_connections(s);
    allow(&s->access, options);
    CHECK(uv_timer_init(loop, &s->readers_timer) == 0);
    CHECK(uv_timer_init(loop, &s->grace_timer) == 0);
    s->pool_poll.data = s->readers_timer.data = s->grace_timer.data = s;
    s->handles_open = 3;
    CHECK(uv_poll_start(&s->pool_poll, UV_READABLE, on_pool) == 0);
    *out = s;
    return WEIR_OK;
}

enum weir_code server_listen(struct server *s, const char *address, char out_url[128],
                             struct weir_error *err)
{
    return listener_open(s, address, out_url, err);
}

bool server_is_exposed(const struct server *s)
{
    return s->is_exposed;
}

void server_set_keys(struct server *s, const struct api_keys *keys)
{
    s->keys = keys;
}

void server_event(struct server *s, const char *json, size_t bytes)
{
    if (s == NULL)
        return;
    weir_events_send(s, (struct str){ json, bytes });
    weir_unload_event(s, (struct str){ json, bytes });
}

void server_log_level(struct server *s, enum log_level least)
{
    if (s)
        s->log.least = least;
}

void server_drain(struct server *s)
{
    s->is_draining = true;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Everything at once: what is still unsent after the grace is lost. */
static void drop_connections(struct server *s)
{
    LIST_EACH(&s->connections, at) {
        connection_drop(connection_of(at));
    }
}

static void on_grace_over(uv_timer_t *timer)
{
    struct server *s = timer->data;
    if (s->connections_count > 0)
        log_write(&s->log, LOG_WARN, "server", "%zu connections closed before they were done",
                  s->connections_count);
    drop_connections(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct server *s = handle->data;
    s->handles_open--;
    server_settle(s);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

void server_settle(struct server *s)
{
    if (!s->is_closing || s->connections_count > 0 || s->exchanges_count > 0)
        return;
    /* The pool was driven until the last cancelled request had ended. */
    close_handle((uv_handle_t *)&s->pool_poll);
    close_handle((uv_handle_t *)&s->readers_timer);
    close_handle((uv_handle_t *)&s->grace_timer);
    if (s->handles_open > 0 || s->closed == NULL)
        return;
    void (*closed)(void *context) = s->closed;
    s->closed = NULL;
    closed(s->closed_context);
}

void server_close(struct server *s, int64_t grace_ms, void (*done)(void *context), void *context)
{
    CHECK(!s->is_closing && done != NULL);
    s->is_draining = s->is_closing = true;
    s->closed = done;
    s->closed_context = context;
    listener_close_all(s);
    weir_events_end(s);
    LIST_EACH(&s->connections, at) {
        connection_retire(connection_of(at));
    }
    if (grace_ms > 0)
        CHECK(uv_timer_start(&s->grace_timer, on_grace_over, (uint64_t)grace_ms, 0) == 0);
    else
        drop_connections(s);
    server_settle(s);
}

void server_destroy(struct server *s)
{
    if (s == NULL)
        return;
    CHECK(s->handles_open == 0 && s->connections_count == 0 && s->exchanges_count == 0);
    access_finish(&s->access);
    map_finish(&s->exchange_ids);
    http_stats_destroy(s->stats);
    rooted_close(s->image_roots);
    buffer_finish(&s->event);
    buffer_finish(&s->chunk);
    buffer_finish(&s->head);
    mem_free(s);
}
