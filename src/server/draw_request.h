/* draw_request.h — the body of POST /v1/images/generations, as the pool takes it. */
#ifndef SERVER_DRAW_REQUEST_H
#define SERVER_DRAW_REQUEST_H

#include "server/json_fields.h"

#include "weir/weir.h"

#include <stdbool.h>

struct draw_request {
    struct weir_draw draw; /* borrows from the JSON */
    bool streams;
};

/* A problem is in `f`. */
struct draw_request draw_request_read(struct json_fields *f);

#endif
