#include "text/json_scan.h"

#include "text/utf8.h"

#include <string.h>

#define NO_CODE UINT32_MAX

void json_scan_init(struct json_scan *s, struct str text)
{
    *s = (struct json_scan){ .text = text };
    buffer_init(&s->unescaped, text.len + UTF8_BYTES_MAX);
}

void json_scan_finish(struct json_scan *s)
{
    buffer_finish(&s->unescaped);
}

static bool fail(struct json_scan *s)
{
    s->failed = true;
    return false;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

char json_scan_peek(struct json_scan *s)
{
    size_t at = s->at;
    if (s->failed)
        return '\0';
    while (at < s->text.len && is_space(s->text.data[at]))
        at++;
    s->at = at;
    return at < s->text.len ? s->text.data[at] : '\0';
}

bool json_scan_take(struct json_scan *s, char byte)
{
    if (json_scan_peek(s) != byte || s->failed || s->at == s->text.len)
        return false;
    s->at++;
    return true;
}

bool json_scan_need(struct json_scan *s, char byte)
{
    return json_scan_take(s, byte) || fail(s);
}

bool json_scan_more(struct json_scan *s, char close, bool *first)
{
    bool is_first = *first;
    *first = false;
    if (json_scan_take(s, close))
        return false;
    return is_first ? !s->failed : json_scan_need(s, ',');
}

static uint32_t hex4(const struct json_scan *s, size_t at)
{
    uint32_t code = 0;
    if (s->text.len - at < 4)
        return NO_CODE;
    for (size_t i = 0; i < 4; i++) {
        char c = s->text.data[at + i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            digit = (uint32_t)((c | 0x20) - 'a') + 10;
        else
            return NO_CODE;
        code = code << 4 | digit;
    }
    return code;
}

/* What follows a backslash and u, perhaps two of them that make one code point. */
static bool unescape_code(struct json_scan *s)
{
    uint32_t code = hex4(s, s->at);
    if (code == NO_CODE || (code >= 0xDC00 && code < 0xE000))
        return fail(s);
    s->at += 4;
    if (code >= 0xD800 && code < 0xDC00) {
        if (s->text.len - s->at < 6 || memcmp(s->text.data + s->at, "\\u", 2) != 0)
            return fail(s);
        uint32_t low = hex4(s, s->at + 2);
        if (low < 0xDC00 || low >= 0xE000)
            return fail(s);
        s->at += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    uint8_t bytes[UTF8_BYTES_MAX];
    buffer_append(&s->unescaped, bytes, utf8_put(code, bytes));
    return true;
}

static bool unescape(struct json_scan *s)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s->at == s->text.len)
        return fail(s);
    char byte = s->text.data[s->at];
    if (byte == 'u') {
        s->at++;
        return unescape_code(s);
    }
    const char *found = byte == '\0' ? NULL : strchr(from, byte);
    if (found == NULL)
        return fail(s);
    s->at++;
    buffer_u8(&s->unescaped, (uint8_t)to[found - from]);
    return true;
}

/* To the next byte of a string that means something; its run of plain bytes is `*out`. */
static char plain_run(struct json_scan *s, struct str *out)
{
    size_t at = s->at;
    const char *data = s->text.data;
    while (at < s->text.len && data[at] != '"' && data[at] != '\\' && (uint8_t)data[at] >= 0x20)
        at++;
    *out = (struct str){ data + s->at, at - s->at };
    s->at = at;
    return at < s->text.len ? data[at] : '\0';
}

bool json_scan_string(struct json_scan *s, struct str *out)
{
    struct str run;
    if (!json_scan_need(s, '"'))
        return false;
    char byte = plain_run(s, &run);
    if (byte == '"') {
        s->at++;
        *out = run;
        return true;
    }
    buffer_clear(&s->unescaped);
    while (byte == '\\') {
        buffer_str(&s->unescaped, run);
        s->at++;
        if (!unescape(s))
            return false;
        byte = plain_run(s, &run);
    }
    buffer_str(&s->unescaped, run);
    if (byte != '"' || s->unescaped.failed)
        return fail(s);
    s->at++;
    *out = buffer_view(&s->unescaped);
    return true;
}

static size_t digits(struct json_scan *s)
{
    size_t at = s->at;
    while (at < s->text.len && s->text.data[at] >= '0' && s->text.data[at] <= '9')
        at++;
    const size_t count = at - s->at;
    s->at = at;
    return count;
}

static bool next_is(const struct json_scan *s, char a, char b)
{
    return s->at < s->text.len && (s->text.data[s->at] == a || s->text.data[s->at] == b);
}

bool json_scan_number(struct json_scan *s, struct str *out)
{
    json_scan_peek(s);
    if (s->failed)
        return false;
    size_t start = s->at;
    s->at += next_is(s, '-', '-');
    bool is_zero = next_is(s, '0', '0');
    size_t count = digits(s);
    if (count == 0 || (is_zero && count > 1))
        return fail(s);
    if (next_is(s, '.', '.')) {
        s->at++;
        if (digits(s) == 0)
            return fail(s);
    }
    if (next_is(s, 'e', 'E')) {
        s->at++;
        s->at += next_is(s, '+', '-');
        if (digits(s) == 0)
            return fail(s);
    }
    *out = (struct str){ s->text.data + start, s->at - start };
    return true;
}

/* Behind the closing quote; no escape but the one of the quote matters. */
static bool skip_string(struct json_scan *s)
{
    const char *data = s->text.data;
    const size_t end = s->text.len;
    size_t at = s->at + 1;
    while (at < end && data[at] != '"')
        at += data[at] == '\\' ? 2 : 1;
    if (at >= end) {
        s->at = end;
        return fail(s);
    }
    s->at = at + 1;
    return true;
}

static bool is_end_of_word(char byte)
{
    return (uint8_t)byte <= ' ' || byte == ',' || byte == ':' || byte == ']' || byte == '}' ||
           byte == '"';
}

bool json_scan_skip(struct json_scan *s)
{
    size_t depth = 0;
    do {
        char byte = json_scan_peek(s);
        if (byte == '\0')
            return fail(s);
        if (byte == '"') {
            if (!skip_string(s))
                return false;
            continue;
        }
        bool opens = byte == '{' || byte == '[', closes = byte == '}' || byte == ']';
        bool parts = byte == ',' || byte == ':';
        if (depth == 0 && (closes || parts))
            return fail(s);
        depth += opens;
        depth -= closes;
        size_t at = s->at + 1;
        while (!opens && !closes && !parts && at < s->text.len && !is_end_of_word(s->text.data[at]))
            at++;
        s->at = at;
    } while (depth > 0);
    return true;
}
