/* weir_events.h — the readers of GET /weir/v1/events (server-sent events).
 *
 * Every event of the pool goes to every reader from its first line on, as `data: {…}`. A comment
 * every 15 s keeps proxies from closing the connection; a reader that does not read is dropped. */
#ifndef SERVER_WEIR_EVENTS_H
#define SERVER_WEIR_EVENTS_H

#include "base/str.h"

struct server;

void weir_events_send(struct server *s, struct str json);
void weir_events_end(struct server *s); /* ends every stream properly */

#endif
