/* The steps that only cut: each tells a splitter what in a piece matches. */
#include "base/check.h"
#include "text/pretokenizer.h"
#include "text/splitter.h"
#include "text/unicode.h"
#include "text/utf8.h"

/* Every code point of a class is a match of its own, as in the reference. */
static bool split_by_class(struct splitter *s, bool (*is_match)(uint32_t c, uint32_t of),
                           uint32_t of)
{
    struct str text = s->piece.text;
    size_t reported = 0;
    for (size_t at = 0; at < text.len;) {
        size_t start = at;
        if (!is_match(utf8_next(text, &at), of))
            continue;
        if ((start > reported && !splitter_add(s, start, false)) || !splitter_add(s, at, true))
            return false;
        reported = at;
    }
    return (reported == text.len || splitter_add(s, text.len, false)) && splitter_end(s);
}

static bool is_space(uint32_t c, uint32_t unused)
{
    (void)unused;
    return c == ' ' || (!(c > ' ' && c < 0x7F) && unicode_is_whitespace(c));
}

static bool is_punctuation(uint32_t c, uint32_t unused)
{
    (void)unused;
    return unicode_is_punctuation(c);
}

static bool is_numeric(uint32_t c, uint32_t unused)
{
    (void)unused;
    return c < 0x80 ? c >= '0' && c <= '9' : unicode_is_numeric(c);
}

static bool is_delimiter(uint32_t c, uint32_t delimiter)
{
    return c == delimiter;
}

static bool whitespace_split_run(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    struct splitter s = splitter_of(w, step, piece, SPLIT_REMOVED);
    return split_by_class(&s, is_space, 0);
}

static bool punctuation_run(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    struct splitter s = splitter_of(w, step, piece, w->pretokenizer->steps[step].behavior);
    return split_by_class(&s, is_punctuation, 0);
}

static bool digits_run(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    struct splitter s = splitter_of(w, step, piece, w->pretokenizer->steps[step].behavior);
    return split_by_class(&s, is_numeric, 0);
}

static bool char_delimiter_run(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    struct splitter s = splitter_of(w, step, piece, SPLIT_REMOVED);
    return split_by_class(&s, is_delimiter, w->pretokenizer->steps[step].delimiter);
}

enum class { CLASS_SPACE, CLASS_WORD, CLASS_SIGN };

static enum class class_of(uint32_t c) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return CLASS_WORD;
    if (is_space(c, 0)) return CLASS_SPACE;
    return unicode_is_word(c) ? CLASS_WORD : CLASS_SIGN;
}

static bool whitespace_run(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    struct str text = piece.text;
    enum class last = CLASS_SPACE;
    size_t start = 0;
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        enum class now = class_of(utf8_next(text, &at));
        if (now == last)
            continue;
        struct piece part = {
            {text.data + start, end - start},
            piece.is_first && start == 0
        };
        if (last != CLASS_SPACE && !pretokenizer_pass(w, step, part))
            return false;
        start = end;
        last = now;
    }
    struct piece part = {
        {text.data + start, text.len - start},
        piece.is_first && start == 0
    };
    return last == CLASS_SPACE || pretokenizer_pass(w, step, part);
}

static bool split_run(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    const struct pretokenizer_step *p = &w->pretokenizer->steps[step];
    struct pattern_work *work = &w->rooms[step].work;
    struct splitter s = splitter_of(w, step, piece, p->behavior);
    s.inverts = p->inverts;
    struct pattern_scan scan = pattern_scan(&p->pattern, work, piece.text);
    size_t reported = 0, start, end;
    while (pattern_next(&scan, &start, &end)) {
        if ((start > reported && !splitter_add(&s, start, false)) || !splitter_add(&s, end, true))
            return false;
        reported = end;
    }
    if (work->gave_up || work->no_memory)
        return false;
    return (reported == piece.text.len || splitter_add(&s, piece.text.len, false)) &&
           splitter_end(&s);
}

static enum weir_code load_behavior(struct pretokenizer_step *p, const struct field *f,
                                    struct weir_error *err)
{
#define SPLIT_NAME(name, text) text,
    static const char *const behaviors[] = { SPLIT_BEHAVIORS(SPLIT_NAME) };
#undef SPLIT_NAME
    struct field behavior = field_of(f, "behavior");
    struct field_path path;
    struct str text;
    if (field_text_here(&behavior, &text, err))
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < SPLIT_BEHAVIORS_COUNT; i++) {
        if (str_eq(text, str_of(behaviors[i]))) {
            p->behavior = (enum split_behavior)i;
            return WEIR_OK;
        }
    }
    struct str quote = field_quote(text);
    return weir_fail(err, WEIR_LOAD_FAILED, "%s is '%.*s', which is not a known behaviour",
                     field_path(&behavior, &path), STR_ARG(quote));
}

static enum weir_code punctuation_load(struct pretokenizer_step *p, const struct field *f,
                                       struct weir_error *err)
{
    static const char *const names[] = { "type", "behavior", NULL };
    p->behavior = SPLIT_ISOLATED;
    if (field_only(f, names, err))
        return WEIR_LOAD_FAILED;
    return field_of(f, "behavior").value != NULL ? load_behavior(p, f, err) : WEIR_OK;
}

static enum weir_code digits_load(struct pretokenizer_step *p, const struct field *f,
                                  struct weir_error *err)
{
    static const char *const names[] = { "type", "individual_digits", NULL };
    bool is_individual;
    if (field_only(f, names, err) || field_bool(f, "individual_digits", &is_individual, err))
        return WEIR_LOAD_FAILED;
    p->behavior = is_individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
    return WEIR_OK;
}

static enum weir_code char_delimiter_load(struct pretokenizer_step *p, const struct field *f,
                                          struct weir_error *err)
{
    static const char *const names[] = { "type", "delimiter", NULL };
    struct field delimiter = field_of(f, "delimiter");
    struct field_path path;
    struct str text;
    size_t at = 0;
    if (field_only(f, names, err) || field_text_here(&delimiter, &text, err))
        return WEIR_LOAD_FAILED;
    if (utf8_count(text) != 1)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu characters, it must have one",
                         field_path(&delimiter, &path), utf8_count(text));
    p->delimiter = utf8_next(text, &at);
    return WEIR_OK;
}

static enum weir_code split_load(struct pretokenizer_step *p, const struct field *f,
                                 struct weir_error *err)
{
    static const char *const names[] = { "type", "pattern", "behavior", "invert", NULL };
    struct field pattern = field_of(f, "pattern");
    if (field_only(f, names, err) || load_behavior(p, f, err) ||
        field_bool(f, "invert", &p->inverts, err))
        return WEIR_LOAD_FAILED;
    return pattern_load(&p->pattern, &pattern, err);
}

const struct pretokenizer_kind pretokenizer_split_kinds[] = {
    {"WhitespaceSplit",     NULL,                whitespace_split_run},
    { "Whitespace",         NULL,                whitespace_run      },
    { "Punctuation",        punctuation_load,    punctuation_run     },
    { "Digits",             digits_load,         digits_run          },
    { "CharDelimiterSplit", char_delimiter_load, char_delimiter_run  },
    { "Split",              split_load,          split_run           },
    { NULL,                 NULL,                NULL                },
};
