#include "base/json.h"

#include "base/check.h"
#include "base/json_number.h"

#include <string.h>

enum { DEPTH_MAX = 32 };

void json_init(struct json *j, struct buffer *out)
{
    *j = (struct json){ .out = out };
}

static uint32_t level_bit(const struct json *j)
{
    return UINT32_C(1) << (j->depth - 1);
}

/* A comma where one is due. From now on one is due at this level. */
static void separate(struct json *j)
{
    if (j->depth == 0)
        return;
    if ((j->has_items & level_bit(j)) != 0)
        buffer_u8(j->out, ',');
    j->has_items |= level_bit(j);
}

/* Every value passes here first. */
static void begin_value(struct json *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    CHECK(j->depth == 0 || (j->is_object & level_bit(j)) == 0);
    separate(j);
}

static void open_level(struct json *j, bool is_object)
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

void json_object(struct json *j)
{
    open_level(j, true);
}

void json_array(struct json *j)
{
    open_level(j, false);
}

void json_end(struct json *j)
{
    CHECK(j->depth > 0 && !j->after_key);
    buffer_u8(j->out, (j->is_object & level_bit(j)) != 0 ? '}' : ']');
    j->depth--;
}

/* What JSON does not allow inside a string: 0 nothing special, 'u' as \u00XX, else the letter behind
 * the backslash. */
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
    default: return c < 0x20 ? 'u' : 0;
    }
}

static void write_escape(struct buffer *out, unsigned char c, char escape)
{
    static const char hex[] = "0123456789abcdef";
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
        const char escape = escape_of(c);
        if (escape == 0)
            continue;
        buffer_append(out, s.data + from, at - from);
        write_escape(out, c, escape);
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

void json_key(struct json *j, const char *key)
{
    CHECK(j->depth > 0 && (j->is_object & level_bit(j)) != 0 && !j->after_key);
    separate(j);
    write_string(j->out, str_of(key));
    buffer_u8(j->out, ':');
    j->after_key = true;
}

void json_str(struct json *j, struct str s)
{
    begin_value(j);
    write_string(j->out, s);
}

void json_text(struct json *j, const char *text)
{
    if (text == NULL)
        json_null(j);
    else
        json_str(j, str_of(text));
}

void json_i64(struct json *j, int64_t v)
{
    begin_value(j);
    buffer_printf(j->out, "%lld", (long long)v);
}

void json_u64(struct json *j, uint64_t v)
{
    begin_value(j);
    buffer_printf(j->out, "%llu", (unsigned long long)v);
}

void json_bool(struct json *j, bool v)
{
    begin_value(j);
    buffer_str(j->out, v ? STR("true") : STR("false"));
}

void json_null(struct json *j)
{
    begin_value(j);
    buffer_str(j->out, STR("null"));
}

void json_double(struct json *j, double v)
{
    begin_value(j);
    char text[JSON_NUMBER_ROOM];
    buffer_append(j->out, text, json_number_double(text, v));
}

void json_float(struct json *j, float v)
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

void json_base64(struct json *j, const void *data, size_t bytes)
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
void json_raw(struct json *j, struct str value)
{
    begin_value(j);
    buffer_str(j->out, value.len > 0 ? value : STR("null"));
}
