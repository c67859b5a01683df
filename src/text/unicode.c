#include "text/unicode.h"

#include "base/check.h"
#include "text/unicode_table.h"

#include <utf8proc.h>

#define FIRST_WITH_CLASS      0x300 /* nothing before it combines */
#define FIRST_DECOMPOSING     0xC0
#define CAPITAL_I_WITH_DOT    0x130
#define COMBINING_DOT_ABOVE   0x307
#define ZERO_WIDTH_NON_JOINER 0x200C
#define ZERO_WIDTH_JOINER     0x200D

static const struct unicode_range whitespace[] = {
    {0x9,     0xD   },
    { 0x20,   0x20  },
    { 0x85,   0x85  },
    { 0xA0,   0xA0  },
    { 0x1680, 0x1680},
    { 0x2000, 0x200A},
    { 0x2028, 0x2029},
    { 0x202F, 0x202F},
    { 0x205F, 0x205F},
    { 0x3000, 0x3000},
};

/* As BERT has them: extension E begins at 2B920, not at 2B820 where Unicode puts it. */
static const struct unicode_range chinese[] = {
    {0x3400,   0x4DBF },
    { 0x4E00,  0x9FFF },
    { 0xF900,  0xFAFF },
    { 0x20000, 0x2A6DF},
    { 0x2A700, 0x2B73F},
    { 0x2B740, 0x2B81F},
    { 0x2B920, 0x2CEAF},
    { 0x2F800, 0x2FA1F},
};

/* Symbols that are letters to a regular expression: circled and squared Latin. */
static const struct unicode_range letter_symbols[] = {
    {0x24B6,   0x24E9 },
    { 0x1F130, 0x1F149},
    { 0x1F150, 0x1F169},
    { 0x1F170, 0x1F189},
};

static bool is_in(uint32_t c, const struct unicode_range *ranges, size_t count)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && c >= ranges[low].first;
}

bool unicode_is_whitespace(uint32_t c)
{
    return is_in(c, whitespace, ARRAY_COUNT(whitespace));
}

bool unicode_is_other(uint32_t c)
{
    return is_in(c, unicode_other, unicode_other_count);
}

bool unicode_is_punctuation(uint32_t c)
{
    return is_in(c, unicode_punctuation, unicode_punctuation_count);
}

bool unicode_is_nonspacing(uint32_t c)
{
    return c >= FIRST_WITH_CLASS && is_in(c, unicode_nonspacing, unicode_nonspacing_count);
}

bool unicode_is_chinese(uint32_t c)
{
    return c >= chinese[0].first && is_in(c, chinese, ARRAY_COUNT(chinese));
}

bool unicode_is_word(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: break;
    }
    return c == ZERO_WIDTH_NON_JOINER || c == ZERO_WIDTH_JOINER ||
           is_in(c, letter_symbols, ARRAY_COUNT(letter_symbols));
}

static bool is_newer(uint32_t c)
{
    return c >= unicode_newer[0].first && is_in(c, unicode_newer, unicode_newer_count);
}

size_t unicode_decompose(uint32_t c, uint32_t out[UNICODE_DECOMPOSED_MAX])
{
    out[0] = c;
    if (c < FIRST_DECOMPOSING || is_newer(c))
        return 1;
    utf8proc_int32_t parts[UNICODE_DECOMPOSED_MAX];
    int unused = 0; /* for grapheme breaks, which are not asked for */
    utf8proc_ssize_t count = utf8proc_decompose_char(
        (utf8proc_int32_t)c, parts, UNICODE_DECOMPOSED_MAX, UTF8PROC_DECOMPOSE, &unused);
    CHECK(count >= 1 && count <= UNICODE_DECOMPOSED_MAX);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        out[i] = (uint32_t)parts[i];
    return (size_t)count;
}

uint8_t unicode_combining_class(uint32_t c)
{
    if (c < FIRST_WITH_CLASS || is_newer(c))
        return 0;
    return (uint8_t)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

size_t unicode_lower(uint32_t c, uint32_t out[UNICODE_LOWER_MAX])
{
    if (c == CAPITAL_I_WITH_DOT) {
        out[0] = 'i';
        out[1] = COMBINING_DOT_ABOVE;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    for (size_t i = 0; out[0] == c && i < unicode_lower_runs_count; i++) {
        const struct unicode_lower_run *run = &unicode_lower_runs[i];
        if (c < run->first)
            break;
        if (c <= run->last)
            out[0] = run->to + (c - run->first);
    }
    return 1;
}
