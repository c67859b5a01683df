#include "base/base64.h"

#include <stdint.h>

/* -1 for what is not of the alphabet. */
static int digit(char b)
{
    if (b >= 'A' && b <= 'Z')
        return b - 'A';
    if (b >= 'a' && b <= 'z')
        return b - 'a' + 26;
    if (b >= '0' && b <= '9')
        return b - '0' + 52;
    return b == '+' ? 62 : b == '/' ? 63 : -1;
}

size_t base64_bytes_max(size_t text_len)
{
    return text_len / 4 * 3 + 2;
}

/* Takes the padding off. False when it is not what the length asks for. */
static bool cut_padding(struct str *text)
{
    size_t padding = 0;
    while (padding < 2 && padding < text->len && text->data[text->len - 1 - padding] == '=')
        padding++;
    if (padding > 0 && text->len % 4 != 0)
        return false;
    text->len -= padding;
    return text->len % 4 != 1;
}

enum weir_code base64_decode(struct str text, struct buffer *out, struct weir_error *err)
{
    if (!cut_padding(&text))
        return weir_fail(err, WEIR_INVALID, "base64 of %zu characters is cut off or padded wrongly",
                         text.len);
    const size_t bytes = text.len / 4 * 3 + (text.len % 4 > 0 ? text.len % 4 - 1 : 0);
    uint8_t *const to = buffer_reserve(out, bytes);
    if (to == NULL)
        return weir_fail(err, WEIR_INVALID, "base64 of %zu bytes does not fit into %zu", bytes,
                         out->max);
    uint32_t bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        const int value = digit(text.data[i]);
        if (value < 0)
            return weir_fail(err, WEIR_INVALID, "character %zu is no base64", i);
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 0)
            continue;
        to[n++] = (uint8_t)(bits >> (6 - i % 4 * 2));
    }
    /* Two texts must not mean the same bytes. */
    const uint32_t spare = text.len % 4 == 2 ? 0xf : text.len % 4 == 3 ? 0x3 : 0;
    if ((bits & spare) != 0)
        return weir_fail(err, WEIR_INVALID, "the last character of base64 holds bits left over");
    out->len += n;
    return WEIR_OK;
}
