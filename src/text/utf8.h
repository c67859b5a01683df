/* utf8.h — code points in and out of UTF-8 that is known to be well formed.
 *
 * Foreign text is checked once, by str_utf8_valid; behind that check nothing here looks twice. */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest sequence. */
#define UTF8_BYTES_MAX 4

/* True for a byte that begins a code point. */
static inline bool utf8_is_start(char byte)
{
    return ((uint8_t)byte & 0xC0) != 0x80;
}

/* The code point at *at, which moves behind it. */
static inline uint32_t utf8_next(struct str s, size_t *at)
{
    const uint8_t *p = (const uint8_t *)s.data + *at;
    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *at += 2;
        return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    }
    if (p[0] < 0xF0) {
        *at += 3;
        return (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    }
    *at += 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 |
           (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
}

/* The code point that ends at *at, which moves before it; *at is not 0. */
static inline uint32_t utf8_previous(struct str s, size_t *at)
{
    size_t start = *at - 1;
    while (!utf8_is_start(s.data[start]))
        start--;
    *at = start;
    size_t behind = start;
    return utf8_next(s, &behind);
}

/* Writes the code point and returns its length in bytes. */
static inline size_t utf8_put(uint32_t c, uint8_t out[UTF8_BYTES_MAX])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

static inline size_t utf8_count(struct str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += utf8_is_start(s.data[i]);
    return count;
}

#endif
