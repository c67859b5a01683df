#include "text/bert_vocab.h"

#include "base/check.h"
#include "text/vocabulary.h"

#define WORD_CHARS_MAX 100
#define INNER_PREFIX   "##"

enum { UNK, CLS, SEP, PAD, MASK, NAMES };

static const struct {
    const char *name;
    bool is_needed;
} names[NAMES] = {
    [UNK] = {"[UNK]",   true },
      [CLS] = { "[CLS]",  true },
      [SEP] = { "[SEP]",  true },
    [PAD] = { "[PAD]",  false},
      [MASK] = { "[MASK]", false},
};

/* Of lines that are alike the last counts; -1 where there is none. */
static void find_names(struct str rest, json_int_t ids[NAMES])
{
    for (size_t i = 0; i < NAMES; i++)
        ids[i] = -1;
    for (json_int_t id = 0; rest.len > 0; id++) {
        struct str line = vocabulary_line(&rest);
        for (size_t i = 0; i < NAMES; i++) {
            if (str_eq(line, str_of(names[i].name)))
                ids[i] = id;
        }
    }
}

static json_t *added_tokens(const json_int_t ids[NAMES])
{
    json_t *list = json_array();
    for (size_t i = 0; i < NAMES; i++) {
        if (ids[i] >= 0)
            json_array_append_new(list, json_pack("{sI ss sb sb sb sb sb}", "id", ids[i], "content",
                                                  names[i].name, "special", 1, "single_word", 0,
                                                  "lstrip", 0, "rstrip", 0, "normalized", 0));
    }
    return list;
}

static json_t *model(void)
{
    return json_pack("{ss ss ss si s{}}", "type", "WordPiece", "unk_token", names[UNK].name,
                     "continuing_subword_prefix", INNER_PREFIX, "max_input_chars_per_word",
                     WORD_CHARS_MAX, "vocab");
}

static json_t *normalizer(bool lowercase)
{
    return json_pack("{ss sb sb sn sb}", "type", "BertNormalizer", "clean_text", 1,
                     "handle_chinese_chars", 1, "strip_accents", "lowercase", (int)lowercase);
}

static json_t *postprocessor(const json_int_t ids[NAMES])
{
    return json_pack("{ss s[sI] s[sI]}", "type", "BertProcessing", "cls", names[CLS].name, ids[CLS],
                     "sep", names[SEP].name, ids[SEP]);
}

static json_t *decoder(void)
{
    return json_pack("{ss ss sb}", "type", "WordPiece", "prefix", INNER_PREFIX, "cleanup", 1);
}

enum weir_code bert_vocab_read(struct str text, bool lowercase, json_t **out_document,
                               struct lists *out_lists, struct weir_error *err)
{
    json_int_t ids[NAMES];
    find_names(text, ids);
    for (size_t i = 0; i < NAMES; i++) {
        if (names[i].is_needed && ids[i] < 0)
            return weir_fail(err, WEIR_LOAD_FAILED, "no line is %s, which BERT needs",
                             names[i].name);
    }
    *out_lists = (struct lists){ .vocab = text, .vocab_is_lines = true };
    *out_document = json_pack("{so so so so so so}", "model", model(), "added_tokens",
                              added_tokens(ids), "normalizer", normalizer(lowercase),
                              "pre_tokenizer", json_pack("{ss}", "type", "BertPreTokenizer"),
                              "post_processor", postprocessor(ids), "decoder", decoder());
    CHECK(*out_document != NULL);
    return WEIR_OK;
}
