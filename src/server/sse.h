/* sse.h — an answer as server-sent events: a head, any number of events, the end.
 *
 *     struct buffer *event = sse_open(x, NULL);
 *     … write one line of JSON …
 *     if (!sse_send(x))
 *         return;
 *
 * One event at a time is written, into a buffer of the server, so that events cost no allocation.
 */
#ifndef SERVER_SSE_H
#define SERVER_SSE_H

#include "base/buffer.h"

#include <stdbool.h>

struct exchange;

void sse_begin(struct exchange *x);
/* `name` may be NULL: an event without one. The buffer is borrowed until sse_send. */
struct buffer *sse_open(struct exchange *x, const char *name);
/* False: the exchange is over, by the client or by a lack of memory. */
bool sse_send(struct exchange *x);

#endif
