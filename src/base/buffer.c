#include "base/buffer.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LEAST_CAP = 64 };

void buffer_init(struct buffer *b, size_t max)
{
    *b = (struct buffer){ .max = max };
}

void buffer_finish(struct buffer *b)
{
    if (b == NULL)
        return;
    mem_free(b->data);
    *b = (struct buffer){ .max = b->max };
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->failed = false;
}

void buffer_reuse(struct buffer *b, size_t most)
{
    if (b->cap > most)
        buffer_finish(b);
    else
        buffer_clear(b);
}

/* Doubles, so that appending costs constant time a byte. One byte more than `cap` is always there,
 * for the NUL of buffer_take. */
static bool grow(struct buffer *b, size_t need)
{
    size_t cap = b->cap > LEAST_CAP ? b->cap : LEAST_CAP;
    while (cap < need)
        cap = cap <= SIZE_MAX / 2 ? cap * 2 : need;
    if (cap > b->max)
        cap = b->max;
    uint8_t *const data = cap < SIZE_MAX ? mem_resize(b->data, cap + 1, 1) : NULL;
    if (data == NULL)
        return false;
    b->data = data;
    b->cap = cap;
    return true;
}

uint8_t *buffer_reserve(struct buffer *b, size_t n)
{
    if (b->failed)
        return NULL;
    const bool fits = n <= b->max && b->len <= b->max - n;
    if (!fits || ((b->data == NULL || b->cap - b->len < n) && !grow(b, b->len + n))) {
        b->failed = true;
        return NULL;
    }
    return b->data + b->len;
}

void buffer_append(struct buffer *b, const void *data, size_t n)
{
    if (n == 0)
        return;
    uint8_t *const to = buffer_reserve(b, n);
    if (to == NULL)
        return;
    memcpy(to, data, n);
    b->len += n;
}

void buffer_text(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

void buffer_str(struct buffer *b, struct str s)
{
    buffer_append(b, s.data, s.len);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    /* Mostly it fits into what is there, NUL included: there is a byte for it behind `cap`. */
    const bool may_fit = !b->failed && b->data != NULL;
    const size_t room = may_fit ? b->cap - b->len : 0;
    const int n =
        vsnprintf(may_fit ? (char *)b->data + b->len : NULL, may_fit ? room + 1 : 0, format, args);
    CHECK(n >= 0);
    const size_t len = (size_t)n;
    if (may_fit && len <= room) {
        b->len += len;
    } else if (buffer_reserve(b, len) != NULL) {
        vsnprintf((char *)b->data + b->len, len + 1, format, again);
        b->len += len;
    }
    va_end(again);
    va_end(args);
}

void buffer_drop(struct buffer *b, size_t n)
{
    CHECK(n <= b->len);
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len);
}

static void put_little_endian(struct buffer *b, uint64_t v, size_t bytes)
{
    uint8_t *const to = buffer_reserve(b, bytes);
    if (to == NULL)
        return;
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(v >> (8 * i));
    b->len += bytes;
}

void buffer_u8(struct buffer *b, uint8_t v)
{
    put_little_endian(b, v, sizeof(v));
}

void buffer_u16(struct buffer *b, uint16_t v)
{
    put_little_endian(b, v, sizeof(v));
}

void buffer_u32(struct buffer *b, uint32_t v)
{
    put_little_endian(b, v, sizeof(v));
}

void buffer_u64(struct buffer *b, uint64_t v)
{
    put_little_endian(b, v, sizeof(v));
}

void buffer_i64(struct buffer *b, int64_t v)
{
    put_little_endian(b, (uint64_t)v, sizeof(v));
}

void buffer_f32(struct buffer *b, float v)
{
    uint32_t bits;
    _Static_assert(sizeof(bits) == sizeof(v), "a float is its 32 bits");
    memcpy(&bits, &v, sizeof(bits));
    buffer_u32(b, bits);
}

void buffer_counted(struct buffer *b, struct str s)
{
    /* Both or neither: a length without its bytes would be a lie to the reader. */
    if (s.len > UINT32_MAX || buffer_reserve(b, s.len + sizeof(uint32_t)) == NULL) {
        b->failed = true;
        return;
    }
    buffer_u32(b, (uint32_t)s.len);
    buffer_str(b, s);
}

struct str buffer_view(const struct buffer *b)
{
    return (struct str){ (const char *)b->data, b->len };
}

char *buffer_take(struct buffer *b, size_t *out_len)
{
    /* An empty buffer may have no memory yet; reserving nothing gives it some. */
    if (buffer_reserve(b, 0) == NULL) {
        buffer_finish(b);
        return NULL;
    }
    char *const taken = (char *)b->data;
    taken[b->len] = '\0';
    if (out_len != NULL)
        *out_len = b->len;
    *b = (struct buffer){ .max = b->max };
    return taken;
}
