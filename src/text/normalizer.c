#include "text/normalizer.h"

#include "base/check.h"
#include "base/mem.h"
#include "text/byte_level.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <string.h>

#define CONTENT_BYTES_MAX 4096
#define LOWER_ONE_EIGHTH  0x2581 /* ▁, which Nmt takes for a space */

static void put(struct buffer *out, uint32_t c)
{
    uint8_t *room = buffer_reserve(out, UTF8_BYTES_MAX);
    if (room != NULL)
        out->len += utf8_put(c, room);
}

static size_t ascii_end(struct str text, size_t at)
{
    while (at < text.len && (uint8_t)text.data[at] < 0x80)
        at++;
    return at;
}

static struct str form_step_apply(const struct normalizer_step *n, struct str text,
                                  struct normalizer_work *w)
{
    return form_apply(n->form, text, w->out);
}

#define FORM_LOAD(upper, lower, compat, composes)                                                  \
    static enum weir_code lower##_load(struct normalizer_step *n, const struct field *f,           \
                                       struct weir_error *err)                                     \
    {                                                                                              \
        static const char *const names[] = { "type", NULL };                                       \
        n->form = FORM_##upper;                                                                    \
        return field_only(f, names, err);                                                          \
    }
FORMS(FORM_LOAD)
#undef FORM_LOAD

static struct str lowercase_apply(const struct normalizer_step *n, struct str text,
                                  struct normalizer_work *w)
{
    (void)n;
    struct buffer *out = w->out;
    for (size_t at = 0; at < text.len && !out->failed;) {
        size_t end = ascii_end(text, at);
        uint8_t *room = buffer_reserve(out, end - at);
        for (size_t i = 0; room != NULL && i < end - at; i++) {
            uint8_t c = (uint8_t)text.data[at + i];
            room[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
        }
        out->len += room != NULL ? end - at : 0;
        at = end;
        if (at == text.len)
            break;
        uint32_t lower[UNICODE_LOWER_MAX];
        size_t count = unicode_lower(utf8_next(text, &at), lower);
        for (size_t i = 0; i < count; i++)
            put(out, lower[i]);
    }
    return buffer_view(out);
}

/* Copies what `becomes` leaves; it returns the code point that stays or comes instead, or 0. */
static struct str filter(struct str text, uint32_t (*becomes)(uint32_t c), struct buffer *out)
{
    for (size_t at = 0; at < text.len && !out->failed;) {
        uint32_t c = utf8_next(text, &at), to = becomes(c);
        if (to != 0 || c == 0)
            put(out, to);
    }
    return buffer_view(out);
}

static uint32_t without_accent(uint32_t c)
{
    return unicode_is_mark(c) ? 0 : c;
}

static struct str strip_accents_apply(const struct normalizer_step *n, struct str text,
                                      struct normalizer_work *w)
{
    (void)n;
    return ascii_end(text, 0) == text.len ? text : filter(text, without_accent, w->out);
}

static uint32_t nmt_becomes(uint32_t c)
{
    if ((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
        c == 0x8F || c == 0x9F)
        return 0;
    if (c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1680 ||
        (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == LOWER_ONE_EIGHTH ||
        c == 0xFEFF || c == UNICODE_REPLACEMENT)
        return ' ';
    return c;
}

static struct str nmt_apply(const struct normalizer_step *n, struct str text,
                            struct normalizer_work *w)
{
    (void)n;
    return filter(text, nmt_becomes, w->out);
}

static struct str strip_apply(const struct normalizer_step *n, struct str text,
                              struct normalizer_work *w)
{
    (void)w;
    size_t start = 0, end = text.len;
    while (n->strips_left && start < end) {
        size_t at = start;
        if (!unicode_is_whitespace(utf8_next(text, &at)))
            break;
        start = at;
    }
    while (n->strips_right && end > start) {
        size_t at = end;
        if (!unicode_is_whitespace(utf8_previous(text, &at)))
            break;
        end = at;
    }
    return (struct str){ text.data + start, end - start };
}

static enum weir_code strip_load(struct normalizer_step *n, const struct field *f,
                                 struct weir_error *err)
{
    static const char *const names[] = { "type", "strip_left", "strip_right", NULL };
    if (field_only(f, names, err) || field_bool(f, "strip_left", &n->strips_left, err) ||
        field_bool(f, "strip_right", &n->strips_right, err))
        return WEIR_LOAD_FAILED;
    n->drops_alone = n->strips_left;
    return WEIR_OK;
}

static enum weir_code load_content(struct normalizer_step *n, const struct field *f,
                                   const char *name, struct weir_error *err)
{
    struct str text;
    if (field_text(f, name, &text, err))
        return WEIR_LOAD_FAILED;
    if (text.len > CONTENT_BYTES_MAX) {
        struct field_path path;
        struct field content = field_of(f, name);
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu bytes, the limit is %d",
                         field_path(&content, &path), text.len, CONTENT_BYTES_MAX);
    }
    n->content = mem_copy_text(text.data, text.len);
    return WEIR_OK;
}

static enum weir_code replace_load(struct normalizer_step *n, const struct field *f,
                                   struct weir_error *err)
{
    static const char *const names[] = { "type", "pattern", "content", NULL };
    struct field pattern = field_of(f, "pattern");
    if (field_only(f, names, err) || load_content(n, f, "content", err))
        return WEIR_LOAD_FAILED;
    return pattern_load(&n->pattern, &pattern, err);
}

static struct str replace_apply(const struct normalizer_step *n, struct str text,
                                struct normalizer_work *w)
{
    struct buffer *out = w->out;
    struct pattern_scan scan = pattern_scan(&n->pattern, &w->pattern, text);
    struct str content = str_of(n->content);
    size_t copied = 0, start, end;
    bool found = false;
    while (pattern_next(&scan, &start, &end) && !out->failed) {
        buffer_append(out, text.data + copied, start - copied);
        buffer_str(out, content);
        copied = end;
        found = true;
    }
    if (found)
        buffer_append(out, text.data + copied, text.len - copied);
    out->failed = out->failed || w->pattern.gave_up || w->pattern.no_memory;
    return found ? buffer_view(out) : text;
}

static enum weir_code prepend_load(struct normalizer_step *n, const struct field *f,
                                   struct weir_error *err)
{
    static const char *const names[] = { "type", "prepend", NULL };
    return field_only(f, names, err) ? WEIR_LOAD_FAILED : load_content(n, f, "prepend", err);
}

static struct str prepend_apply(const struct normalizer_step *n, struct str text,
                                struct normalizer_work *w)
{
    struct buffer *out = w->out;
    if (text.len == 0)
        return text;
    buffer_text(out, n->content);
    buffer_str(out, text);
    return buffer_view(out);
}

static enum weir_code precompiled_load(struct normalizer_step *n, const struct field *f,
                                       struct weir_error *err)
{
    static const char *const names[] = { "type", "precompiled_charsmap", NULL };
    struct field map = field_of(f, "precompiled_charsmap");
    return field_only(f, names, err) ? WEIR_LOAD_FAILED : charsmap_load(&n->map, &map, err);
}

static struct str precompiled_apply(const struct normalizer_step *n, struct str text,
                                    struct normalizer_work *w)
{
    charsmap_apply(&n->map, text, w->out);
    return buffer_view(w->out);
}

static struct str byte_level_apply(const struct normalizer_step *n, struct str text,
                                   struct normalizer_work *w)
{
    (void)n;
    byte_level_write(text, w->out);
    return buffer_view(w->out);
}

#define FORM_KIND(upper, lower, compat, composes)                                                  \
    { .name = #upper, .load = lower##_load, .apply = form_step_apply },
static const struct normalizer_kind forms[FORMS_COUNT] = { FORMS(FORM_KIND) };
#undef FORM_KIND

static const struct normalizer_kind others[] = {
    {"Lowercase",     NULL,             lowercase_apply,     false},
    { "StripAccents", NULL,             strip_accents_apply, true },
    { "Strip",        strip_load,       strip_apply,         false},
    { "Replace",      replace_load,     replace_apply,       false},
    { "Prepend",      prepend_load,     prepend_apply,       false},
    { "Precompiled",  precompiled_load, precompiled_apply,   false},
    { "Nmt",          NULL,             nmt_apply,           true },
    { "ByteLevel",    NULL,             byte_level_apply,    false},
};

static const struct normalizer_kind *find_kind(struct str name)
{
    if (str_eq(name, str_of(normalizer_bert.name)))
        return &normalizer_bert;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (str_eq(name, str_of(others[i].name)))
            return &others[i];
    }
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        if (str_eq(name, str_of(forms[i].name)))
            return &forms[i];
    }
    return NULL;
}

static enum weir_code load_step(void *context, const struct component *part, struct weir_error *err)
{
    static const char *const names[] = { "type", NULL };
    struct normalizer *n = context;
    const struct normalizer_kind *kind = find_kind(part->type);
    if (kind == NULL)
        return field_unknown_type(part, err);
    struct normalizer_step *step = &n->steps[n->count++];
    step->kind = kind;
    step->drops_alone = kind->drops_alone;
    return kind->load != NULL ? kind->load(step, &part->item, err)
                              : field_only(&part->item, names, err);
}

enum weir_code normalizer_load(struct normalizer *n, const struct field *f, struct weir_error *err)
{
    n->steps = mem_new(FIELD_COMPONENTS_MAX, sizeof(*n->steps));
    return field_components(f, "normalizers", load_step, n, err);
}

void normalizer_finish(struct normalizer *n)
{
    for (size_t i = 0; i < n->count; i++) {
        pattern_finish(&n->steps[i].pattern);
        mem_free(n->steps[i].content);
        charsmap_finish(&n->steps[i].map);
    }
    mem_free(n->steps);
    *n = (struct normalizer){ 0 };
}

void normalizer_work_init(struct normalizer_work *w, size_t text_len)
{
    *w = (struct normalizer_work){ .out = &w->rooms[0] };
    for (size_t i = 0; i < ARRAY_COUNT(w->rooms); i++)
        buffer_init(&w->rooms[i], text_len * NORMALIZER_GROWTH_MAX + NORMALIZER_GROWTH_BYTES);
}

void normalizer_work_finish(struct normalizer_work *w)
{
    for (size_t i = 0; i < ARRAY_COUNT(w->rooms); i++)
        buffer_finish(&w->rooms[i]);
    pattern_work_finish(&w->pattern);
}

/* A buffer that failed near its ceiling met it; elsewhere there was no memory. */
static bool is_full(const struct buffer *b)
{
    size_t text_len = (b->max - NORMALIZER_GROWTH_BYTES) / NORMALIZER_GROWTH_MAX;
    return b->len >= text_len * (NORMALIZER_GROWTH_MAX - 1);
}

/* The steps' results lie in the two rooms in turn: a step never writes where its text lies. */
static bool apply_step(const struct normalizer_step *step, struct str *text,
                       struct normalizer_work *w)
{
    struct buffer *out = w->out;
    buffer_clear(out);
    *text = step->kind->apply(step, *text, w);
    if (out->failed) {
        w->gave_up = w->pattern.gave_up || (!w->pattern.no_memory && is_full(out));
        return false;
    }
    if (out->len > 0)
        w->out = out == &w->rooms[0] ? &w->rooms[1] : &w->rooms[0];
    return true;
}

bool normalizer_apply(const struct normalizer *n, struct str text, struct normalizer_work *w,
                      struct str *out)
{
    for (size_t i = 0; i < n->count; i++) {
        if (!apply_step(&n->steps[i], &text, w))
            return false;
    }
    *out = text;
    return true;
}

/* Where more than one code point is replaced at the beginning the last of them is what the content
 * stands for; where the content is empty nothing of them is left. */
static bool replaces_start(const struct normalizer_step *step, struct str text,
                           struct normalizer_work *w)
{
    if (step->pattern.literal == NULL && step->pattern.code == NULL)
        return false;
    struct pattern_scan scan = pattern_scan(&step->pattern, &w->pattern, text);
    size_t start = 0, end = 0, first = 0;
    if (!pattern_next(&scan, &start, &end) || start > 0 || end == 0)
        return false;
    utf8_next(text, &first);
    return end > first || step->content[0] == '\0';
}

bool normalizer_starts(const struct normalizer *n, struct str text, struct normalizer_work *w)
{
    for (size_t i = 0; i < n->count && text.len > 0; i++) {
        const struct normalizer_step *step = &n->steps[i];
        struct str alone = { text.data, 0 };
        utf8_next(text, &alone.len);
        if (replaces_start(step, text, w))
            return false;
        if (step->drops_alone) {
            buffer_clear(w->out);
            alone = step->kind->apply(step, alone, w);
        }
        if (alone.len == 0 || !apply_step(step, &text, w))
            return false;
    }
    return text.len > 0;
}
