#include "text/normalizer.h"

#include "base/check.h"
#include "base/mem.h"
#include "text/field.h"
#include "text/unicode.h"
#include "text/utf8.h"

#define ASCII_GOES 0x80

/* One pass over a text. Decomposition moves combining marks into the order of their classes, so
 * those that were not dropped wait here until something that does not combine comes. (ccc is the
 * class's name in the Unicode database.) */
struct pass {
    const struct normalizer_step *n;
    struct buffer *out;
    uint32_t *marks; /* class << 24 | code point */
    size_t marks_count, marks_cap;
};

static void emit(struct pass *p, uint32_t c)
{
    uint32_t lower[UNICODE_LOWER_MAX] = { c };
    size_t count = p->n->bert.lowercase ? unicode_lower(c, lower) : 1;
    for (size_t i = 0; i < count; i++) {
        uint8_t *room = buffer_reserve(p->out, UTF8_BYTES_MAX);
        if (room == NULL)
            return;
        p->out->len += utf8_put(lower[i], room);
    }
}

/* In order of class, equals in order of arrival. A run of marks can be as long as a hostile text,
 * but has few classes: one walk a class keeps the cost linear where sorting by moves would not. */
static void flush_marks(struct pass *p)
{
    if (p->marks_count == 0)
        return;
    bool present[256] = { false };
    for (size_t i = 0; i < p->marks_count; i++)
        present[p->marks[i] >> 24] = true;
    for (uint32_t ccc = 0; ccc < ARRAY_COUNT(present); ccc++) {
        for (size_t i = 0; present[ccc] && i < p->marks_count; i++) {
            if (p->marks[i] >> 24 == ccc)
                emit(p, p->marks[i] & 0xFFFFFF);
        }
    }
    p->marks_count = 0;
}

static void hold_mark(struct pass *p, uint32_t c, uint8_t ccc)
{
    if (p->marks_count == p->marks_cap) {
        size_t cap = p->marks_cap == 0 ? 16 : p->marks_cap * 2;
        uint32_t *marks = mem_resize(p->marks, cap, sizeof(*marks));
        if (marks == NULL) {
            p->out->failed = true;
            return;
        }
        p->marks = marks;
        p->marks_cap = cap;
    }
    p->marks[p->marks_count++] = (uint32_t)ccc << 24 | c;
}

static void put(struct pass *p, uint32_t c)
{
    if (!p->n->bert.strip_accents) {
        emit(p, c);
        return;
    }
    uint32_t parts[UNICODE_DECOMPOSED_MAX];
    size_t count = unicode_decompose(c, false, parts);
    for (size_t i = 0; i < count; i++) {
        uint8_t ccc = unicode_combining_class(parts[i]);
        /* A dropped mark with a class would not have kept others from changing places. */
        if (ccc == 0)
            flush_marks(p);
        if (unicode_is_nonspacing(parts[i]))
            continue;
        if (ccc == 0)
            emit(p, parts[i]);
        else
            hold_mark(p, parts[i], ccc);
    }
}

/* Copies ASCII from `at` on and returns where it ends. */
static size_t copy_ascii(struct pass *p, struct str text, size_t at)
{
    size_t end = at;
    while (end < text.len && (uint8_t)text.data[end] < 0x80)
        end++;
    uint8_t *room = buffer_reserve(p->out, end - at);
    if (room == NULL)
        return end;
    size_t wrote = 0;
    for (; at < end; at++) {
        uint8_t to = p->n->bert.ascii[(uint8_t)text.data[at]];
        room[wrote] = to;
        wrote += to != ASCII_GOES;
    }
    p->out->len += wrote;
    return end;
}

static struct str bert_apply(const struct normalizer_step *n, struct str text,
                             struct normalizer_work *w)
{
    struct buffer *out = w->out;
    struct pass p = { .n = n, .out = out };
    size_t at = 0;
    while (at < text.len && !out->failed) {
        uint8_t byte = (uint8_t)text.data[at];
        if (byte < 0x80) {
            /* What goes also does not part the marks before it from those behind. */
            if (n->bert.ascii[byte] == ASCII_GOES) {
                at++;
                continue;
            }
            flush_marks(&p);
            at = copy_ascii(&p, text, at);
            continue;
        }
        uint32_t c = utf8_next(text, &at);
        if (n->bert.clean_text && (c == UNICODE_REPLACEMENT || unicode_is_other(c)))
            continue;
        if (n->bert.clean_text && unicode_is_whitespace(c))
            c = ' ';
        bool is_apart = n->bert.handle_chinese_chars && unicode_is_chinese(c);
        if (is_apart)
            put(&p, ' ');
        put(&p, c);
        if (is_apart)
            put(&p, ' ');
    }
    flush_marks(&p);
    mem_free(p.marks);
    return buffer_view(out);
}

static uint8_t bert_ascii(const struct normalizer_step *n, uint8_t c)
{
    if (n->bert.clean_text && (c == 0 || unicode_is_other(c)))
        return ASCII_GOES;
    if (n->bert.clean_text && unicode_is_whitespace(c))
        return ' ';
    return n->bert.lowercase && c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static enum weir_code bert_load(struct normalizer_step *n, const struct field *f,
                                struct weir_error *err)
{
    static const char *const names[] = { "type",          "clean_text", "handle_chinese_chars",
                                         "strip_accents", "lowercase",  NULL };
    if (field_only(f, names, err) || field_bool(f, "clean_text", &n->bert.clean_text, err) ||
        field_bool(f, "handle_chinese_chars", &n->bert.handle_chinese_chars, err) ||
        field_bool(f, "lowercase", &n->bert.lowercase, err))
        return WEIR_LOAD_FAILED;
    /* Not said means: as lowercase, which is how the first BERT models were made. */
    struct field strip = field_of(f, "strip_accents");
    n->bert.strip_accents = n->bert.lowercase;
    if (strip.value != NULL && !json_is_null(strip.value) &&
        field_bool(f, "strip_accents", &n->bert.strip_accents, err))
        return WEIR_LOAD_FAILED;
    for (uint8_t c = 0; c < ARRAY_COUNT(n->bert.ascii); c++)
        n->bert.ascii[c] = bert_ascii(n, c);
    return WEIR_OK;
}

const struct normalizer_kind normalizer_bert = {
    .name = "BertNormalizer",
    .load = bert_load,
    .apply = bert_apply,
    .drops_alone = true,
};
