/* request_fields.h — the fields that say how a request is to be treated, the same on every route
 * that submits one: `model`, `deadline_ms`, `priority`, `keep_alive`, `user`.
 *
 * `keep_alive` is how long the model stays after the request, "5m" or a number of seconds; 0: it
 * leaves when it has nothing to do; negative: it stays until it is unloaded or its memory is
 * needed. The headers x-weir-deadline-ms and x-weir-priority stand in for absent fields. */
#ifndef SERVER_REQUEST_FIELDS_H
#define SERVER_REQUEST_FIELDS_H

#include "server/json_fields.h"

#include "weir/weir.h"

#include <stdint.h>

struct exchange;

/* Fills model, deadline_ms, keep_alive_ms and priority. What is wrong is in `f`. */
void request_fields_read(const struct exchange *x, struct json_fields *f,
                         struct weir_request *request);
/* All of them but the model. */
void request_fields_handling(const struct exchange *x, struct json_fields *f,
                             struct weir_request *request);

/* As in weir_request: ms, WEIR_KEEP_ALIVE_FOREVER or _NONE; 0 when there is no such field. */
int64_t request_fields_keep_alive(struct json_fields *f);
/* `header` is what the field says when it is absent; empty: normal. */
enum weir_priority request_fields_priority(struct json_fields *f, struct str header);

#endif
