#include "server/listener.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "server/connection.h"
#include "server/server_state.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG 511

struct listener {
    uv_tcp_t tcp;
    struct server *server;
    struct link link;
};

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    struct server *s = l->server;
    mem_free(l);
    s->handles_open--;
    server_settle(s);
}

static void listener_close(struct listener *l)
{
    list_remove(&l->link);
    if (!uv_is_closing((uv_handle_t *)&l->tcp))
        uv_close((uv_handle_t *)&l->tcp, on_closed);
}

void listener_close_all(struct server *s)
{
    while (!list_empty(&s->listeners))
        listener_close(CONTAINER_OF(list_first(&s->listeners), struct listener, link));
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *l = stream->data;
    if (status < 0)
        log_write(&l->server->log, LOG_WARN, "server", "cannot accept a connection: %s",
                  uv_strerror(status));
    else
        connection_accept(l->server, stream);
}

/* 0.0.0.0 and [::], which stand for every address of the machine. */
static bool is_any(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr == INADDR_ANY;
}

/* 127.0.0.0/8 and [::1], also written as an IPv6 address. */
static bool is_loopback(const struct sockaddr_storage *address)
{
    uint8_t first = 0;
    if (address->ss_family == AF_INET) {
        memcpy(&first, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 1);
        return first == 127;
    }
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

/* Listens on one address; a port of 0 becomes the one that was given. */
static int bind_one(struct server *s, struct sockaddr *address, in_port_t *port)
{
    struct listener *l = mem_new(1, sizeof(*l));
    struct sockaddr_storage bound;
    int bound_bytes = sizeof(bound);
    int failed = uv_tcp_init(s->loop, &l->tcp);
    if (failed) {
        mem_free(l);
        return failed;
    }
    l->server = s;
    l->tcp.data = l;
    s->handles_open++;
    list_push_back(&s->listeners, &l->link);
    in_port_t *wanted = address->sa_family == AF_INET6
                            ? &((struct sockaddr_in6 *)(void *)address)->sin6_port
                            : &((struct sockaddr_in *)(void *)address)->sin_port;
    *wanted = *port;
    failed = uv_tcp_bind(&l->tcp, address, address->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
    if (!failed)
        failed = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    if (!failed)
        failed = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&bound, &bound_bytes);
    if (failed) {
        listener_close(l);
        return failed;
    }
    if (is_any(&bound))
        access_allow_addresses(&s->access);
    s->is_exposed = s->is_exposed || !is_loopback(&bound);
    *port = bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&bound)->sin6_port
                                        : ((struct sockaddr_in *)(void *)&bound)->sin_port;
    return 0;
}

/* A name may stand for several addresses ("localhost" for two); it is enough that one is there, and
 * all of them get the port of the first. */
static enum weir_code bind_all(struct server *s, const struct addrinfo *found, in_port_t *port,
                               const char *address, struct weir_error *err)
{
    int failed = 0;
    size_t bound = 0;
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        int status = bind_one(s, at->ai_addr, port);
        if (status == 0)
            bound++;
        else if (failed == 0 || failed == UV_EADDRNOTAVAIL || failed == UV_EAFNOSUPPORT)
            failed = status;
    }
    bool is_in_use = failed == UV_EADDRINUSE || failed == UV_EACCES;
    if (bound == 0 || is_in_use)
        return weir_fail(err, WEIR_INVALID, "cannot listen on %s: %s", address,
                         failed ? uv_strerror(failed) : "the name has no address");
    return WEIR_OK;
}

enum weir_code listener_open(struct server *s, const char *address, char out_url[128],
                             struct weir_error *err)
{
    struct str name, port_text;
    char host[NI_MAXHOST];
    uint64_t port_number;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    if (!access_split(str_of(address), &name, &port_text) || !str_to_u64(port_text, &port_number) ||
        name.len > 64)
        return weir_fail(err, WEIR_INVALID,
                         "cannot listen on '%s': it must be HOST:PORT, as in 127.0.0.1:9347",
                         address);
    bool is_bracketed = name.data[0] == '[';
    snprintf(host, sizeof(host), "%.*s", (int)(name.len - (is_bracketed ? 2 : 0)),
             name.data + (is_bracketed ? 1 : 0));
    int failed = getaddrinfo(host, NULL, &hints, &found);
    if (failed)
        return weir_fail(err, WEIR_INVALID, "cannot listen on %s: %s", address,
                         gai_strerror(failed));
    in_port_t port = htons((uint16_t)port_number);
    enum weir_code code = bind_all(s, found, &port, address, err);
    freeaddrinfo(found);
    if (code != WEIR_OK)
        return code;
    access_allow_host(&s->access, name);
    if (out_url)
        snprintf(out_url, 128, "http://%.*s:%u", STR_ARG(name), (unsigned)ntohs(port));
    return WEIR_OK;
}
