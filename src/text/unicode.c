#include "text/unicode.h"

#include "base/check.h"
#include "text/unicode_table.h"

#include <string.h>
#include <utf8proc.h>

#define FIRST_WITH_CLASS    0x300 /* nothing before it combines */
#define FIRST_DECOMPOSING   0xA0
#define CAPITAL_I_WITH_DOT  0x130
#define COMBINING_DOT_ABOVE 0x307

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

bool unicode_is_mark(uint32_t c)
{
    return c >= FIRST_WITH_CLASS && is_in(c, unicode_mark, unicode_mark_count);
}

bool unicode_is_chinese(uint32_t c)
{
    return c >= chinese[0].first && is_in(c, chinese, ARRAY_COUNT(chinese));
}

bool unicode_is_word(uint32_t c)
{
    return is_in(c, unicode_word, unicode_word_count);
}

bool unicode_is_numeric(uint32_t c)
{
    return is_in(c, unicode_numeric, unicode_numeric_count);
}

/* The category's first letter; '\0' where the table of newer ones says nothing. */
static char newer_category(uint32_t c)
{
    size_t low = 0, high = unicode_newer_categories_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c > unicode_newer_categories[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_there =
        low < unicode_newer_categories_count && c >= unicode_newer_categories[low].first;
    return is_there ? unicode_newer_categories[low].category[0] : '\0';
}

enum unicode_class unicode_class(uint32_t c)
{
    if (unicode_is_whitespace(c))
        return UNICODE_SPACE;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return UNICODE_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return UNICODE_NUMBER;
    case UTF8PROC_CATEGORY_CN: break;
    default: return UNICODE_SIGN;
    }
    switch (newer_category(c)) {
    case 'L': return UNICODE_LETTER;
    case 'N': return UNICODE_NUMBER;
    default: return UNICODE_SIGN;
    }
}

/* Before the first of the table almost everything of most texts lies. */
static bool is_newer(uint32_t c)
{
    return c >= unicode_newer[0].first && is_in(c, unicode_newer, unicode_newer_count);
}

size_t unicode_decompose(uint32_t c, bool is_compat, uint32_t out[UNICODE_DECOMPOSED_MAX])
{
    out[0] = c;
    if (c < FIRST_DECOMPOSING || is_newer(c))
        return 1;
    if (is_compat && is_in(c, unicode_newer_compat, unicode_newer_compat_count))
        is_compat = false;
    utf8proc_int32_t parts[UNICODE_DECOMPOSED_MAX];
    int unused = 0; /* for grapheme breaks, which are not asked for */
    utf8proc_option_t how = is_compat ? UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT : UTF8PROC_DECOMPOSE;
    utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)c, parts, UNICODE_DECOMPOSED_MAX, how, &unused);
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

/* What libutf8proc would see in a newer code point is no business of the reference: such a one is a
 * starter that nothing composes with, so it parts what is composed. */
size_t unicode_compose(uint32_t *points, size_t count)
{
    size_t kept = 0;
    for (size_t at = 0; at < count;) {
        size_t end = at;
        while (end < count && !is_newer(points[end]))
            end++;
        utf8proc_ssize_t left = utf8proc_normalize_utf32((utf8proc_int32_t *)(points + at),
                                                         (utf8proc_ssize_t)(end - at),
                                                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        CHECK(left >= 0 && (size_t)left <= end - at);
        memmove(points + kept, points + at, (size_t)left * sizeof(*points));
        kept += (size_t)left;
        at = end;
        while (at < count && is_newer(points[at]))
            points[kept++] = points[at++];
    }
    return kept;
}

bool unicode_grapheme_breaks(uint32_t before, uint32_t behind, int32_t *state)
{
    utf8proc_int32_t kept = *state;
    bool breaks =
        utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)behind, &kept);
    *state = kept;
    return breaks && !(behind >= unicode_newer_extending[0].first && before >= ' ' &&
                       is_in(behind, unicode_newer_extending, unicode_newer_extending_count));
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
