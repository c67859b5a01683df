/* fetch.h — one file from the Internet, into memory.
 *
 * http and https only, and only from public addresses (address.h): every socket is judged when it
 * is about to be opened, on the very address that it will connect to, for the first host and for
 * every redirect alike, so that no name can be resolved once for the check and again for the
 * connection. No proxy of the environment, no cookies, no passwords. Bounded in bytes, time,
 * redirects and kind of content. Blocks: it is for a thread of its own, in
 * a program that ignores SIGPIPE (TLS writes without asking for that). */
#ifndef HUB_FETCH_H
#define HUB_FETCH_H

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

#define FETCH_REDIRECTS_MAX 3

struct fetch_options {
    int64_t timeout_ms;       /* for everything together; mandatory */
    const char *content_type; /* what the answer's must begin with: "image/"; NULL: anything */
    bool (*is_public)(const struct sockaddr *address); /* NULL: address_is_public */
    bool (*is_cancelled)(void *context); /* asked every 50 ms, from the caller's thread; or NULL */
    void *context;
};

/* Before any other thread runs. Once is enough, more does no harm. */
void fetch_prepare(void);

/* Appends the file to `out`, whose ceiling bounds it. On failure `out` has what it had, and the
 * error names the host and what happened: WEIR_FORBIDDEN (an address that is not public),
 * WEIR_CANCELLED, WEIR_INVALID for everything that the URL is to blame for. */
enum weir_code fetch_get(const char *url, const struct fetch_options *options, struct buffer *out,
                         struct weir_error *err);

#endif
