/* server_state.h — what the rooms of this folder share of one server. Not for other folders.
 *
 *     listener --accepts--> connection --one at a time--> exchange --submits--> pool
 *
 * A connection is freed when its handles are closed. An exchange is freed when nobody holds it any
 * more: not its connection, not the pool, not the thread that parses its body. */
#ifndef SERVER_SERVER_STATE_H
#define SERVER_SERVER_STATE_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/size.h"
#include "server/access.h"
#include "server/server.h"

#include <uv.h>

/* Every connection reads into this one buffer, since what was read is used up within the
 * callback. */
#define SERVER_READ_BYTES (64 * 1024)

/* Events and chunks are made in buffers of the server, which keep so much memory for the next. */
#define SERVER_EVENT_BYTES_MAX  ((size_t)(256 * MiB)) /* the largest is an image in base64 */
#define SERVER_EVENT_BYTES_KEPT ((size_t)(64 * KiB))

/* Further fields of an answer's head; a body of at most so many bytes goes in one piece with it. */
#define SERVER_FIELDS_BYTES    4096
#define SERVER_ONE_PIECE_BYTES ((size_t)(16 * KiB))

struct api_keys;
struct rooted_roots;
struct sockaddr;

struct server {
    uv_loop_t *loop;
    struct weir *pool;
    struct server_limits limits;
    struct log log;
    struct access access;
    const struct api_keys *keys; /* NULL: everybody may ask */
    bool is_exposed;             /* listens beyond loopback */
    uv_poll_t pool_poll;
    enum weir_code step_code; /* of the last weir_step: a failure is logged when it is new */
    struct link listeners;
    struct link connections;
    size_t connections_count;
    size_t exchanges_count;
    struct map exchange_ids; /* x-request-id -> struct exchange */
    uint64_t bodies_bytes;   /* of request bodies that are held, but for small ones */
    struct http_stats *stats;
    struct link readers; /* of /weir/v1/events */
    struct link unloads; /* exchanges that wait for a model's workers to be gone */
    uv_timer_t readers_timer;
    uv_timer_t grace_timer;
    int64_t started_s; /* since 1970 */
    bool allow_image_urls;
    bool (*address_is_public)(const struct sockaddr *address);
    struct rooted_roots *image_roots;
    struct link fetches_waiting; /* of images.c */
    unsigned fetches_running;
    struct buffer event; /* the one that is being written; see sse.h */
    struct buffer chunk; /* the one that is being sent */
    struct buffer head;  /* likewise */
    uint64_t randoms[32];
    size_t randoms_left;
    bool is_draining;
    bool is_closing;
    unsigned handles_open;
    void (*closed)(void *context);
    void *closed_context;
    char read_bytes[SERVER_READ_BYTES];
};

/* Called whenever a connection or an exchange is gone: a closing server may now be closed. */
void server_settle(struct server *s);

#endif
