/* http_chunks.h — the framing of a chunked body, read byte by byte and strictly.
 *
 * The parser library is built lenient: it takes any two bytes for the end of a chunk, which lets
 * two programs in a row disagree about where a request ends. So weir reads the framing itself:
 * sizes in hexadecimal, CRLF and nothing else at line ends, extensions and trailers skipped. A
 * plain value. */
#ifndef SERVER_HTTP_CHUNKS_H
#define SERVER_HTTP_CHUNKS_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_chunks {
    uint8_t state;
    uint8_t digits;
    uint64_t left; /* bytes of the chunk that are still to come */
};

void http_chunks_init(struct http_chunks *c);

/* Reads up to one piece of body from `in`: returns the bytes consumed and sets `piece` (empty when
 * only framing was read). The first problem is a constant text in `*problem`, else NULL. */
size_t http_chunks_feed(struct http_chunks *c, struct str in, struct str *piece,
                        const char **problem);
bool http_chunks_ended(const struct http_chunks *c);

#endif
