#include "text/vocabulary.h"

#include "base/mem.h"
#include "text/field.h"

#include <string.h>

/* Doubles, so that ids in any order cost constant time each. */
static enum weir_code grow(struct vocabulary *v, size_t size, struct weir_error *err)
{
    if (size > v->cap) {
        size_t cap = size > v->cap * 2 ? size : v->cap * 2;
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

/* Reads every pair into `pieces` and `entries`; *out_count is the number of entries. An empty piece
 * has an id but can't be found: no text begins with it in a useful way. */
static enum weir_code read_pairs(struct vocabulary *v, const struct field *object,
                                 struct trie_entry *entries, size_t *out_count,
                                 struct weir_error *err)
{
    json_t *value = (json_t *)(uintptr_t)object->value; /* jansson's iterators are not const */
    size_t count = 0;
    for (void *at = json_object_iter(value); at != NULL; at = json_object_iter_next(value, at)) {
        const char *key = json_object_iter_key(at);
        struct field pair = { .value = json_object_iter_value(at), .parent = object, .name = key };
        int64_t id;
        if (field_integer(&pair, 0, VOCABULARY_ID_MAX, &id, err))
            return WEIR_LOAD_FAILED;
        enum weir_code code = vocabulary_add(v, object, (int32_t)id, str_of(key), err);
        if (code != WEIR_OK)
            return code;
        if (key[0] != '\0')
            entries[count++] = (struct trie_entry){ v->pieces[id].text, (int32_t)id };
    }
    *out_count = count;
    return WEIR_OK;
}

enum weir_code vocabulary_load(struct vocabulary *v, const struct field *object,
                               struct weir_error *err)
{
    if (field_need_object(object, err))
        return WEIR_LOAD_FAILED;
    arena_init(&v->texts, VOCABULARY_BYTES_MAX);
    size_t count = json_object_size(object->value);
    struct trie_entry *entries = mem_try(count, sizeof(*entries));
    if (entries == NULL)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for a vocabulary of %zu pieces", count);
    enum weir_code code = read_pairs(v, object, entries, &count, err);
    if (code == WEIR_OK)
        code = trie_init(&v->trie, entries, count, err);
    mem_free(entries);
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
