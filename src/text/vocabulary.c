#include "text/vocabulary.h"

#include "base/mem.h"
#include "text/field.h"
#include "text/json_scan.h"
#include "text/score.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <string.h>

/* Grows by half, so that ids in any order cost constant time each. */
static enum weir_code grow(struct vocabulary *v, size_t size, struct weir_error *err)
{
    if (size > v->cap) {
        size_t half_more = v->cap + v->cap / 2;
        size_t cap = size > half_more ? size : half_more;
        struct vocabulary_piece *pieces = mem_resize(v->pieces, cap, sizeof(*pieces));
        if (pieces == NULL)
            return weir_fail(err, WEIR_NO_MEMORY, "no memory for a vocabulary of %zu pieces", cap);
        memset(pieces + v->cap, 0, (cap - v->cap) * sizeof(*pieces));
        v->pieces = pieces;
        v->cap = cap;
    }
    if (size > v->size)
        v->size = size;
    return WEIR_OK;
}

enum weir_code vocabulary_add(struct vocabulary *v, const struct field *f, int32_t id,
                              struct str text, struct weir_error *err)
{
    enum weir_code code = grow(v, (size_t)id + 1, err);
    if (code != WEIR_OK)
        return code;
    struct vocabulary_piece *piece = &v->pieces[id];
    if (piece->text.data != NULL) {
        struct field_path path;
        struct str first = field_quote(piece->text), second = field_quote(text);
        return weir_fail(err, WEIR_LOAD_FAILED, "%s: id %d is that of '%.*s' and of '%.*s'",
                         field_path(f, &path), id, STR_ARG(first), STR_ARG(second));
    }
    piece->text = arena_str(&v->texts, text);
    if (piece->text.data == NULL)
        return weir_fail(err, WEIR_NO_MEMORY, "the vocabulary's texts are over %d bytes",
                         VOCABULARY_BYTES_MAX);
    return WEIR_OK;
}

/* What a list is read into before its trie is made. */
struct reading {
    struct vocabulary *vocabulary;
    const struct field *field;
    struct json_scan scan;
    struct trie_entry *entries;
    size_t count, cap;
};

static enum weir_code no_memory(const struct reading *r, struct weir_error *err)
{
    return weir_fail(err, WEIR_NO_MEMORY, "no memory for a vocabulary of %zu pieces", r->count);
}

/* The scan failed: it stands at what is wrong. */
static enum weir_code not_json(const struct reading *r, struct weir_error *err)
{
    struct field_path path;
    return weir_fail(err, WEIR_LOAD_FAILED, "not JSON at byte %zu of %s, or not what it must hold",
                     r->scan.at, field_path(r->field, &path));
}

/* An empty piece has an id but can't be found: no text begins with it in a useful way. */
static enum weir_code add_piece(struct reading *r, int32_t id, struct str text,
                                struct weir_error *err)
{
    enum weir_code code = vocabulary_add(r->vocabulary, r->field, id, text, err);
    if (code != WEIR_OK || text.len == 0)
        return code;
    if (r->count == r->cap) {
        size_t cap = r->cap == 0 ? 1024 : r->cap * 2;
        struct trie_entry *entries = mem_resize(r->entries, cap, sizeof(*entries));
        if (entries == NULL)
            return no_memory(r, err);
        r->entries = entries;
        r->cap = cap;
    }
    r->entries[r->count++] = (struct trie_entry){ r->vocabulary->pieces[id].text, id };
    return WEIR_OK;
}

static const char *kind_of_value(char first)
{
    switch (first) {
    case '{': return "an object";
    case '[': return "an array";
    case '"': return "a string";
    case 't':
    case 'f': return "a boolean";
    default: return "null";
    }
}

static bool is_number(char first)
{
    return first == '-' || (first >= '0' && first <= '9');
}

/* `"piece": id` of an object. */
static enum weir_code read_pair(struct reading *r, struct weir_error *err)
{
    struct json_scan *s = &r->scan;
    struct str text, number;
    struct field_path path;
    int64_t id;
    if (!json_scan_string(s, &text) || !json_scan_need(s, ':'))
        return not_json(r, err);
    struct str quote = field_quote(text);
    char first = json_scan_peek(s);
    if (!is_number(first) && first != '\0')
        return weir_fail(err, WEIR_LOAD_FAILED, "%s.%.*s is %s, it must be an integer",
                         field_path(r->field, &path), STR_ARG(quote), kind_of_value(first));
    if (!json_scan_number(s, &number))
        return not_json(r, err);
    if (memchr(number.data, '.', number.len) != NULL ||
        memchr(number.data, 'e', number.len) != NULL ||
        memchr(number.data, 'E', number.len) != NULL)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s.%.*s is a fraction, it must be an integer",
                         field_path(r->field, &path), STR_ARG(quote));
    if (!str_to_i64(number, &id) || id < 0 || id > r->vocabulary->id_max)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "%s.%.*s is %.*s, in a list of %zu bytes it must be from 0 to %d",
                         field_path(r->field, &path), STR_ARG(quote), STR_ARG(number), s->text.len,
                         r->vocabulary->id_max);
    return add_piece(r, (int32_t)id, text, err);
}

static enum weir_code read_pairs(struct reading *r, struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    bool first = true;
    json_scan_need(&r->scan, '{');
    while (code == WEIR_OK && json_scan_more(&r->scan, '}', &first))
        code = read_pair(r, err);
    if (code == WEIR_OK && (r->scan.failed || r->scan.at != r->scan.text.len))
        return not_json(r, err);
    return code;
}

/* Gives the vocabulary its trie, if all went well, and ends the reading. */
static enum weir_code finish_reading(struct reading *r, enum weir_code code, struct weir_error *err)
{
    struct vocabulary *v = r->vocabulary;
    if (code == WEIR_OK)
        code = trie_init(&v->trie, r->entries, r->count, err);
    json_scan_finish(&r->scan);
    struct vocabulary_piece *fitting = mem_resize(v->pieces, v->size, sizeof(*fitting));
    if (fitting != NULL) {
        v->pieces = fitting;
        v->cap = v->size;
    }
    return code;
}

static struct reading start_reading(struct vocabulary *v, const struct field *f, struct str list)
{
    struct reading r = { .vocabulary = v, .field = f };
    const size_t ids = list.len + VOCABULARY_IDS_SPARE;
    v->id_max = ids < VOCABULARY_ID_MAX ? (int32_t)ids : VOCABULARY_ID_MAX;
    arena_init(&v->texts, VOCABULARY_BYTES_MAX);
    json_scan_init(&r.scan, list);
    return r;
}

enum weir_code vocabulary_load(struct vocabulary *v, const struct field *f, struct str list,
                               struct weir_error *err)
{
    if (field_need_object(f, err))
        return WEIR_LOAD_FAILED;
    struct reading r = start_reading(v, f, list);
    enum weir_code code = finish_reading(&r, read_pairs(&r, err), err);
    /* The trie has sorted the entries. */
    for (size_t i = 1; code == WEIR_OK && i < r.count; i++) {
        if (str_eq(r.entries[i - 1].key, r.entries[i].key)) {
            struct field_path path;
            struct str quote = field_quote(r.entries[i].key);
            code = weir_fail(err, WEIR_LOAD_FAILED, "%s has '%.*s' twice", field_path(f, &path),
                             STR_ARG(quote));
        }
    }
    mem_free(r.entries);
    return code;
}

/* Of equal pieces the trie knows the first; from here on it is the last. */
static void prefer_last(struct vocabulary *v, const struct reading *r)
{
    for (size_t i = 1; i < r->count; i++) {
        if (str_eq(r->entries[i - 1].key, r->entries[i].key))
            v->trie.nodes[trie_walk(&v->trie, TRIE_ROOT, r->entries[i].key)].value =
                r->entries[i].value;
    }
}

/* `["piece", score]` */
static enum weir_code read_scored(struct reading *r, int32_t id, double *out,
                                  struct weir_error *err)
{
    struct json_scan *s = &r->scan;
    struct str text, number;
    if (!json_scan_need(s, '[') || !json_scan_string(s, &text))
        return not_json(r, err);
    enum weir_code code = add_piece(r, id, text, err);
    if (code != WEIR_OK)
        return code;
    if (!json_scan_need(s, ',') || !json_scan_number(s, &number) || !json_scan_need(s, ']'))
        return not_json(r, err);
    if (!score_read(number, out))
        return weir_fail(err, WEIR_LOAD_FAILED, "the score %.*s of piece %d is no finite number",
                         STR_ARG(number), id);
    return WEIR_OK;
}

static enum weir_code read_all_scored(struct reading *r, double **scores, struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    size_t count = 0, cap = 0;
    bool first = true;
    json_scan_need(&r->scan, '[');
    while (code == WEIR_OK && json_scan_more(&r->scan, ']', &first)) {
        if (count > VOCABULARY_ID_MAX)
            return weir_fail(err, WEIR_LOAD_FAILED, "model.vocab has over %d members",
                             VOCABULARY_ID_MAX + 1);
        if (count == cap) {
            cap = cap == 0 ? 1024 : cap * 2;
            double *more = mem_resize(*scores, cap, sizeof(**scores));
            if (more == NULL)
                return no_memory(r, err);
            *scores = more;
        }
        code = read_scored(r, (int32_t)count, &(*scores)[count], err);
        count++;
    }
    if (code == WEIR_OK && (r->scan.failed || r->scan.at != r->scan.text.len))
        return not_json(r, err);
    return code;
}

enum weir_code vocabulary_load_scores(struct vocabulary *v, const struct field *f, struct str list,
                                      double **out_scores, struct weir_error *err)
{
    if (field_need_array(f, err))
        return WEIR_LOAD_FAILED;
    double *scores = NULL;
    struct reading r = start_reading(v, f, list);
    enum weir_code code = finish_reading(&r, read_all_scored(&r, &scores, err), err);
    if (code == WEIR_OK) {
        prefer_last(v, &r);
        *out_scores = scores;
    } else {
        mem_free(scores);
    }
    mem_free(r.entries);
    return code;
}

struct str vocabulary_line(struct str *rest)
{
    struct str line;
    str_cut(*rest, '\n', &line, rest);
    while (line.len > 0) {
        size_t at = line.len;
        if (!unicode_is_whitespace(utf8_previous(line, &at)))
            break;
        line.len = at;
    }
    return line;
}

static enum weir_code read_lines(struct reading *r, struct str rest, struct weir_error *err)
{
    for (size_t id = 0; rest.len > 0; id++) {
        struct str line = vocabulary_line(&rest);
        if (line.len == 0)
            continue;
        if (id > VOCABULARY_ID_MAX)
            return weir_fail(err, WEIR_LOAD_FAILED, "line %zu is over the limit of %d", id + 1,
                             VOCABULARY_ID_MAX + 1);
        enum weir_code code = add_piece(r, (int32_t)id, line, err);
        if (code != WEIR_OK)
            return code;
    }
    return WEIR_OK;
}

enum weir_code vocabulary_load_lines(struct vocabulary *v, struct str list, struct weir_error *err)
{
    static const struct field none = { .value = NULL };
    struct reading r = start_reading(v, &none, list);
    enum weir_code code = finish_reading(&r, read_lines(&r, list, err), err);
    if (code == WEIR_OK) {
        prefer_last(v, &r);
        for (size_t i = 1; i < r.count; i++) {
            if (str_eq(r.entries[i - 1].key, r.entries[i].key))
                v->pieces[r.entries[i - 1].value].text = (struct str){ NULL, 0 };
        }
    }
    mem_free(r.entries);
    return code;
}

void vocabulary_finish(struct vocabulary *v)
{
    mem_free(v->pieces);
    trie_finish(&v->trie);
    arena_finish(&v->texts);
    *v = (struct vocabulary){ 0 };
}

int32_t vocabulary_find(const struct vocabulary *v, struct str text)
{
    if (text.len == 0)
        return VOCABULARY_NO_ID;
    uint32_t node = trie_walk(&v->trie, TRIE_ROOT, text);
    return node == TRIE_NONE ? VOCABULARY_NO_ID : v->trie.nodes[node].value;
}

bool vocabulary_has(const struct vocabulary *v, int64_t id)
{
    return id >= 0 && (uint64_t)id < v->size && v->pieces[id].text.data != NULL;
}
