/* png.h — the smallest writer of PNG files: 8 bits a channel, red, green and blue, not compressed
 * (deflate blocks of the stored kind). The pictures of a fake model need no more. */
#ifndef WORKER_FAKE_PNG_H
#define WORKER_FAKE_PNG_H

#include "base/buffer.h"

#include <stdint.h>

/* Appends the file; `rgb` are width x height x 3 bytes, rows from the top. */
void png_write(struct buffer *out, const uint8_t *rgb, uint32_t width, uint32_t height);

#endif
