#include "text/byte_level.h"

#include "text/utf8.h"

#define FIRST_STAND_IN   0x100
#define STAND_IN_BYTES   2    /* the longest character written */
#define CONTROLS         0x21 /* bytes before '!' */
#define MIDDLE_FIRST     0x7F /* DEL, the second controls and the no-break space */
#define MIDDLE_LAST      0xA0
#define MIDDLE_STAND_INS (FIRST_STAND_IN + CONTROLS)
#define SOFT_HYPHEN      0xAD
#define SOFT_STAND_IN    (MIDDLE_STAND_INS + MIDDLE_LAST - MIDDLE_FIRST + 1)

static uint32_t character_of(uint8_t byte)
{
    if (byte < CONTROLS)
        return FIRST_STAND_IN + byte;
    if (byte >= MIDDLE_FIRST && byte <= MIDDLE_LAST)
        return (uint32_t)MIDDLE_STAND_INS + (byte - MIDDLE_FIRST);
    return byte == SOFT_HYPHEN ? SOFT_STAND_IN : byte;
}

void byte_level_write(struct str bytes, struct buffer *out)
{
    uint8_t *room = buffer_reserve(out, bytes.len * STAND_IN_BYTES);
    if (room == NULL)
        return;
    uint8_t *to = room;
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        if (byte > ' ' && byte < MIDDLE_FIRST)
            *to++ = byte;
        else
            to += utf8_put(character_of(byte), to);
    }
    out->len += (size_t)(to - room);
}

/* The byte that a character stands for, or -1. */
static int byte_of(uint32_t c)
{
    if (c >= FIRST_STAND_IN && c < MIDDLE_STAND_INS)
        return (int)(c - FIRST_STAND_IN);
    if (c >= MIDDLE_STAND_INS && c < SOFT_STAND_IN)
        return (int)(c - MIDDLE_STAND_INS + MIDDLE_FIRST);
    if (c == SOFT_STAND_IN)
        return SOFT_HYPHEN;
    return c < FIRST_STAND_IN && character_of((uint8_t)c) == c ? (int)c : -1;
}

bool byte_level_read(struct str text, struct buffer *out)
{
    size_t before = out->len;
    uint8_t *room = buffer_reserve(out, text.len);
    for (size_t at = 0; room != NULL && at < text.len;) {
        int byte = byte_of(utf8_next(text, &at));
        if (byte < 0) {
            out->len = before;
            return false;
        }
        out->data[out->len++] = (uint8_t)byte;
    }
    return true;
}
