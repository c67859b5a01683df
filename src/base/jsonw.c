#include "base/jsonw.h"

#include "base/check.h"
#include "base/json_number.h"

#include <string.h>

enum { DEPTH_MAX = 32 };

void jsonw_init(struct jsonw *j, struct buffer *out)
{
    *j = (struct jsonw){ .out = out };
}

static uint32_t level_bit(const struct jsonw *j)
{
    return UINT32_C(1) << (j->depth - 1);
}

/* A comma where one is due. From now on one is due at this level. */
static void separate(struct jsonw *j)
{
    if (j->depth == 0)
        return;
    if ((j->has_items & level_bit(j)) != 0)
        buffer_u8(j->out, ',');
    j->has_items |= level_bit(j);
}

/* Every value passes here first. */
static void begin_value(struct jsonw *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    CHECK(j->depth == 0 || (j->is_object & level_bit(j)) == 0);
    separate(j);
}

static void open_level(struct jsonw *j, bool is_object)
{
    begin_value(j);
    CHECK(j->depth < DEPTH_MAX);
    buffer_u8(j->out, is_object ? '{' : '[');
    j->depth++;
    j->has_items &= ~level_bit(j);
    if (is_object)
        j->is_object |= level_bit(j);
    else
        j->is_object &= ~level_bit(j);
}

void jsonw_object(struct jsonw *j)
{
    open_level(j, true);
}

void jsonw_array(struct jsonw *j)
{
    open_level(j, false);
}

void jsonw_end(struct jsonw *j)
{
    CHECK(j->depth > 0 && !j->after_key);
    buffer_u8(j->out, (j->is_object & level_bit(j)) != 0 ? '}' : ']');
    j->depth--;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* For what JSON does not allow inside a string: the letter behind the backslash; 'u' is \u00XX. */
static char escape_of(unsigned char c)
{
    switch (c) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return 'u';
    }
}

static void write_escape(struct buffer *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    const char escape = escape_of(c);
    if (escape == 'u') {
        const char text[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
        buffer_append(out, text, sizeof(text));
    } else {
        const char text[] = { '\\', escape };
        buffer_append(out, text, sizeof(text));
    }
}

/* Text that is UTF-8; runs without escapes are appended whole. */
static void write_escaped(struct buffer *out, struct str s)
{
    size_t from = 0;
    for (size_t at = 0; at < s.len; at++) {
        const unsigned char c = (unsigned char)s.data[at];
        if (is_plain(c))
            continue;
        buffer_append(out, s.data + from, at - from);
        write_escape(out, c);
        from = at + 1;
    }
    if (from < s.len)
        buffer_append(out, s.data + from, s.len - from);
}

static void write_string(struct buffer *out, struct str s)
{
    buffer_u8(out, '"');
    for (;;) {
        const size_t valid = str_utf8_valid(s);
        write_escaped(out, (struct str){ s.data, valid });
        if (valid == s.len)
            break;
        buffer_str(out, STR("\xef\xbf\xbd"));
        s = (struct str){ s.data + valid + 1, s.len - valid - 1 };
    }
    buffer_u8(out, '"');
}

void jsonw_key(struct jsonw *j, const char *key)
{
    CHECK(j->depth > 0 && (j->is_object & level_bit(j)) != 0 && !j->after_key);
    separate(j);
    write_string(j->out, str_of(key));
    buffer_u8(j->out, ':');
    j->after_key = true;
}

void jsonw_str(struct jsonw *j, struct str s)
{
    begin_value(j);
    write_string(j->out, s);
}

void jsonw_text(struct jsonw *j, const char *text)
{
    if (text == NULL)
        jsonw_null(j);
    else
        jsonw_str(j, str_of(text));
}

static void write_digits(struct buffer *out, uint64_t v, bool is_negative)
{
    char digits[21];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    if (is_negative)
        digits[--at] = '-';
    buffer_append(out, digits + at, sizeof(digits) - at);
}

void jsonw_i64(struct jsonw *j, int64_t v)
{
    begin_value(j);
    write_digits(j->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void jsonw_u64(struct jsonw *j, uint64_t v)
{
    begin_value(j);
    write_digits(j->out, v, false);
}

void jsonw_bool(struct jsonw *j, bool v)
{
    begin_value(j);
    buffer_str(j->out, v ? STR("true") : STR("false"));
}

void jsonw_null(struct jsonw *j)
{
    begin_value(j);
    buffer_str(j->out, STR("null"));
}

void jsonw_double(struct jsonw *j, double v)
{
    begin_value(j);
    char text[JSON_NUMBER_ROOM];
    buffer_append(j->out, text, json_number_double(text, v));
}

void jsonw_float(struct jsonw *j, float v)
{
    begin_value(j);
    char text[JSON_NUMBER_ROOM];
    buffer_append(j->out, text, json_number_float(text, v));
}

/* Three bytes become four letters; what is left over is filled up with '='. */
static size_t base64(char *out, const uint8_t *data, size_t bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *to = out;
    size_t at = 0;
    for (; bytes - at >= 3; at += 3) {
        const uint32_t group =
            (uint32_t)data[at] << 16 | (uint32_t)data[at + 1] << 8 | (uint32_t)data[at + 2];
        *to++ = letters[group >> 18];
        *to++ = letters[group >> 12 & 63];
        *to++ = letters[group >> 6 & 63];
        *to++ = letters[group & 63];
    }
    if (bytes - at > 0) {
        const bool two = bytes - at == 2;
        const uint32_t group =
            (uint32_t)data[at] << 16 | (two ? (uint32_t)data[at + 1] << 8 : UINT32_C(0));
        *to++ = letters[group >> 18];
        *to++ = letters[group >> 12 & 63];
        *to++ = two ? letters[group >> 6 & 63] : '=';
        *to++ = '=';
    }
    return (size_t)(to - out);
}

void jsonw_base64(struct jsonw *j, const void *data, size_t bytes)
{
    begin_value(j);
    /* Four thirds of what is already in memory cannot overflow a size. */
    char *const to = (char *)buffer_reserve(j->out, 2 + (bytes / 3 + (bytes % 3 > 0)) * 4);
    if (to == NULL)
        return;
    to[0] = '"';
    const size_t len = base64(to + 1, data, bytes);
    to[1 + len] = '"';
    j->out->len += len + 2;
}

/* No bytes are no value; null keeps the text whole. */
void jsonw_raw(struct jsonw *j, struct str value)
{
    begin_value(j);
    buffer_str(j->out, value.len > 0 ? value : STR("null"));
}
