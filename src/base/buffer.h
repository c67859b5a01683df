/* buffer.h — bytes that grow, up to a ceiling given at birth.
 *
 * Failure is sticky: an append that would pass the ceiling (or finds no memory) sets `failed` and
 * appends nothing; later appends do nothing. A writer checks once, at the end. Numbers are written
 * little-endian. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max;
    bool failed;
};

void buffer_init(struct buffer *b, size_t max);
void buffer_finish(struct buffer *b);             /* frees; the buffer is empty and usable again */
void buffer_clear(struct buffer *b);              /* len 0, failure forgotten, memory kept */
void buffer_reuse(struct buffer *b, size_t most); /* clear; more memory than `most` is freed */
uint8_t *buffer_reserve(struct buffer *b, size_t n); /* room for n more at data+len, or NULL */
void buffer_append(struct buffer *b, const void *data, size_t n);
void buffer_text(struct buffer *b, const char *text);
void buffer_str(struct buffer *b, struct str s);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_drop(struct buffer *b, size_t n); /* forgets the first n bytes */

void buffer_u8(struct buffer *b, uint8_t v);
void buffer_u16(struct buffer *b, uint16_t v);
void buffer_u32(struct buffer *b, uint32_t v);
void buffer_u64(struct buffer *b, uint64_t v);
void buffer_i64(struct buffer *b, int64_t v);
void buffer_f32(struct buffer *b, float v);
void buffer_counted(struct buffer *b, struct str s); /* u32 length, then the bytes */

struct str buffer_view(const struct buffer *b); /* borrowed until the next change */
/* The bytes are the caller's now (mem_free); the buffer is empty. A NUL is put behind them that
 * *out_len does not count. NULL when the buffer failed. */
char *buffer_take(struct buffer *b, size_t *out_len);

#endif
