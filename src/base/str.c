#include "base/str.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct str str_of(const char *text)
{
    return (struct str){ text, text != NULL ? strlen(text) : 0 };
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_eq_ignore_case(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    }
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq((struct str){ s.data, prefix.len }, prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    if (s.len < suffix.len)
        return false;
    if (suffix.len == 0)
        return true;
    return str_eq((struct str){ s.data + (s.len - suffix.len), suffix.len }, suffix);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_space(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool str_cut(struct str s, char separator, struct str *head, struct str *tail)
{
    const char *const at = s.len > 0 ? memchr(s.data, separator, s.len) : NULL;
    if (at == NULL) {
        *head = s;
        *tail = (struct str){ NULL, 0 };
        return false;
    }
    const size_t before = (size_t)(at - s.data);
    *head = (struct str){ s.data, before };
    *tail = (struct str){ at + 1, s.len - before - 1 };
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool str_to_u64(struct str s, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.data[i]))
            return false;
        const uint64_t digit = (uint64_t)(s.data[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (s.len == 0)
        return false;
    *out = value;
    return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
    const bool negative = s.len > 0 && s.data[0] == '-';
    if (negative) {
        s.data++;
        s.len--;
    }
    uint64_t size;
    if (!str_to_u64(s, &size))
        return false;
    /* The negative side reaches one further. */
    if (size > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    if (!negative)
        *out = (int64_t)size;
    else
        *out = size == 0 ? 0 : -(int64_t)(size - 1) - 1;
    return true;
}

static size_t skip_digits(struct str s, size_t at)
{
    while (at < s.len && is_digit(s.data[at]))
        at++;
    return at;
}

/* Sign, digits with at most one point among or around them, exponent: narrower than strtod,
 * which also takes white space, hexadecimal, "inf" and "nan". */
static bool is_decimal_number(struct str s)
{
    size_t at = s.len > 0 && (s.data[0] == '-' || s.data[0] == '+') ? 1 : 0;
    size_t end = skip_digits(s, at);
    size_t digits = end - at;
    at = end;
    if (at < s.len && s.data[at] == '.') {
        end = skip_digits(s, at + 1);
        digits += end - at - 1;
        at = end;
    }
    if (digits == 0)
        return false;
    if (at < s.len && (s.data[at] == 'e' || s.data[at] == 'E')) {
        at++;
        if (at < s.len && (s.data[at] == '-' || s.data[at] == '+'))
            at++;
        end = skip_digits(s, at);
        if (end == at)
            return false;
        at = end;
    }
    return at == s.len;
}

/* strtod follows the locale; weir never calls setlocale, so that is always the C locale. */
bool str_to_double(struct str s, double *out)
{
    if (!is_decimal_number(s))
        return false;
    char small[64] = "";
    char *const text = s.len < sizeof(small) ? small : mem_try(s.len + 1, 1);
    if (text == NULL)
        return false;
    memcpy(text, s.data, s.len);
    const double value = strtod(text, NULL);
    if (text != small)
        mem_free(text);
    if (!isfinite(value))
        return false;
    *out = value;
    return true;
}

uint64_t str_hash(struct str s)
{
    return XXH3_64bits(s.data, s.len);
}

void str_print(char *out, size_t room, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    str_vprint(out, room, format, args);
    va_end(args);
}

void str_vprint(char *out, size_t room, const char *format, va_list args)
{
    static const char ellipsis[] = "…";
    CHECK(room >= sizeof(ellipsis));
    const int len = vsnprintf(out, room, format, args);
    CHECK(len >= 0);
    if ((size_t)len < room)
        return;
    size_t end = room - sizeof(ellipsis);
    while (end > 0 && ((unsigned char)out[end] & 0xc0) == 0x80)
        end--;
    memcpy(out + end, ellipsis, sizeof(ellipsis));
}

/* The length of the well-formed character at `at`, 0 if there is none. The second byte of some lead
 * bytes has a narrower range: that is what keeps out overlong forms (e0, f0), surrogates (ed) and
 * what lies beyond U+10FFFF (f4). */
static size_t utf8_char(const unsigned char *at, size_t left)
{
    const unsigned char lead = at[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    const size_t len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (left < len)
        return 0;
    const unsigned char least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < least || at[1] > most)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

size_t str_utf8_valid(struct str s)
{
    const unsigned char *const data = (const unsigned char *)s.data;
    size_t at = 0;
    while (at < s.len) {
        /* Most text is ASCII: eight bytes a step while no top bit is set. */
        uint64_t word;
        while (s.len - at >= sizeof(word)) {
            memcpy(&word, data + at, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) != 0)
                break;
            at += sizeof(word);
        }
        if (at == s.len)
            break;
        const size_t len = utf8_char(data + at, s.len - at);
        if (len == 0)
            break;
        at += len;
    }
    return at;
}

void str_blank_controls(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)at[0], next = (unsigned char)at[1];
        if (c < 0x20 || c == 0x7f)
            at[0] = ' ';
        else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
            at[0] = at[1] = ' ';
    }
}
