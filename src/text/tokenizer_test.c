/* The tokenizer against ids of the reference library, and against wrong files and texts. */
#include "text/tokenizer.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY          WEIR_FIXTURES "/tiny_bert/tokenizer.json"
#define FILE_MAX      (64 * 1024 * 1024)
#define CLS           2
#define SEP           3
#define WATER         117
#define WEIR          118
#define OUT_OF_BOUNDS 100000

static struct buffer read_file(const char *path)
{
    struct buffer b;
    struct weir_error err;
    buffer_init(&b, FILE_MAX);
    if (file_read(path, &b, &err) != WEIR_OK)
        fail_msg("%s", err.text);
    return b;
}

static struct tokenizer *open_file(const char *path)
{
    struct buffer b = read_file(path);
    struct tokenizer *t = NULL;
    struct weir_error err;
    if (tokenizer_create(buffer_view(&b), &t, &err) != WEIR_OK)
        fail_msg("%s: %s", path, err.text);
    buffer_finish(&b);
    return t;
}

static int open_tiny(void **state)
{
    *state = open_file(TINY);
    return 0;
}

static int close_tiny(void **state)
{
    tokenizer_destroy(*state);
    return 0;
}

static struct tokens encode(const struct tokenizer *t, struct str text)
{
    struct tokens tokens = { 0 };
    struct weir_error err;
    if (tokenizer_encode(t, text, true, &tokens, &err) != WEIR_OK)
        fail_msg("%s", err.text);
    return tokens;
}

/* One line of a fixture: {"text": …, "ids": […]}. */
static void check_line(const struct tokenizer *t, struct str line, size_t number)
{
    json_t *row = json_loadb(line.data, line.len, JSON_ALLOW_NUL, NULL);
    json_t *text = json_object_get(row, "text"), *ids = json_object_get(row, "ids");
    assert_true(json_is_string(text) && json_is_array(ids));
    struct tokens got =
        encode(t, (struct str){ json_string_value(text), json_string_length(text) });
    size_t want = json_array_size(ids);
    for (size_t i = 0; i < want && i < got.count; i++) {
        if (got.ids[i] != json_integer_value(json_array_get(ids, i)))
            fail_msg("line %zu, token %zu is %d, it should be %lld", number, i, got.ids[i],
                     (long long)json_integer_value(json_array_get(ids, i)));
    }
    if (got.count != want)
        fail_msg("line %zu has %zu tokens, it should have %zu", number, got.count, want);
    tokens_finish(&got);
    json_decref(row);
}

static size_t check_fixture(const struct tokenizer *t, const char *path)
{
    struct buffer b = read_file(path);
    struct str rest = buffer_view(&b), line;
    size_t lines = 0;
    while (rest.len > 0) {
        str_cut(rest, '\n', &line, &rest);
        if (line.len > 0)
            check_line(t, line, ++lines);
    }
    buffer_finish(&b);
    return lines;
}

static void gives_the_ids_of_the_reference(void **state)
{
    assert_int_equal(check_fixture(*state, WEIR_FIXTURES "/tiny_bert/tokens.jsonl"), 21);
}

static void gives_the_ids_of_the_real_model(void **state)
{
    (void)state;
    const char *models = getenv("WEIR_MODELS");
    char *path = file_join(models != NULL ? models : "", "all-MiniLM-L6-v2/tokenizer.json");
    bool there = models != NULL && file_exists(path);
    if (!there) {
        print_message("no all-MiniLM-L6-v2/tokenizer.json below $WEIR_MODELS: 0 texts checked\n");
        mem_free(path);
        skip();
    }
    struct tokenizer *t = open_file(path);
    mem_free(path);
    size_t lines = check_fixture(t, WEIR_FIXTURES "/texts/tokenizer_500.jsonl");
    print_message("%zu texts checked against all-MiniLM-L6-v2\n", lines);
    assert_int_equal(lines, 500);
    assert_int_equal(tokenizer_vocab_size(t), 30522);
    tokenizer_destroy(t);
}

static void knows_its_vocabulary(void **state)
{
    const struct tokenizer *t = *state;
    assert_int_equal(tokenizer_vocab_size(t), 163);
    assert_true(str_eq(tokenizer_piece(t, WATER), STR("water")));
    /* Added behind the model's vocabulary. */
    assert_true(str_eq(tokenizer_piece(t, 161), STR("Mill Pond")));
    assert_int_equal(tokenizer_piece(t, 163).len, 0);
    assert_int_equal(tokenizer_piece(t, -1).len, 0);
}

static void encodes_behind_what_is_there(void **state)
{
    struct tokens tokens = { 0 };
    assert_int_equal(tokenizer_encode(*state, STR("weir"), false, &tokens, NULL), WEIR_OK);
    assert_int_equal(tokens.count, 1);
    assert_int_equal(tokenizer_encode(*state, STR("water"), true, &tokens, NULL), WEIR_OK);
    static const int32_t want[] = { WEIR, CLS, WATER, SEP };
    assert_int_equal(tokens.count, ARRAY_COUNT(want));
    assert_memory_equal(tokens.ids, want, sizeof(want));
    tokens_finish(&tokens);
}

static void refuses_text_that_is_not_utf8(void **state)
{
    static const struct {
        struct str text;
        int64_t offset;
    } rows[] = {
        {{ "\xFF", 1 },                   0},
        { { "ab\x80", 3 },                2},
        { { "\xE4\xBD\xA0\xE4\xBD", 5 },  3},
        { { "a\xC0\x80", 3 },             1},
        { { "abcd\xED\xA0\x80", 7 },      4},
        { { "\xF0\x9F\x98\x80\xF5", 5 },  4},
        { { "[CLS]\xF4\x90\x80\x80", 9 }, 5},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct tokens tokens = { 0 };
        struct weir_error err;
        char where[32];
        assert_int_equal(tokenizer_encode(*state, STR("x"), false, &tokens, &err), WEIR_OK);
        assert_int_equal(tokenizer_encode(*state, rows[i].text, true, &tokens, &err), WEIR_INVALID);
        assert_int_equal(err.value, rows[i].offset);
        snprintf(where, sizeof(where), "at byte %d of", (int)rows[i].offset);
        assert_non_null(strstr(err.text, where));
        assert_int_equal(tokens.count, 1);
        tokens_finish(&tokens);
    }
}

static void truncates_the_text_and_keeps_the_end(void **state)
{
    static const int32_t all[] = { CLS, WATER, WEIR, WATER, SEP };
    static const int32_t four[] = { CLS, WATER, WEIR, SEP }, two[] = { CLS, SEP };
    struct tokens tokens = { 0 };
    assert_int_equal(tokenizer_encode(*state, STR("x"), false, &tokens, NULL), WEIR_OK);
    assert_int_equal(tokenizer_encode(*state, STR("water weir water"), true, &tokens, NULL),
                     WEIR_OK);
    assert_false(tokenizer_truncate(*state, &tokens, 1, 6, false));
    assert_false(tokenizer_truncate(*state, &tokens, 1, 5, false));
    assert_int_equal(tokens.count, 1 + 5);
    assert_memory_equal(tokens.ids + 1, all, sizeof(all));
    assert_true(tokenizer_truncate(*state, &tokens, 1, 4, false));
    assert_int_equal(tokens.count, 1 + 4);
    assert_memory_equal(tokens.ids + 1, four, sizeof(four));
    assert_true(tokenizer_truncate(*state, &tokens, 1, 2, false));
    assert_int_equal(tokens.count, 1 + 2);
    assert_memory_equal(tokens.ids + 1, two, sizeof(two));
    assert_true(tokenizer_truncate(*state, &tokens, 1, 1, false));
    assert_int_equal(tokens.ids[1], CLS);
    assert_true(tokenizer_truncate(*state, &tokens, 1, 0, false));
    assert_int_equal(tokens.count, 1);
    tokens_finish(&tokens);
}

static void truncates_the_front_of_the_text(void **state)
{
    static const int32_t four[] = { CLS, WEIR, WATER, SEP }, two[] = { CLS, SEP };
    struct tokens tokens = { 0 };
    assert_int_equal(tokenizer_encode(*state, STR("x"), false, &tokens, NULL), WEIR_OK);
    assert_int_equal(tokenizer_encode(*state, STR("water weir water"), true, &tokens, NULL),
                     WEIR_OK);
    assert_false(tokenizer_truncate(*state, &tokens, 1, 5, true));
    assert_true(tokenizer_truncate(*state, &tokens, 1, 4, true));
    assert_int_equal(tokens.count, 1 + 4);
    assert_memory_equal(tokens.ids + 1, four, sizeof(four));
    assert_true(tokenizer_truncate(*state, &tokens, 1, 2, true));
    assert_int_equal(tokens.count, 1 + 2);
    assert_memory_equal(tokens.ids + 1, two, sizeof(two));
    assert_true(tokenizer_truncate(*state, &tokens, 1, 1, true));
    assert_int_equal(tokens.count, 1 + 1);
    assert_int_equal(tokens.ids[1], CLS);
    tokens_finish(&tokens);
}

static void check_decoded(const struct tokenizer *t, const char *text, bool skip_special,
                          const char *want)
{
    struct tokens tokens = encode(t, str_of(text));
    struct buffer b;
    buffer_init(&b, 1000);
    assert_int_equal(tokenizer_decode(t, tokens.ids, tokens.count, skip_special, &b, NULL),
                     WEIR_OK);
    buffer_u8(&b, 0);
    assert_string_equal((const char *)b.data, want);
    buffer_finish(&b);
    tokens_finish(&tokens);
}

static void decodes_what_it_encoded(void **state)
{
    check_decoded(*state, "The weir holds water", true, "the weir holds water");
    check_decoded(*state, "unholdable memory", true, "unholdable memory");
    check_decoded(*state, "water , mill . pond ! gate ?", true, "water, mill. pond! gate?");
    check_decoded(*state, "water-gate (old)", true, "water - gate ( old )");
    check_decoded(*state, "the Mill Pond rises", true, "the Mill Pond rises");
    check_decoded(*state, "weir", false, "[CLS] weir [SEP]");
    check_decoded(*state, "", true, "");
    check_decoded(*state, "\xE6\xB0\xB4\xE6\xB1\xA0", true, "\xE6\xB0\xB4 \xE6\xB1\xA0");
}

static void refuses_to_decode_what_is_no_token(void **state)
{
    static const int32_t ids[] = { WATER, OUT_OF_BOUNDS }, below[] = { -1 };
    struct weir_error err;
    struct buffer b;
    buffer_init(&b, 8);
    assert_int_equal(tokenizer_decode(*state, ids, 2, true, &b, &err), WEIR_INVALID);
    assert_string_equal(err.text, "token 1 is 100000, which is not in the vocabulary of 163");
    assert_int_equal(err.value, OUT_OF_BOUNDS);
    assert_int_equal(err.limit, 163);
    assert_int_equal(tokenizer_decode(*state, below, 1, true, &b, &err), WEIR_INVALID);
    assert_int_equal(b.len, 0);
    static const int32_t much[] = { WATER, WATER };
    assert_int_equal(tokenizer_decode(*state, much, 2, true, &b, &err), WEIR_INVALID);
    assert_string_equal(err.text, "the text of 2 tokens is over the limit of 8 bytes");
    buffer_finish(&b);
}

/* The tiny file with some of its fields replaced; of `model` only what `fields` names. */
static enum weir_code create_changed(const char *fields, struct tokenizer **out,
                                     struct weir_error *err)
{
    json_error_t why;
    json_t *root = json_load_file(TINY, 0, &why), *change = json_loads(fields, 0, &why);
    if (root == NULL || change == NULL)
        fail_msg("%s: %s", fields, why.text);
    json_object_update_recursive(root, change);
    const char *key;
    json_t *value;
    json_object_foreach(change, key, value) {
        if (strcmp(key, "model") != 0)
            json_object_set(root, key, value);
    }
    char *text = json_dumps(root, 0);
    enum weir_code code = tokenizer_create(str_of(text), out, err);
    free(text);
    json_decref(root);
    json_decref(change);
    return code;
}

#define TOKEN(id, content)                                                                         \
    "{'id':" id ",'content':'" content "','single_word':false,'lstrip':false,'rstrip':false,"      \
    "'normalized':true,'special':false}"

/* Written with ' for ", which JSON can't be confused by here. */
static void with_quotes(const char *fields, char *out, size_t size)
{
    assert_true(strlen(fields) < size);
    size_t i = 0;
    for (; fields[i] != '\0'; i++)
        out[i] = fields[i] == '\'' ? '"' : fields[i];
    out[i] = '\0';
}

static void refuses_by_name_what_it_does_not_support(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *fields, *says;
    } rows[] = {
        { "{'version':'2.0'}", "version '2.0' is not supported, only '1.0' is" },
        { "{'normalizer':7}", "normalizer is an integer, it must be an object" },
        { "{'normalizer':{'type':'NFKX'}}",
          "normalizer is of type 'NFKX', which is not supported" },
        { "{'normalizer':{'type':'BertNormalizer','clean_text':1}}",
          "normalizer.clean_text is an integer, it must be a boolean" },
        { "{'normalizer':{'type':'BertNormalizer','fold':1}}",
          "normalizer has a field 'fold' that is not supported" },
        { "{'normalizer':{'type':'Sequence','normalizers':[{'type':'NFX'}]}}",
          "normalizer.normalizers[0] is of type 'NFX', which is not supported" },
        { "{'normalizer':{'type':'Sequence','normalizers':[{}]}}",
          "normalizer.normalizers[0].type is missing, it must be a string" },
        { "{'pre_tokenizer':{'type':'Delimiter'}}",
          "pre_tokenizer is of type 'Delimiter', which is not supported" },
        { "{'pre_tokenizer':{}}", "pre_tokenizer.type is missing, it must be a string" },
        { "{'model':{'type':'WordLevel'}}",
          "model is of type 'WordLevel', which is not supported" },
        { "{'model':7}", "model is an integer, it must be an object" },
        { "{'model':{'unk_token':'[WHAT]'}}", "model.unk_token '[WHAT]' is not in model.vocab" },
        { "{'model':{'max_input_chars_per_word':-1}}",
          "model.max_input_chars_per_word is -1, it must be from 0 to 10000" },
        { "{'model':{'vocab':{'weir':1.5}}}",
          "model.vocab.weir is a fraction, it must be an integer" },
        { "{'model':{'vocab':{'new piece':4294967296}}}",
          "model.vocab.new piece is 4294967296, in a list of 1783 bytes it must be from 0 to "
          "67319" },
        { "{'model':{'vocab':{'new piece':4194303}}}",
          "model.vocab.new piece is 4194303, in a list of 1780 bytes it must be from 0 to 67316" },
        { "{'added_tokens':[" TOKEN("4194303", "new") "]}",
          "added_tokens[0].id is 4194303, it must be from 0 to 67294" },
        { "{'model':{'vocab':{'new piece':2}}}",
          "model.vocab: id 2 is that of '[CLS]' and of 'new piece'" },
        { "{'post_processor':{'type':'AlbertProcessing'}}",
          "post_processor is of type 'AlbertProcessing', which is not supported" },
        { "{'post_processor':{'type':'BertProcessing','cls':['[CLS]',2],'sep':['[SEP]',9999]}}",
          "post_processor.sep[1] is 9999, an id that the vocabulary does not have" },
        { "{'post_processor':{'type':'TemplateProcessing','special_tokens':{},'single':[]}}",
          "post_processor.single does not name sequence A" },
        { "{'post_processor':{'type':'TemplateProcessing','special_tokens':{},"
          "'single':[{'Sequence':{'id':'B','type_id':0}}]}}",
          "post_processor.single[0].Sequence: the template of one text must name sequence A once" },
        { "{'post_processor':{'type':'TemplateProcessing','special_tokens':{},"
          "'single':[{'Sequence':{'id':'A','type_id':1}}]}}",
          "post_processor.single[0].Sequence.type_id is 1, it must be from 0 to 0" },
        { "{'post_processor':{'type':'TemplateProcessing','special_tokens':{},"
          "'single':[{'SpecialToken':{'id':'[X]','type_id':0}}]}}",
          "post_processor.special_tokens.[X].ids is missing, it must be an array" },
        { "{'decoder':{'type':'CTC'}}", "decoder is of type 'CTC', which is not supported" },
        { "{'added_tokens':{}}", "added_tokens is an object, it must be an array" },
        { "{'added_tokens':[{'id':1}]}",
          "added_tokens[0].content is missing, it must be a string" },
        { "{'added_tokens':[" TOKEN("7", "[CLS]") "]}",
          "added_tokens[0].id of '[CLS]' is 7, the vocabulary says 2" },
        { "{'added_tokens':[" TOKEN("2", "other") "]}",
          "added_tokens[0]: id 2 is that of '[CLS]' and of 'other'" },
        { "{'added_tokens':[" TOKEN("200", "") "]}",
          "added_tokens[0].content has 0 bytes, it must have from 1 to 4096" },
        { "{'added_tokens':[" TOKEN("200", "Same") "," TOKEN("201", "SAME") "]}",
          "added_tokens[1] has the same name as added_tokens[0]" },
        { "{'added_tokens':[" TOKEN("200", "\\u200b") "]}",
          "added_tokens[0]: nothing is left of its name when normalised" },
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char fields[600];
        struct weir_error err = { 0 };
        struct tokenizer *t = NULL;
        with_quotes(rows[i].fields, fields, sizeof(fields));
        if (create_changed(fields, &t, &err) != WEIR_LOAD_FAILED)
            fail_msg("%s is not refused", fields);
        assert_int_equal(err.code, WEIR_LOAD_FAILED);
        if (strncmp(err.text, rows[i].says, strlen(rows[i].says)) != 0)
            fail_msg("%s: \"%s\", it should say \"%s\"", fields, err.text, rows[i].says);
        assert_null(t);
    }
}

static void accepts_other_ways_to_say_the_same(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{'post_processor':{'type':'BertProcessing','cls':['[CLS]',2],'sep':['[SEP]',3]}}",
        "{'normalizer':{'type':'Sequence','normalizers':[{'type':'BertNormalizer',"
        "'clean_text':true,'handle_chinese_chars':true,'strip_accents':true,'lowercase':true}]}}",
        "{'pre_tokenizer':{'type':'Sequence','pretokenizers':[{'type':'BertPreTokenizer'}]}}",
        "{'decoder':{'type':'Sequence','decoders':[{'type':'WordPiece','prefix':'##',"
        "'cleanup':true}]}}",
        "{'padding':{'strategy':{'Fixed':128}},'truncation':{'max_length':1}}",
        "{'version':'1.0','something_else':1}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char fields[600];
        struct weir_error err;
        struct tokenizer *t = NULL;
        with_quotes(rows[i], fields, sizeof(fields));
        if (create_changed(fields, &t, &err) != WEIR_OK)
            fail_msg("%s: %s", fields, err.text);
        assert_int_equal(check_fixture(t, WEIR_FIXTURES "/tiny_bert/tokens.jsonl"), 21);
        tokenizer_destroy(t);
    }
}

/* Files from before 2021 do not say that their model is a WordPiece. */
static void accepts_a_model_without_a_type(void **state)
{
    (void)state;
    json_t *root = json_load_file(TINY, 0, NULL);
    assert_int_equal(json_object_del(json_object_get(root, "model"), "type"), 0);
    char *text = json_dumps(root, 0);
    struct tokenizer *t = NULL;
    assert_int_equal(tokenizer_create(str_of(text), &t, NULL), WEIR_OK);
    assert_int_equal(check_fixture(t, WEIR_FIXTURES "/tiny_bert/tokens.jsonl"), 21);
    tokenizer_destroy(t);
    free(text);
    json_decref(root);
}

static void follows_the_switches_of_the_normalizer(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    char fields[300];
    with_quotes("{'normalizer':{'type':'BertNormalizer','clean_text':false,"
                "'handle_chinese_chars':false,'strip_accents':null,'lowercase':false}}",
                fields, sizeof(fields));
    assert_int_equal(create_changed(fields, &t, NULL), WEIR_OK);
    const struct {
        struct str text;
        int32_t id; /* between CLS and SEP */
    } rows[] = {
        {STR("weir"),                      WEIR},
        { STR("Weir"),                     1   }, /* not lower case */
        { STR("w\xC3\xA9ir"),              1   }, /* keeps its accent */
        { STR("we\0ir"),                   1   }, /* keeps its control character */
        { STR("\xE6\xB0\xB4\xE6\xB1\xA0"), 1   }, /* ideographs stay one word */
        { STR("\xE3\x80\x80weir\xC2\xA0"), WEIR},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct tokens tokens = encode(t, rows[i].text);
        assert_int_equal(tokens.count, 3);
        assert_int_equal(tokens.ids[1], rows[i].id);
        tokens_finish(&tokens);
    }
    tokenizer_destroy(t);
}

static void refuses_what_is_not_json(void **state)
{
    (void)state;
    struct buffer file = read_file(TINY), deep;
    struct tokenizer *t = NULL;
    struct weir_error err;
    /* Without its last brace and the line's end every part of the file is half an object. */
    for (size_t len = 0; len + 2 <= file.len; len += 13) {
        struct str part = { (const char *)file.data, len };
        assert_int_equal(tokenizer_create(part, &t, &err), WEIR_LOAD_FAILED);
        assert_memory_equal(err.text, "not JSON", 8);
    }
    buffer_init(&deep, FILE_MAX);
    for (int i = 0; i < 200000; i++)
        buffer_text(&deep, i % 2 ? "[" : "{\"model\":");
    assert_int_equal(tokenizer_create(buffer_view(&deep), &t, &err), WEIR_LOAD_FAILED);
    assert_int_equal(tokenizer_create(STR("[]"), &t, &err), WEIR_LOAD_FAILED);
    assert_string_equal(err.text, "model is missing, it must be an object");
    assert_int_equal(tokenizer_create(STR("{\"model\":{},\"model\":{}}"), &t, &err),
                     WEIR_LOAD_FAILED);
    assert_int_equal(tokenizer_create((struct str){ NULL, 0 }, &t, &err), WEIR_LOAD_FAILED);
    assert_null(t);
    buffer_finish(&deep);
    buffer_finish(&file);
}

/* Bytes of the file changed at random: refused, or a tokenizer that works. Sanitizers watch. */
static void survives_damaged_files(void **state)
{
    (void)state;
    struct buffer file = read_file(TINY);
    struct rng rng;
    size_t accepted = 0, refused = 0;
    rand_seed(&rng, 5);
    for (int round = 0; round < 1500; round++) {
        static const char bytes[] = "\"\"{}[],:0123456789truefalse \\\xC3\xFF#a";
        char *copy = mem_copy_text((const char *)file.data, file.len);
        for (uint64_t n = rand_below(&rng, 3); n < 3; n++)
            copy[rand_below(&rng, file.len)] = bytes[rand_below(&rng, sizeof(bytes))];
        struct tokenizer *t = NULL;
        struct weir_error err;
        if (tokenizer_create((struct str){ copy, file.len }, &t, &err) == WEIR_OK) {
            struct tokens tokens = encode(t, STR("The w\xC3\xA9ir, [MASK] mill pond \xE6\xB0\xB4"));
            accepted++;
            tokens_finish(&tokens);
            tokenizer_destroy(t);
        } else {
            assert_true(err.text[0] != '\0');
            refused++;
        }
        mem_free(copy);
    }
    assert_true(accepted > 50 && refused > 50);
    buffer_finish(&file);
}

/* Each of these would take minutes if its cost grew with the square of its length. */
static void takes_long_hostile_texts(void **state)
{
    static const struct {
        const char *part;
        size_t each, more; /* tokens of a part, tokens besides */
    } rows[] = {
        {"a",                                             0, 3},
        { "\xE0\xA3\x94\xCC\xB4\xE3\x80\xAE\xE0\xA3\xA1", 0, 3}, /* marks out of order */
        { "[",                                            1, 2},
        { "[MASK",                                        5, 2},
        { "Mill Pon ",                                    4, 2},
        { " ",                                            0, 2},
        { "\xE6\xB0\xB4",                                 1, 2},
    };
    const size_t parts = 400000;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buffer b;
        buffer_init(&b, FILE_MAX);
        for (size_t n = 0; n < parts; n++)
            buffer_text(&b, rows[i].part);
        struct tokens tokens = encode(*state, buffer_view(&b));
        assert_int_equal(tokens.count, rows[i].each * parts + rows[i].more);
        tokens_finish(&tokens);
        buffer_finish(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_the_ids_of_the_reference, open_tiny, close_tiny),
        cmocka_unit_test(gives_the_ids_of_the_real_model),
        cmocka_unit_test_setup_teardown(knows_its_vocabulary, open_tiny, close_tiny),
        cmocka_unit_test_setup_teardown(encodes_behind_what_is_there, open_tiny, close_tiny),
        cmocka_unit_test_setup_teardown(refuses_text_that_is_not_utf8, open_tiny, close_tiny),
        cmocka_unit_test_setup_teardown(truncates_the_text_and_keeps_the_end, open_tiny,
                                        close_tiny),
        cmocka_unit_test_setup_teardown(truncates_the_front_of_the_text, open_tiny, close_tiny),
        cmocka_unit_test_setup_teardown(decodes_what_it_encoded, open_tiny, close_tiny),
        cmocka_unit_test_setup_teardown(refuses_to_decode_what_is_no_token, open_tiny, close_tiny),
        cmocka_unit_test(refuses_by_name_what_it_does_not_support),
        cmocka_unit_test(accepts_other_ways_to_say_the_same),
        cmocka_unit_test(accepts_a_model_without_a_type),
        cmocka_unit_test(follows_the_switches_of_the_normalizer),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(survives_damaged_files),
        cmocka_unit_test_setup_teardown(takes_long_hostile_texts, open_tiny, close_tiny),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
