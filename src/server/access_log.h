/* access_log.h — one line a request, when its connection is done with it.
 *
 *     http: POST /v1/embeddings id=… route=/v1/embeddings model=m client=127.0.0.1 status=200
 *         queued_ms=0 total_ms=12 tokens_in=5 tokens_out=0 bytes=8121
 *
 * A value that there is not is "-". What the pool was asked for is said at level info, everything
 * else at debug, a failure of ours as a warning with ` problem=` and its sentence to the end of the
 * line. Bodies are never logged. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

struct exchange;

void access_log_write(const struct exchange *x);

#endif
