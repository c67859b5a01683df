#include "text/tokenizer.h"

#include "base/mem.h"
#include "text/added_tokens.h"
#include "text/bert_vocab.h"
#include "text/decoder.h"
#include "text/field.h"
#include "text/lists.h"
#include "text/normalizer.h"
#include "text/postprocessor.h"
#include "text/pretokenizer.h"
#include "text/subword.h"

#include <string.h>

/* Decoding passes by more bytes than it leaves: a piece like <0x41> becomes one byte. */
#define DECODED_GROWTH_MAX 8

struct tokenizer {
    struct normalizer normalizer;
    struct pretokenizer pretokenizer;
    struct subword subword;
    struct added_tokens added;
    struct postprocessor postprocessor;
    struct decoder decoder;
};

/* The fields `truncation` and `padding` are not read, on purpose: they are what some client had
 * switched on when it wrote the file, not limits of the model, and would cut texts silently. */
static enum weir_code load(struct tokenizer *t, const json_t *json, const struct lists *lists,
                           struct weir_error *err)
{
    struct field root = { .value = json };
    struct field version = field_of(&root, "version"), model = field_of(&root, "model"),
                 added = field_of(&root, "added_tokens"),
                 normalizer = field_of(&root, "normalizer"),
                 pretokenizer = field_of(&root, "pre_tokenizer"),
                 postprocessor = field_of(&root, "post_processor"),
                 decoder = field_of(&root, "decoder");
    struct str number = STR("1.0");
    if (version.value != NULL && field_text_here(&version, &number, err))
        return WEIR_LOAD_FAILED;
    if (!str_eq(number, STR("1.0"))) {
        struct str quote = field_quote(number);
        return weir_fail(err, WEIR_LOAD_FAILED, "version '%.*s' is not supported, only '1.0' is",
                         STR_ARG(quote));
    }
    enum weir_code code = subword_load(&t->subword, &model, lists, err);
    if (code == WEIR_OK)
        code = normalizer_load(&t->normalizer, &normalizer, err);
    if (code == WEIR_OK)
        code = added_tokens_load(&t->added, &added, &t->subword.vocabulary, &t->normalizer, err);
    if (code == WEIR_OK)
        code = pretokenizer_load(&t->pretokenizer, &pretokenizer, err);
    if (code == WEIR_OK)
        code = postprocessor_load(&t->postprocessor, &postprocessor, &t->subword.vocabulary, err);
    if (code == WEIR_OK)
        code = decoder_load(&t->decoder, &decoder, err);
    return code;
}

static enum weir_code create(const json_t *json, const struct lists *lists, struct tokenizer **out,
                             struct weir_error *err)
{
    struct tokenizer *t = mem_new(1, sizeof(*t));
    enum weir_code code = load(t, json, lists, err);
    if (code != WEIR_OK) {
        tokenizer_destroy(t);
        return code;
    }
    *out = t;
    return WEIR_OK;
}

enum weir_code tokenizer_create(struct str json, struct tokenizer **out, struct weir_error *err)
{
    if (json.len > TOKENIZER_FILE_BYTES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "a file of %zu bytes is over the limit of %d",
                         json.len, TOKENIZER_FILE_BYTES_MAX);
    size_t valid = str_utf8_valid(json);
    if (valid != json.len)
        return weir_fail(err, WEIR_LOAD_FAILED, "not JSON at byte %zu: not UTF-8", valid);
    struct lists lists;
    struct buffer rest;
    json_error_t why;
    buffer_init(&rest, json.len);
    lists_cut(json, &lists, &rest);
    json_t *root = json_loadb((const char *)rest.data, rest.len, JSON_REJECT_DUPLICATES, &why);
    buffer_finish(&rest);
    if (root == NULL)
        return weir_fail(err, WEIR_LOAD_FAILED, "not JSON at byte %zu: %s",
                         lists_offset(&lists, json, (size_t)why.position), why.text);
    enum weir_code code = create(root, &lists, out, err);
    json_decref(root);
    return code;
}

enum weir_code tokenizer_create_from_vocab(struct str vocab, bool lowercase, struct tokenizer **out,
                                           struct weir_error *err)
{
    if (vocab.len > TOKENIZER_FILE_BYTES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "a file of %zu bytes is over the limit of %d",
                         vocab.len, TOKENIZER_FILE_BYTES_MAX);
    size_t valid = str_utf8_valid(vocab);
    if (valid != vocab.len)
        return weir_fail(err, WEIR_LOAD_FAILED, "not UTF-8 at byte %zu", valid);
    struct lists lists;
    json_t *document;
    enum weir_code code = bert_vocab_read(vocab, lowercase, &document, &lists, err);
    if (code != WEIR_OK)
        return code;
    code = create(document, &lists, out, err);
    json_decref(document);
    return code;
}

void tokenizer_destroy(struct tokenizer *t)
{
    if (t == NULL)
        return;
    added_tokens_finish(&t->added);
    normalizer_finish(&t->normalizer);
    pretokenizer_finish(&t->pretokenizer);
    subword_finish(&t->subword);
    decoder_finish(&t->decoder);
    mem_free(t);
}

size_t tokenizer_vocab_size(const struct tokenizer *t)
{
    return t->subword.vocabulary.size;
}

struct str tokenizer_piece(const struct tokenizer *t, int32_t id)
{
    const struct vocabulary *v = &t->subword.vocabulary;
    return vocabulary_has(v, id) ? v->pieces[id].text : (struct str){ "", 0 };
}

static bool append_ids(struct tokens *out, const int32_t *ids, size_t count)
{
    if (!tokens_reserve(out, count))
        return false;
    if (count > 0)
        memcpy(out->ids + out->count, ids, count * sizeof(*ids));
    out->count += count;
    return true;
}

/* One text on its way to ids. */
struct encoding {
    const struct tokenizer *t;
    struct tokens *out;
    struct normalizer_work normalizer;
    struct pretokenizer_walk words;
};

static bool encode_word(void *context, struct str word)
{
    struct encoding *e = context;
    return subword_encode(&e->t->subword, word, e->out);
}

/* `starts`: the text stands where the raw text begins. */
static bool encode_normalized(struct encoding *e, struct str text, bool starts)
{
    struct added_scan scan = added_tokens_scan_normalized(&e->t->added, text);
    const struct added_token *token;
    struct str part;
    while (added_tokens_next(&scan, &part, &token)) {
        struct piece piece = { part, starts && part.data == text.data };
        bool ok =
            token != NULL ? append_ids(e->out, &token->id, 1) : pretokenizer_run(&e->words, piece);
        if (!ok)
            return false;
    }
    return true;
}

static bool encode_raw(struct encoding *e, struct str text)
{
    const struct tokenizer *t = e->t;
    struct added_scan scan = added_tokens_scan_raw(&t->added, text);
    const struct added_token *token;
    struct str part;
    while (added_tokens_next(&scan, &part, &token)) {
        bool ok = true, starts = token == NULL && t->pretokenizer.asks_first &&
                                 part.data == text.data &&
                                 normalizer_starts(&t->normalizer, part, &e->normalizer);
        if (token != NULL)
            ok = append_ids(e->out, &token->id, 1);
        else
            ok = normalizer_apply(&t->normalizer, part, &e->normalizer, &part) &&
                 encode_normalized(e, part, starts);
        if (!ok)
            return false;
    }
    return true;
}

static bool encode_text(const struct tokenizer *t, struct str text, struct tokens *out,
                        bool *out_gave_up)
{
    struct encoding e = { .t = t, .out = out };
    normalizer_work_init(&e.normalizer, text.len);
    pretokenizer_walk_init(&e.words, &t->pretokenizer, e.normalizer.rooms[0].max, encode_word, &e);
    bool ok = encode_raw(&e, text);
    *out_gave_up = e.normalizer.gave_up || pretokenizer_gave_up(&e.words);
    pretokenizer_walk_finish(&e.words);
    normalizer_work_finish(&e.normalizer);
    return ok;
}

enum weir_code tokenizer_encode(const struct tokenizer *t, struct str text, bool add_special_tokens,
                                struct tokens *out, struct weir_error *err)
{
    if (text.len > TOKENIZER_TEXT_BYTES_MAX)
        return weir_fail(err, WEIR_INVALID, "a text of %zu bytes is over the limit of %d", text.len,
                         TOKENIZER_TEXT_BYTES_MAX);
    size_t valid = str_utf8_valid(text);
    if (valid != text.len) {
        weir_fail(err, WEIR_INVALID, "the text is not UTF-8 at byte %zu of %zu", valid, text.len);
        if (err != NULL)
            err->value = (int64_t)valid;
        return WEIR_INVALID;
    }
    const struct postprocessor *p = &t->postprocessor;
    size_t before = out->count;
    bool ok = !add_special_tokens || append_ids(out, p->prefix, p->prefix_count);
    bool gave_up = false;
    ok = ok && encode_text(t, text, out, &gave_up);
    ok = ok && (!add_special_tokens || append_ids(out, p->suffix, p->suffix_count));
    if (ok)
        return WEIR_OK;
    out->count = before;
    if (gave_up)
        return weir_fail(err, WEIR_INVALID,
                         "a text of %zu bytes takes a pattern of the tokenizer, or what its "
                         "normalizer makes of it, over their limits",
                         text.len);
    return weir_fail(err, WEIR_NO_MEMORY, "no memory for the tokens of a text of %zu bytes",
                     text.len);
}

bool tokenizer_truncate(const struct tokenizer *t, struct tokens *tokens, size_t start, size_t max,
                        bool front)
{
    const struct postprocessor *p = &t->postprocessor;
    size_t count = tokens->count - start;
    if (count <= max)
        return false;
    if (max >= p->prefix_count + p->suffix_count) {
        const size_t kept = front ? max - p->prefix_count : p->suffix_count; /* of the last ones */
        memmove(tokens->ids + start + max - kept, tokens->ids + tokens->count - kept,
                kept * sizeof(*tokens->ids));
    } else if (max > p->prefix_count) {
        memmove(tokens->ids + start + p->prefix_count,
                tokens->ids + tokens->count - p->suffix_count,
                (max - p->prefix_count) * sizeof(*tokens->ids));
    }
    tokens->count = start + max;
    return true;
}

static enum weir_code decode(const struct tokenizer *t, const int32_t *ids, size_t count,
                             bool skip_special, struct decoder_pieces *pieces,
                             struct weir_error *err)
{
    const struct vocabulary *v = &t->subword.vocabulary;
    for (size_t i = 0; i < count; i++) {
        if (!vocabulary_has(v, ids[i])) {
            weir_fail(err, WEIR_INVALID, "token %zu is %d, which is not in the vocabulary of %zu",
                      i, ids[i], v->size);
            if (err != NULL) {
                err->value = ids[i];
                err->limit = (int64_t)v->size;
            }
            return WEIR_INVALID;
        }
        if (!skip_special || !v->pieces[ids[i]].is_special)
            decoder_pieces_add(pieces, v->pieces[ids[i]].text);
    }
    return WEIR_OK;
}

enum weir_code tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t count,
                                bool skip_special, struct buffer *out, struct weir_error *err)
{
    struct decoder_pieces pieces;
    size_t before = out->len;
    decoder_pieces_init(&pieces, DECODED_GROWTH_MAX * (out->max - out->len) + DECODED_GROWTH_MAX);
    enum weir_code code = decode(t, ids, count, skip_special, &pieces, err);
    if (code == WEIR_OK && !pieces.texts.failed)
        decoder_run(&t->decoder, &pieces, out);
    if (code == WEIR_OK && (out->failed || pieces.texts.failed)) {
        out->len = before;
        code = weir_fail(err, WEIR_INVALID, "the text of %zu tokens is over the limit of %zu bytes",
                         count, out->max);
    }
    decoder_pieces_finish(&pieces);
    return code;
}
