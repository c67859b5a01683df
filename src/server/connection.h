/* connection.h — one socket of a client: reads requests, one at a time, and sends what it is
 * given.
 *
 * Owns the socket, the reader of heads, the bytes that came ahead of their turn, and every time
 * limit of a client: slow heads and bodies, idle connections, answers that are not fetched. A
 * client that leaves, or breaks a limit, takes its exchange with it. Freed after its handles are
 * closed. */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct connection;
struct link;
struct server;

void connection_accept(struct server *s, uv_stream_t *listener);

/* Takes the bytes of `bytes`, which is empty afterwards. Never ends the connection before it
 * returns: a broken socket is noticed later. */
void connection_send(struct connection *c, struct buffer *bytes);
/* The same for bytes that stay the caller's: what the socket does not take at once is copied. */
void connection_write(struct connection *c, struct str bytes);
size_t connection_unsent(const struct connection *c);
/* From now on the kernel keeps about so many bytes at most, so that a client which does not read is
 * noticed by what is unsent. */
void connection_bound_unsent(struct connection *c, size_t bytes);
/* The exchange has given its whole answer; stays open for the next request if `stays_open`. */
void connection_answered(struct connection *c, bool stays_open);
/* Whether there can be another request after this one: to be said in the head of the answer. */
bool connection_stays_open(const struct connection *c);
const char *connection_peer(const struct connection *c); /* the client's address without port */

struct connection *connection_of(struct link *at); /* on the server's list */
void connection_drop(struct connection *c);        /* now, whatever is unsent */
void connection_retire(
    struct connection *c); /* when the running answer is out; now when there is none */

#endif
