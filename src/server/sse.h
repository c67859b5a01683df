/* sse.h — an answer as server-sent events: a head, any number of events, the end.
 *
 *     struct buffer event;
 *     sse_open(&event, NULL);
 *     … write one line of JSON …
 *     if (!sse_send(x, &event))
 *         return;
 */
#ifndef SERVER_SSE_H
#define SERVER_SSE_H

#include "base/buffer.h"

#include <stdbool.h>

struct exchange;

void sse_begin(struct exchange *x);
void sse_open(struct buffer *event,
              const char *name); /* `name` may be NULL: an event without one */
/* Takes the bytes of `event`. False: the exchange is over, by the client or by a lack of memory. */
bool sse_send(struct exchange *x, struct buffer *event);

#endif
