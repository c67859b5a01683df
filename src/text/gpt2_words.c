#include "text/gpt2_words.h"

#include "text/unicode.h"
#include "text/utf8.h"

#include <stdint.h>

/* The class of the code point at *at, which moves behind it. */
static enum unicode_class class_next(struct str text, size_t *at)
{
    uint8_t c = (uint8_t)text.data[*at];
    if (c >= 0x80)
        return unicode_class(utf8_next(text, at));
    *at += 1;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return UNICODE_LETTER;
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return UNICODE_SPACE;
    return c >= '0' && c <= '9' ? UNICODE_NUMBER : UNICODE_SIGN;
}

/* Behind a contraction that begins at the apostrophe at `start`, or `start`. */
static size_t contraction_end(struct str text, size_t start)
{
    char first = start + 1 < text.len ? text.data[start + 1] : '\0';
    char second = start + 2 < text.len ? text.data[start + 2] : '\0';
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return start + 2;
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
        (first == 'l' && second == 'l'))
        return start + 3;
    return start;
}

/* White space: all of a run but its last where something else follows it. */
static size_t space_end(struct str text, size_t start, size_t at)
{
    size_t last = start;
    while (at < text.len) {
        size_t next = at;
        if (class_next(text, &next) != UNICODE_SPACE)
            return last > start ? last : at;
        last = at;
        at = next;
    }
    return at;
}

size_t gpt2_word_end(struct str text, size_t start)
{
    size_t at = start;
    if (text.data[start] == '\'') {
        size_t end = contraction_end(text, start);
        if (end > start)
            return end;
    }
    enum unicode_class class = class_next(text, &at);
    if (class == UNICODE_SPACE) {
        size_t next = at;
        if (text.data[start] != ' ' || at == text.len)
            return space_end(text, start, at);
        class = class_next(text, &next);
        if (class == UNICODE_SPACE)
            return space_end(text, start, at);
        at = next;
    }
    while (at < text.len) {
        size_t next = at;
        if (class_next(text, &next) != class)
            break;
        at = next;
    }
    return at;
}
