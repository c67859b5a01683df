#include "text/pretokenizer.h"

#include "base/check.h"
#include "base/mem.h"
#include "text/byte_level.h"
#include "text/gpt2_words.h"
#include "text/splitter.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <string.h>

/* A rewriting step at most doubles a text (ByteLevel) or makes three bytes, or four, of a space
 * (Metaspace), and puts one character before a piece. */
#define REWRITE_GROWTH_MAX 5

enum part { PART_OF_WORD, PART_SPACE, PART_ALONE };

static enum part part_of(uint32_t c)
{
    /* Letters and digits of ASCII are most of most texts. */
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return PART_OF_WORD;
    if (c == ' ' || unicode_is_whitespace(c))
        return PART_SPACE;
    return unicode_is_punctuation(c) ? PART_ALONE : PART_OF_WORD;
}

static bool bert_run(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    struct str text = piece.text;
    size_t start = 0, at = 0;
    while (at < text.len) {
        size_t end = at;
        enum part part = part_of(utf8_next(text, &at));
        if (part == PART_OF_WORD)
            continue;
        struct str word = { text.data + start, end - start };
        struct str mark = { text.data + end, at - end };
        if (word.len > 0 &&
            !pretokenizer_pass(w, step, (struct piece){ word, piece.is_first && start == 0 }))
            return false;
        if (part == PART_ALONE &&
            !pretokenizer_pass(w, step, (struct piece){ mark, piece.is_first && end == 0 }))
            return false;
        start = at;
    }
    struct str word = { text.data + start, text.len - start };
    return pretokenizer_pass(w, step, (struct piece){ word, piece.is_first && start == 0 });
}

/* The text with the mark for each space, and before it if it is due. */
static bool metaspace_run(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    const struct pretokenizer_step *p = &w->pretokenizer->steps[step];
    struct pretokenizer_room *room = &w->rooms[step];
    struct str mark = str_of(p->mark), rest = piece.text, part;
    bool is_due = p->scheme == PREPEND_ALWAYS || (p->scheme == PREPEND_FIRST && piece.is_first);
    buffer_clear(&room->text);
    if (is_due && !str_starts(rest, mark) && rest.data[0] != ' ')
        buffer_str(&room->text, mark);
    while (str_cut(rest, ' ', &part, &rest)) {
        buffer_str(&room->text, part);
        buffer_str(&room->text, mark);
    }
    buffer_str(&room->text, part);
    if (room->text.failed)
        return false;
    piece.text = buffer_view(&room->text);
    if (!p->splits)
        return pretokenizer_pass(w, step, piece);
    struct pattern_scan scan = pattern_scan(&p->pattern, &room->work, piece.text);
    size_t start = 0, at, end;
    while (pattern_next(&scan, &at, &end)) {
        struct str word = { piece.text.data + start, at - start };
        if (!pretokenizer_pass(w, step, (struct piece){ word, piece.is_first && start == 0 }))
            return false;
        start = at;
    }
    struct str word = { piece.text.data + start, piece.text.len - start };
    return pretokenizer_pass(w, step, (struct piece){ word, piece.is_first && start == 0 });
}

static bool pass_bytes(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    struct buffer *mapped = &w->rooms[step].mapped;
    buffer_clear(mapped);
    byte_level_write(piece.text, mapped);
    piece.text = buffer_view(mapped);
    return !mapped->failed && pretokenizer_pass(w, step, piece);
}

static bool byte_level_run(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    const struct pretokenizer_step *p = &w->pretokenizer->steps[step];
    struct pretokenizer_room *room = &w->rooms[step];
    if (p->prefixes && piece.text.data[0] != ' ') {
        buffer_clear(&room->text);
        buffer_text(&room->text, " ");
        buffer_str(&room->text, piece.text);
        if (room->text.failed)
            return false;
        piece.text = buffer_view(&room->text);
    }
    if (!p->uses_pattern)
        return pass_bytes(w, step, piece);
    for (size_t start = 0, end; start < piece.text.len; start = end) {
        end = gpt2_word_end(piece.text, start);
        struct str word = { piece.text.data + start, end - start };
        if (!pass_bytes(w, step, (struct piece){ word, piece.is_first && start == 0 }))
            return false;
    }
    return true;
}

static enum weir_code byte_level_load(struct pretokenizer_step *p, const struct field *f,
                                      struct weir_error *err)
{
    static const char *const names[] = { "type", "add_prefix_space", "trim_offsets", "use_regex",
                                         NULL };
    struct field uses = field_of(f, "use_regex");
    bool unused; /* offsets are not given */
    p->uses_pattern = true;
    if (field_only(f, names, err) || field_bool(f, "add_prefix_space", &p->prefixes, err) ||
        field_bool(f, "trim_offsets", &unused, err) ||
        (uses.value != NULL && field_bool(f, "use_regex", &p->uses_pattern, err)))
        return WEIR_LOAD_FAILED;
    return WEIR_OK;
}

static enum weir_code load_scheme(struct pretokenizer_step *p, const struct field *f,
                                  struct weir_error *err)
{
#define PREPEND_NAME(name, text) text,
    static const char *const schemes[] = { PREPEND_SCHEMES(PREPEND_NAME) };
#undef PREPEND_NAME
    struct field scheme = field_of(f, "prepend_scheme"), prefix = field_of(f, "add_prefix_space");
    struct field_path path;
    struct str text = STR("always");
    bool prefixes = true;
    if ((scheme.value != NULL && field_text_here(&scheme, &text, err)) ||
        (prefix.value != NULL && field_bool(f, "add_prefix_space", &prefixes, err)))
        return WEIR_LOAD_FAILED;
    size_t i = 0;
    while (i < PREPEND_SCHEMES_COUNT && !str_eq(text, str_of(schemes[i])))
        i++;
    struct str quote = field_quote(text);
    if (i == PREPEND_SCHEMES_COUNT)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s is '%.*s', it must be always, first or never",
                         field_path(&scheme, &path), STR_ARG(quote));
    p->scheme = (enum prepend_scheme)i;
    /* Files older than prepend_scheme say it by this; the newer field must not say otherwise. */
    if (!prefixes && scheme.value != NULL && p->scheme != PREPEND_NEVER)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s is false, but prepend_scheme is '%.*s'",
                         field_path(&prefix, &path), STR_ARG(quote));
    if (!prefixes)
        p->scheme = PREPEND_NEVER;
    return WEIR_OK;
}

static enum weir_code metaspace_load(struct pretokenizer_step *p, const struct field *f,
                                     struct weir_error *err)
{
    static const char *const names[] = { "type",    "replacement", "add_prefix_space",
                                         "str_rep", "split",       "prepend_scheme",
                                         NULL };
    struct field mark = field_of(f, "replacement"), split = field_of(f, "split");
    struct field_path path;
    struct str text;
    p->splits = true;
    if (field_only(f, names, err) || field_text_here(&mark, &text, err) || load_scheme(p, f, err) ||
        (split.value != NULL && field_bool(f, "split", &p->splits, err)))
        return WEIR_LOAD_FAILED;
    if (utf8_count(text) != 1)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu characters, it must have one",
                         field_path(&mark, &path), utf8_count(text));
    p->mark = mem_copy_text(text.data, text.len);
    p->pattern.literal = mem_copy_text(text.data, text.len);
    p->pattern.literal_len = text.len;
    return WEIR_OK;
}

static const struct pretokenizer_kind kinds[] = {
    {"BertPreTokenizer", NULL,            bert_run      },
    { "Metaspace",       metaspace_load,  metaspace_run },
    { "ByteLevel",       byte_level_load, byte_level_run},
};

static const struct pretokenizer_kind *find_kind(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (str_eq(name, str_of(kinds[i].name)))
            return &kinds[i];
    }
    for (size_t i = 0; pretokenizer_split_kinds[i].name != NULL; i++) {
        if (str_eq(name, str_of(pretokenizer_split_kinds[i].name)))
            return &pretokenizer_split_kinds[i];
    }
    return NULL;
}

static enum weir_code load_step(void *context, const struct component *part, struct weir_error *err)
{
    static const char *const names[] = { "type", NULL };
    struct pretokenizer *p = context;
    const struct pretokenizer_kind *kind = find_kind(part->type);
    if (kind == NULL)
        return field_unknown_type(part, err);
    struct pretokenizer_step *step = &p->steps[p->count++];
    step->kind = kind;
    enum weir_code code = kind->load != NULL ? kind->load(step, &part->item, err)
                                             : field_only(&part->item, names, err);
    p->asks_first = p->asks_first || (step->mark != NULL && step->scheme == PREPEND_FIRST);
    return code;
}

enum weir_code pretokenizer_load(struct pretokenizer *p, const struct field *f,
                                 struct weir_error *err)
{
    p->steps = mem_new(FIELD_COMPONENTS_MAX, sizeof(*p->steps));
    return field_components(f, "pretokenizers", load_step, p, err);
}

void pretokenizer_finish(struct pretokenizer *p)
{
    for (size_t i = 0; i < p->count; i++) {
        pattern_finish(&p->steps[i].pattern);
        mem_free(p->steps[i].mark);
    }
    mem_free(p->steps);
    *p = (struct pretokenizer){ 0 };
}

void pretokenizer_walk_init(struct pretokenizer_walk *w, const struct pretokenizer *p,
                            size_t text_len, pretokenizer_emit emit, void *context)
{
    *w = (struct pretokenizer_walk){ .pretokenizer = p, .emit = emit, .context = context };
    w->rooms = p->count > 0 ? mem_new(p->count, sizeof(*w->rooms)) : NULL;
    for (size_t i = 0, most = text_len + 1; i < p->count; i++) {
        most = most > SIZE_MAX / 16 ? most : most * REWRITE_GROWTH_MAX;
        buffer_init(&w->rooms[i].text, most);
        buffer_init(&w->rooms[i].mapped, most);
    }
}

void pretokenizer_walk_finish(struct pretokenizer_walk *w)
{
    for (size_t i = 0; w->rooms != NULL && i < w->pretokenizer->count; i++) {
        buffer_finish(&w->rooms[i].text);
        buffer_finish(&w->rooms[i].mapped);
        pattern_work_finish(&w->rooms[i].work);
    }
    mem_free(w->rooms);
    w->rooms = NULL;
}

static bool hand(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    if (piece.text.len == 0)
        return true;
    return step == w->pretokenizer->count ? w->emit(w->context, piece.text)
                                          : w->pretokenizer->steps[step].kind->run(w, step, piece);
}

bool pretokenizer_pass(struct pretokenizer_walk *w, size_t step, struct piece piece)
{
    return hand(w, step + 1, piece);
}

bool pretokenizer_run(struct pretokenizer_walk *w, struct piece text)
{
    return hand(w, 0, text);
}

bool pretokenizer_gave_up(const struct pretokenizer_walk *w)
{
    for (size_t i = 0; i < w->pretokenizer->count; i++) {
        if (w->rooms[i].work.gave_up)
            return true;
    }
    return false;
}
