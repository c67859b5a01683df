/* json_body.h — from the body of a request to its JSON. */
#ifndef SERVER_JSON_BODY_H
#define SERVER_JSON_BODY_H

struct exchange;

/* Checks Content-Type, parses x->body into x->json and calls `then`: at once when the body is
 * small, later when it is large, since parsing is slow and is then done by a thread of the
 * loop's pool. Every problem is answered, and `then` is not called when the client has left
 * meanwhile. Until then the exchange's `state` and `over` are taken. */
void json_body_read(struct exchange *x, void (*then)(struct exchange *x));

/* Frees x->json, if any, while x->body is still there: the tree of a large one by a thread too. */
void json_body_free(struct exchange *x);

#endif
