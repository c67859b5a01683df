/* server.h — HTTP in front of a pool, an ordinary user of weir.h on a libuv loop.
 *
 * Owns listeners, connections and exchanges; polls weir_fd and steps the pool; knows nothing of
 * workers. The pool and the loop belong to the caller and outlive the server. Every request that
 * was read gets exactly one response; a client that leaves cancels its request in the pool. Raises
 * the program's soft limit of open files to what its connections need. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/log.h"

#include "weir/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct api_keys;
struct buffer;
struct server;
struct sockaddr;
struct weir;

/* Limits that the server enforces, by the names of spec and documentation. */
/* clang-format off */
#define SERVER_LIMITS(X)                                                                        \
    X(head_bytes,      32 * 1024,         "bytes of a request head")                            \
    X(body_bytes,      64 * 1024 * 1024,  "bytes of a request body")                            \
    X(bodies_bytes,    256 * 1024 * 1024, "bytes of all bodies above 64 KiB together")          \
    X(connections,     4096,              "open connections")                                   \
    X(head_ms,         10000,             "ms until a request head has arrived")                \
    X(keep_alive_ms,   75000,             "ms that an idle connection stays open")              \
    X(unsent_bytes,    64 * 1024,         "bytes that a slow client may leave unsent")          \
    X(client_stall_ms, 30000,             "ms without progress until a slow client is dropped") \
    X(inputs,          2048,              "inputs of one embedding request")                    \
    X(images,          4,                 "images that come with one request")                  \
    X(image_bytes,     16 * 1024 * 1024,  "bytes of such an image, as a file")                  \
    X(image_fetch_ms,  10000,             "ms for fetching such an image from its URL")
/* clang-format on */

struct server_limits {
#define X(name, value, says) int64_t name;
    SERVER_LIMITS(X)
#undef X
};

struct server_options {
    struct server_limits limits; /* 0: the default */
    const char *const
        *allow_hosts; /* names that Host may carry besides listen addresses, localhost */
    size_t allow_hosts_count;
    const char *const *allow_origins; /* besides loopback origins */
    size_t allow_origins_count;
    bool allow_image_urls;          /* fetch images from http and https URLs, public ones only */
    const char *const *image_roots; /* folders whose images a request may name by path */
    size_t image_roots_count;
    const struct api_keys *keys; /* one of which a request must have; NULL: none is asked for */
    bool (*address_is_public)(const struct sockaddr *address); /* for tests; NULL: hub/address.h */
    const struct log *log;
};

bool server_limit_set(struct server_limits *limits, const char *name, int64_t value);

enum weir_code server_create(uv_loop_t *loop, struct weir *pool,
                             const struct server_options *options, struct server **out,
                             struct weir_error *err);

/* Binds "127.0.0.1:9347", "[::1]:0", "localhost:80"; *out_url (optional, 128 bytes) gets
 * "http://HOST:PORT" with the port that was given. */
enum weir_code server_listen(struct server *s, const char *address, char out_url[128],
                             struct weir_error *err);

/* Whether an address that it listens on can be reached from other machines. */
bool server_is_exposed(const struct server *s);

/* Asks for these keys from now on, borrowed until the next call or the end; NULL: for none. */
void server_set_keys(struct server *s, const struct api_keys *keys);

/* For weir_options.on_event: hands the object to every reader of /weir/v1/events. Legal before
 * server_create (NULL server: nothing happens). */
void server_event(struct server *s, const char *json, size_t bytes);

/* Appends the text of GET /metrics. */
enum weir_code server_metrics(struct server *s, struct buffer *out, struct weir_error *err);

/* From now on /health/ready answers 503; requests go on to the pool, which refuses them itself. */
void server_drain(struct server *s);

/* The least level that is logged from now on; a line below it is not even made. Legal before
 * server_create (NULL server). */
void server_log_level(struct server *s, enum log_level least);

/* Stops listening, lets what is written reach the clients (at most grace_ms), closes everything,
 * then calls done once, after which server_destroy is legal. */
void server_close(struct server *s, int64_t grace_ms, void (*done)(void *context), void *context);
void server_destroy(struct server *s);

#endif
