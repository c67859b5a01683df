/* images.h — the images that come with a request: from what clients write to encoded files.
 *
 * An image is a data: URL, an http(s) URL (only when the server was told to fetch those), or a file
 * under one of the server's folders of images, as {"path"} or file: URL. Adding them is parsing;
 * loading them is decoding, reading and fetching, off the loop when it may take time, and then the
 * route goes on. No pixel is looked at: the worker decodes. */
#ifndef SERVER_IMAGES_H
#define SERVER_IMAGES_H

#include "server/json_fields.h"

#include "weir/weir.h"

#include <stddef.h>
#include <stdint.h>

struct exchange;
struct image;
struct images_load;

struct images {
    struct exchange *exchange;
    const char *param; /* the field that holds them */
    struct image *first, **last;
    size_t count;
    int64_t took_ms;          /* of loading, which the request's deadline must be told */
    struct images_load *load; /* while one runs */
};

void images_init(struct images *set, struct exchange *x, const char *param);

/* One more image, which `v` names: a text that is a URL, {"url": URL} or {"path": PATH}. `where` is
 * how it is called in a message. `out`, which outlives the set, gets its bytes from images_load.
 * False after a problem. */
bool images_add(struct images *set, struct json_fields *f, const struct json_value *v,
                const char *where, struct weir_input *out);

/* Calls `then` once every image is there, within the call or later; their bytes last until it
 * returns. Every problem is answered, and `then` is not called when the client has left. */
void images_load(struct images *set, void (*then)(struct exchange *x));
/* Takes the time of loading off the request's deadline. True, and WEIR_DEADLINE: none is left. */
bool images_late(const struct images *set, struct weir_request *request, struct weir_error *err);
/* The client has left: nothing more is read or fetched. For a route's over. */
void images_cancel(struct images *set);

#endif
