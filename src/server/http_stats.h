/* http_stats.h — what the server counts of its requests: status and time, a route.
 *
 * Requests that reached no route are counted as route "none". A stream counts until its end. */
#ifndef SERVER_HTTP_STATS_H
#define SERVER_HTTP_STATS_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

struct http_stats;
struct route;

struct http_stats *http_stats_create(void); /* for the routes of router.h */
void http_stats_destroy(struct http_stats *s);
void http_stats_observe(struct http_stats *s, const struct route *route, int status, int64_t ms);
/* weir_http_requests_total and weir_http_request_seconds, in Prometheus' text format. */
void http_stats_write(const struct http_stats *s, struct buffer *out);

#endif
