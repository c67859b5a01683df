#include "text/added_tokens.h"

#include "base/mem.h"
#include "text/field.h"
#include "text/unicode.h"
#include "text/utf8.h"

#define ADDED_TOKENS_MAX     65536
#define ADDED_NAME_BYTES_MAX 4096

/* What loading needs besides the tokens themselves. */
struct loading {
    struct vocabulary *vocabulary;
    const struct normalizer *normalizer;
    struct normalizer_work work;
    struct str *names;  /* what each token is looked for as */
    struct arena texts; /* of names */
};

static enum weir_code read_token(struct added_token *t, const struct field *f, struct vocabulary *v,
                                 struct weir_error *err)
{
    static const char *const names[] = { "id",     "content", "special",    "single_word",
                                         "lstrip", "rstrip",  "normalized", NULL };
    struct field id_field = field_of(f, "id"), content = field_of(f, "content");
    struct field_path path;
    struct str text;
    int64_t id;
    if (field_need_object(f, err) || field_only(f, names, err) ||
        field_integer(&id_field, 0, v->id_max, &id, err) || field_text_here(&content, &text, err) ||
        field_bool(f, "special", &t->is_special, err) ||
        field_bool(f, "single_word", &t->is_word, err) ||
        field_bool(f, "lstrip", &t->takes_space_before, err) ||
        field_bool(f, "rstrip", &t->takes_space_behind, err) ||
        field_bool(f, "normalized", &t->is_normalized, err))
        return WEIR_LOAD_FAILED;
    if (text.len == 0 || text.len > ADDED_NAME_BYTES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu bytes, it must have from 1 to %d",
                         field_path(&content, &path), text.len, ADDED_NAME_BYTES_MAX);
    t->id = (int32_t)id;
    int32_t known = vocabulary_find(v, text);
    if (known == VOCABULARY_NO_ID) {
        enum weir_code code = vocabulary_add(v, f, t->id, text, err);
        if (code != WEIR_OK)
            return code;
    } else if (known != t->id) {
        struct str quote = field_quote(text);
        return weir_fail(err, WEIR_LOAD_FAILED, "%s of '%.*s' is %d, the vocabulary says %d",
                         field_path(&id_field, &path), STR_ARG(quote), t->id, known);
    }
    v->pieces[t->id].is_special |= t->is_special;
    return WEIR_OK;
}

static enum weir_code make_name(struct loading *l, const struct added_token *t,
                                const struct field *f, struct str *out, struct weir_error *err)
{
    struct str name = l->vocabulary->pieces[t->id].text;
    bool failed = t->is_normalized && !normalizer_apply(l->normalizer, name, &l->work, &name);
    *out = arena_str(&l->texts, name);
    failed = failed || out->data == NULL;
    struct field_path path;
    if (failed)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %s", field_path(f, &path));
    if (out->len == 0)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s: nothing is left of its name when normalised",
                         field_path(f, &path));
    return WEIR_OK;
}

static enum weir_code build_matcher(const struct added_tokens *a, const struct str *names,
                                    bool is_normalized, struct matcher *m, struct weir_error *err)
{
    struct trie_entry *entries = mem_try(a->count, sizeof(*entries));
    if (entries == NULL)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %zu added tokens", a->count);
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (a->items[i].is_normalized != is_normalized)
            continue;
        entries[count++] = (struct trie_entry){ names[i], (int32_t)i };
        m->starts[(uint8_t)names[i].data[0]] = true;
    }
    enum weir_code code = trie_init(&m->trie, entries, count, err);
    mem_free(entries);
    for (size_t i = 0; code == WEIR_OK && i < a->count; i++) {
        if (a->items[i].is_normalized != is_normalized)
            continue;
        int32_t first = m->trie.nodes[trie_walk(&m->trie, TRIE_ROOT, names[i])].value;
        if (first != (int32_t)i)
            code = weir_fail(err, WEIR_LOAD_FAILED,
                             "added_tokens[%zu] has the same name as added_tokens[%d]", i, first);
    }
    return code;
}

enum weir_code added_tokens_load(struct added_tokens *a, const struct field *f,
                                 struct vocabulary *v, const struct normalizer *n,
                                 struct weir_error *err)
{
    if (f->value != NULL && field_need_array(f, err))
        return WEIR_LOAD_FAILED;
    size_t count = json_array_size(f->value);
    if (count > ADDED_TOKENS_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "added_tokens has %zu members, the limit is %d",
                         count, ADDED_TOKENS_MAX);
    struct loading l = { .vocabulary = v, .normalizer = n };
    arena_init(&l.texts, VOCABULARY_BYTES_MAX);
    normalizer_work_init(&l.work, ADDED_NAME_BYTES_MAX);
    l.names = mem_new(count, sizeof(*l.names));
    a->items = mem_new(count, sizeof(*a->items));
    a->count = count;
    enum weir_code code = WEIR_OK;
    for (size_t i = 0; i < count && code == WEIR_OK; i++) {
        struct field item = field_at(f, i);
        code = read_token(&a->items[i], &item, v, err);
        if (code == WEIR_OK)
            code = make_name(&l, &a->items[i], &item, &l.names[i], err);
    }
    if (code == WEIR_OK)
        code = build_matcher(a, l.names, false, &a->raw, err);
    if (code == WEIR_OK)
        code = build_matcher(a, l.names, true, &a->normalized, err);
    mem_free(l.names);
    normalizer_work_finish(&l.work);
    arena_finish(&l.texts);
    return code;
}

void added_tokens_finish(struct added_tokens *a)
{
    mem_free(a->items);
    trie_finish(&a->raw.trie);
    trie_finish(&a->normalized.trie);
    *a = (struct added_tokens){ 0 };
}

struct added_scan added_tokens_scan_raw(const struct added_tokens *a, struct str text)
{
    return (struct added_scan){ .added = a, .matcher = &a->raw, .text = text };
}

struct added_scan added_tokens_scan_normalized(const struct added_tokens *a, struct str text)
{
    return (struct added_scan){ .added = a, .matcher = &a->normalized, .text = text };
}

static bool stands_alone(struct str text, size_t start, size_t end)
{
    size_t before = start, behind = end;
    if (start > 0 && unicode_is_word(utf8_previous(text, &before)))
        return false;
    return end == text.len || !unicode_is_word(utf8_next(text, &behind));
}

/* The next name that counts: its index, and where it starts and ends; -1 when there is none. */
static int32_t find(struct added_scan *s, size_t *start, size_t *end)
{
    while (s->search < s->text.len) {
        size_t at = s->search, len = 0;
        struct str rest = { s->text.data + at, s->text.len - at };
        int32_t found = -1;
        if (s->matcher->starts[(uint8_t)rest.data[0]])
            found = trie_longest(&s->matcher->trie, TRIE_ROOT, rest, &len);
        s->search += found < 0 ? 1 : len;
        if (found < 0 || (s->added->items[found].is_word && !stands_alone(s->text, at, at + len)))
            continue;
        *start = at;
        *end = at + len;
        return found;
    }
    return -1;
}

/* White space before `start` that was not given out yet. */
static size_t space_before(const struct added_scan *s, size_t start)
{
    while (start > s->taken) {
        size_t at = start;
        if (!unicode_is_whitespace(utf8_previous(s->text, &at)))
            break;
        start = at;
    }
    return start;
}

static size_t space_behind(const struct added_scan *s, size_t end)
{
    while (end < s->text.len) {
        size_t at = end;
        if (!unicode_is_whitespace(utf8_next(s->text, &at)))
            break;
        end = at;
    }
    return end;
}

bool added_tokens_next(struct added_scan *s, struct str *out_text,
                       const struct added_token **out_token)
{
    *out_token = s->pending;
    s->pending = NULL;
    if (*out_token != NULL)
        return true;
    size_t start = s->text.len, end = s->text.len, before = s->taken;
    int32_t found = find(s, &start, &end);
    const struct added_token *token = found < 0 ? NULL : &s->added->items[found];
    if (token != NULL && token->takes_space_before)
        start = space_before(s, start);
    if (token != NULL && token->takes_space_behind)
        end = space_behind(s, end);
    s->taken = end;
    if (before < start) {
        *out_text = (struct str){ s->text.data + before, start - before };
        s->pending = token;
        return true;
    }
    *out_token = token;
    return token != NULL;
}
