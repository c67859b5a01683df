#include "text/form.h"

#include "base/mem.h"
#include "text/unicode.h"
#include "text/unicode_table.h"
#include "text/utf8.h"

#define FORM_TABLES(upper, lower, compat, composes)                                                \
    { unicode_quiet_##lower, &unicode_quiet_##lower##_count, compat, composes },
static const struct {
    const struct unicode_range *quiet;
    const size_t *quiet_count;
    bool is_compat, composes;
} forms[FORMS_COUNT] = { FORMS(FORM_TABLES) };
#undef FORM_TABLES

/* A run of code points that may change, decomposed. */
struct run {
    uint32_t *points;
    uint32_t *sorted; /* room to sort marks in */
    size_t count, cap;
};

static bool is_quiet(enum form form, uint32_t c)
{
    if (c < 0x80)
        return true;
    const struct unicode_range *ranges = forms[form].quiet;
    size_t low = 0, high = *forms[form].quiet_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < *forms[form].quiet_count && c >= ranges[low].first;
}

static bool add(struct run *r, enum form form, uint32_t c)
{
    if (r->cap - r->count < UNICODE_DECOMPOSED_MAX) {
        size_t cap = r->cap == 0 ? 256 : r->cap * 2;
        uint32_t *points = mem_resize(r->points, cap, sizeof(*points));
        if (points != NULL)
            r->points = points;
        uint32_t *sorted = mem_resize(r->sorted, cap, sizeof(*sorted));
        if (sorted != NULL)
            r->sorted = sorted;
        if (points == NULL || sorted == NULL)
            return false;
        r->cap = cap;
    }
    r->count += unicode_decompose(c, forms[form].is_compat, r->points + r->count);
    return true;
}

/* Puts marks in order of their classes, equals in order of arrival. Marks can be as many as a
 * hostile text has, but their classes are few: counting them keeps the cost linear. */
static void sort_marks(struct run *r, size_t first, size_t end)
{
    size_t starts[256] = { 0 };
    for (size_t i = first; i < end; i++)
        starts[unicode_combining_class(r->points[i])]++;
    size_t at = first;
    for (size_t class = 0; class < 256; class ++) {
        size_t count = starts[class];
        starts[class] = at;
        at += count;
    }
    for (size_t i = first; i < end; i++)
        r->sorted[starts[unicode_combining_class(r->points[i])]++] = r->points[i];
    for (size_t i = first; i < end; i++)
        r->points[i] = r->sorted[i];
}

static void sort_run(struct run *r)
{
    for (size_t at = 0; at < r->count;) {
        uint8_t last = 0;
        bool in_order = true;
        size_t end = at;
        for (; end < r->count; end++) {
            uint8_t class = unicode_combining_class(r->points[end]);
            if (class == 0)
                break;
            in_order = in_order && class >= last;
            last = class;
        }
        if (!in_order)
            sort_marks(r, at, end);
        at = end + 1;
    }
}

static void flush(struct run *r, enum form form, struct buffer *out)
{
    sort_run(r);
    if (forms[form].composes)
        r->count = unicode_compose(r->points, r->count);
    uint8_t *room = buffer_reserve(out, r->count * UTF8_BYTES_MAX);
    size_t wrote = 0;
    for (size_t i = 0; room != NULL && i < r->count; i++)
        wrote += utf8_put(r->points[i], room + wrote);
    out->len += wrote;
    r->count = 0;
}

/* Behind a quiet stretch from `at` on, but at its last code point, which what follows may join. */
static size_t skip_quiet(enum form form, struct str text, size_t at)
{
    size_t last = at;
    while (at < text.len) {
        size_t start = at;
        if ((uint8_t)text.data[at] < 0x80)
            at++;
        else if (!is_quiet(form, utf8_next(text, &at)))
            return last;
        last = start;
    }
    return text.len;
}

struct str form_apply(enum form form, struct str text, struct buffer *out)
{
    size_t at = skip_quiet(form, text, 0), from = out->len;
    if (at == text.len)
        return text;
    struct run r = { 0 };
    buffer_str(out, (struct str){ text.data, at });
    while (at < text.len && !out->failed) {
        /* The run: the quiet one that may be joined, if there is one, and all that is not quiet. */
        size_t behind = at;
        bool is_first = true;
        while (behind < text.len) {
            size_t start = behind;
            uint32_t c = utf8_next(text, &behind);
            if (!is_first && is_quiet(form, c)) {
                behind = start;
                break;
            }
            is_first = false;
            if (!add(&r, form, c)) {
                out->failed = true;
                break;
            }
        }
        flush(&r, form, out);
        at = skip_quiet(form, text, behind);
        buffer_str(out, (struct str){ text.data + behind, at - behind });
    }
    mem_free(r.points);
    mem_free(r.sorted);
    return (struct str){ (const char *)out->data + from, out->len - from };
}
