/* router.h — which function answers which request.
 *
 * A path that ends in '/' takes the rest of the path too, percent-decoded (names of models hold '/'
 * and ':'). HEAD is served wherever GET is, OPTIONS everywhere. */
#ifndef SERVER_ROUTER_H
#define SERVER_ROUTER_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"
#include "server/exchange.h"

#include <stdbool.h>

struct route {
    const char *method;
    const char *path;
    void (*begin)(struct exchange *x);
    const char *says; /* one sentence on what it answers */
};

/* Finds the route of a request. WEIR_NO_SUCH_PATH, or WEIR_METHOD when the path has others, is in
 * `err`. `*rest` is copied into the arena. */
const struct route *router_find(struct str method, struct str path, struct arena *arena,
                                struct str *rest, struct weir_error *err);
size_t router_count(void);
const struct route *router_at(size_t index); /* in one order for ever: those of an array */
/* "GET, HEAD, OPTIONS": what a path allows; nothing for a path that is none. */
void router_allow(struct str path, struct buffer *out);

/* How errors are written at this path, whatever is wrong with the request; NULL: as OpenAI's. */
exchange_write_error *router_error_writer(struct str path);

/* Sets route and rest, or answers: errors, and OPTIONS. False when it answered. */
bool router_admit(struct exchange *x);

#endif
