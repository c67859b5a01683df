/* http_client.h — one request to a server, one response, on a plain blocking socket.
 *
 * Takes URLs of the form http://HOST:PORT only. Every request has its own connection, which is
 * short work on a loopback; connecting and the whole exchange each have a time limit. It writes no
 * more than it is given and reads no more than the ceiling of the body. */
#ifndef CLIENT_HTTP_CLIENT_H
#define CLIENT_HTTP_CLIENT_H

#include "base/error.h"
#include "client/response.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_url {
    char host[256];
    char port[6];
    bool host_is_v6; /* written in brackets in the Host header */
};

/* Reads "http://HOST:PORT" with an optional "/" behind it; [::1] is a host; port 80 when absent. */
enum weir_code http_client_url(const char *text, struct http_url *out, struct weir_error *err);

struct http_request {
    const char *method;
    const char *path;    /* begins with '/', already percent-encoded */
    const char *api_key; /* sent as the bearer token; NULL or "": none */
    struct str body;     /* JSON; no body when its data is NULL */
    int64_t connect_ms;
    int64_t total_ms; /* from the start to the last byte */
};

/* Fills `reply` (which the caller initialised and finishes). *connected tells whether anybody
 * answered the connection, so that the caller can tell "no server" from "a bad answer". */
enum weir_code http_client_send(const struct http_url *url, const struct http_request *request,
                                struct response *reply, bool *connected, struct weir_error *err);

#endif
