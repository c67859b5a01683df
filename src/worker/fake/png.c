#include "worker/fake/png.h"

#include "base/check.h"

#define STORED_MAX 65535 /* bytes of one stored block */

static void big_endian(struct buffer *out, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buffer_u8(out, (uint8_t)(v >> shift));
}

/* The CRC of the PNG specification, annex D: the reflected polynomial 0xedb88320, four bits a
 * step. */
static uint32_t crc32_of(const uint8_t *data, size_t bytes)
{
    uint32_t table[16], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 16; i++) {
        table[i] = i;
        for (int bit = 0; bit < 4; bit++)
            table[i] = table[i] & 1 ? 0xedb88320u ^ table[i] >> 1 : table[i] >> 1;
    }
    for (size_t i = 0; i < bytes; i++) {
        crc = table[(crc ^ data[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ data[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}

/* A chunk is its length, its type, its data, and the CRC of type and data. It begins with a length
 * of 0; chunk_end writes the true one. */
static size_t chunk_begin(struct buffer *out, const char *type)
{
    const size_t start = out->len;
    big_endian(out, 0);
    buffer_append(out, type, 4);
    return start;
}

static void chunk_end(struct buffer *out, size_t start)
{
    if (out->failed)
        return;
    const size_t bytes = out->len - start - 8;
    for (int i = 0; i < 4; i++)
        out->data[start + (size_t)i] = (uint8_t)(bytes >> (24 - 8 * i));
    big_endian(out, crc32_of(out->data + start + 4, bytes + 4));
}

/* The bytes of the picture come in rows, those of zlib in blocks: this splits the one into the
 * other and sums up as it goes. */
struct stored {
    struct buffer *out;
    size_t left;   /* of all blocks */
    size_t block;  /* of the block under way */
    uint32_t a, b; /* Adler-32 */
};

static void put_stored(struct stored *s, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        if (s->block == 0) {
            s->block = s->left < STORED_MAX ? s->left : STORED_MAX;
            buffer_u8(s->out, s->block == s->left);
            buffer_u16(s->out, (uint16_t)s->block);
            buffer_u16(s->out, (uint16_t)~s->block);
        }
        const size_t run = s->block < bytes - i ? s->block : bytes - i;
        buffer_append(s->out, data + i, run);
        for (size_t k = 0; k < run; k++) {
            s->a = (s->a + data[i + k]) % 65521;
            s->b = (s->b + s->a) % 65521;
        }
        s->left -= run;
        s->block -= run;
        i += run;
    }
}

void png_write(struct buffer *out, const uint8_t *rgb, uint32_t width, uint32_t height)
{
    static const uint8_t signature[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    static const uint8_t no_filter = 0;
    const size_t row = (size_t)width * 3;
    CHECK(width > 0 && height > 0);
    buffer_append(out, signature, sizeof(signature));
    size_t start = chunk_begin(out, "IHDR");
    big_endian(out, width);
    big_endian(out, height);
    buffer_u8(out, 8);                        /* bits a channel */
    buffer_u8(out, 2);                        /* red, green and blue */
    buffer_append(out, (uint8_t[3]){ 0 }, 3); /* deflate, the usual filters, not interlaced */
    chunk_end(out, start);

    struct stored s = { .out = out, .left = (row + 1) * height, .a = 1 };
    start = chunk_begin(out, "IDAT");
    buffer_append(out, (uint8_t[]){ 0x78, 0x01 }, 2); /* zlib, a window of 32 KiB */
    for (size_t y = 0; y < height; y++) {
        put_stored(&s, &no_filter, 1);
        put_stored(&s, rgb + y * row, row);
    }
    big_endian(out, s.b << 16 | s.a);
    chunk_end(out, start);
    chunk_end(out, chunk_begin(out, "IEND"));
}
