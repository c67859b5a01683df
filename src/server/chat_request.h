/* chat_request.h — the body of POST /v1/chat/completions, as the pool takes it.
 *
 * What would change the answer and is not done here (tools, several choices, forced formats,
 * log probabilities) is refused by name; other fields that weir does not know are ignored. */
#ifndef SERVER_CHAT_REQUEST_H
#define SERVER_CHAT_REQUEST_H

#include "server/images.h"
#include "server/json_fields.h"

#include "weir/weir.h"

#include <stdbool.h>
#include <stdint.h>

#define CHAT_STOPS_MAX 4

struct chat_request {
    struct weir_generate generate; /* borrows from the JSON and the exchange's arena */
    struct images images;          /* still to be loaded */
    uint64_t affinity;             /* of the model, the system texts and the first user's text */
    bool streams;
    bool wants_usage; /* as the last event of a stream */
};

/* Fills `out`, which must stay where it is. A problem is in `f`. */
void chat_request_read(struct chat_request *out, struct exchange *x, struct json_fields *f);

#endif
