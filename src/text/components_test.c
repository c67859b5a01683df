/* The parts of a tokenizer against the reference library, and against wrong files and texts. What
 * the fixture's lines are is said in tests/fixtures/make_tokenizers.py. */
#include "text/tokenizer.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"
#include "text/utf8.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CASES      WEIR_FIXTURES "/tokenizers/cases.jsonl"
#define FILE_MAX   (64 * 1024 * 1024)
#define CASE_LINES 69
#define CASE_ROWS  500 /* at least */

/* "a" is 1 at the beginning of a word, 2 within one, "b" 3 and 4, and so on. */
static json_t *character_model(struct str characters)
{
    json_t *vocab = json_object();
    json_object_set_new(vocab, "[UNK]", json_integer(0));
    for (size_t at = 0; at < characters.len;) {
        char first[8] = { 0 }, inner[8] = "##";
        size_t start = at, count = json_object_size(vocab);
        utf8_next(characters, &at);
        memcpy(first, characters.data + start, at - start);
        memcpy(inner + 2, characters.data + start, at - start);
        json_object_set_new(vocab, first, json_integer((json_int_t)count));
        json_object_set_new(vocab, inner, json_integer((json_int_t)count + 1));
    }
    return json_pack("{sssssssiso}", "type", "WordPiece", "unk_token", "[UNK]",
                     "continuing_subword_prefix", "##", "max_input_chars_per_word", 10000, "vocab",
                     vocab);
}

static enum weir_code create(json_t *fields, json_t *model, struct tokenizer **out,
                             struct weir_error *err)
{
    json_t *file = json_pack("{ssso}", "version", "1.0", "model", json_deep_copy(model));
    json_object_update(file, fields);
    char *text = json_dumps(file, 0);
    enum weir_code code = tokenizer_create(str_of(text), out, err);
    free(text);
    json_decref(file);
    return code;
}

static void check_encoded(const struct tokenizer *t, const char *name, size_t row, json_t *text,
                          json_t *ids)
{
    struct tokens got = { 0 };
    struct weir_error err;
    struct str in = { json_string_value(text), json_string_length(text) };
    if (tokenizer_encode(t, in, true, &got, &err) != WEIR_OK)
        fail_msg("%s, row %zu: %s", name, row, err.text);
    for (size_t i = 0; i < got.count && i < json_array_size(ids); i++) {
        if (got.ids[i] != json_integer_value(json_array_get(ids, i)))
            fail_msg("%s, row %zu, token %zu is %d, it should be %lld", name, row, i, got.ids[i],
                     (long long)json_integer_value(json_array_get(ids, i)));
    }
    if (got.count != json_array_size(ids))
        fail_msg("%s, row %zu has %zu tokens, it should have %zu", name, row, got.count,
                 json_array_size(ids));
    tokens_finish(&got);
}

static void check_decoded(const struct tokenizer *t, const char *name, size_t row, json_t *ids,
                          json_t *text)
{
    int32_t list[32];
    struct weir_error err;
    struct buffer got;
    size_t count = json_array_size(ids);
    assert_true(count <= ARRAY_COUNT(list));
    for (size_t i = 0; i < count; i++)
        list[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    buffer_init(&got, 1000);
    if (tokenizer_decode(t, list, count, false, &got, &err) != WEIR_OK)
        fail_msg("%s, row %zu: %s", name, row, err.text);
    struct str want = { json_string_value(text), json_string_length(text) };
    if (!str_eq(buffer_view(&got), want))
        fail_msg("%s, row %zu is '%.*s', it should be '%.*s'", name, row, (int)got.len,
                 (const char *)got.data, STR_ARG(want));
    buffer_finish(&got);
}

static size_t check_case(json_t *line, json_t *model)
{
    const char *name = json_string_value(json_object_get(line, "name"));
    json_t *rows = json_object_get(line, "rows"), *row;
    struct tokenizer *t = NULL;
    struct weir_error err;
    size_t i;
    if (create(json_object_get(line, "fields"), model, &t, &err) != WEIR_OK)
        fail_msg("%s: %s", name, err.text);
    json_array_foreach(rows, i, row) {
        json_t *first = json_array_get(row, 0), *second = json_array_get(row, 1);
        if (json_is_array(first))
            check_decoded(t, name, i, first, second);
        else
            check_encoded(t, name, i, first, second);
    }
    tokenizer_destroy(t);
    return json_array_size(rows);
}

static json_t *read_line(struct str *rest)
{
    struct str line;
    str_cut(*rest, '\n', &line, rest);
    json_t *value = json_loadb(line.data, line.len, JSON_ALLOW_NUL, NULL);
    assert_non_null(value);
    return value;
}

static json_t *fixture_model(struct str *rest)
{
    json_t *head = read_line(rest), *characters = json_object_get(head, "characters");
    json_t *model = character_model(
        (struct str){ json_string_value(characters), json_string_length(characters) });
    json_decref(head);
    return model;
}

static void gives_the_ids_and_texts_of_the_reference(void **state)
{
    (void)state;
    struct buffer file;
    size_t lines = 0, rows = 0;
    buffer_init(&file, FILE_MAX);
    assert_int_equal(file_read(CASES, &file, NULL), WEIR_OK);
    struct str rest = buffer_view(&file);
    json_t *model = fixture_model(&rest);
    for (; rest.len > 0; lines++) {
        json_t *line = read_line(&rest);
        rows += check_case(line, model);
        json_decref(line);
    }
    assert_int_equal(lines, CASE_LINES);
    assert_true(rows >= CASE_ROWS);
    json_decref(model);
    buffer_finish(&file);
}

/* Written with ' for ", which JSON can't be confused by here. */
static enum weir_code create_quoted(const char *fields, struct tokenizer **out,
                                    struct weir_error *err)
{
    char *text = mem_copy_text(fields, strlen(fields));
    for (size_t i = 0; text[i] != '\0'; i++)
        text[i] = text[i] == '\'' ? '"' : text[i];
    json_t *object = json_loads(text, 0, NULL), *model = character_model(STR("abcx_ "));
    if (object == NULL)
        fail_msg("%s", text);
    enum weir_code code = create(object, model, out, err);
    json_decref(object);
    json_decref(model);
    mem_free(text);
    return code;
}

#define SPLIT(pattern)                                                                             \
    "{'pre_tokenizer':{'type':'Split','pattern':{'Regex':'" pattern                                \
    "'},'behavior':'Removed','invert':false}}"
#define MAP(text) "{'normalizer':{'type':'Precompiled','precompiled_charsmap':'" text "'}}"
#define IN_REGEX  "pre_tokenizer.pattern.Regex: "
#define FOUR(x)   x "," x "," x "," x

static void refuses_by_name_what_it_does_not_support(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *fields, *says;
    } rows[] = {
        { "{'normalizer':{'type':'Sequence','normalizers':[{'type':'NFC'},{'type':'NFX'}]}}",
          "normalizer.normalizers[1] is of type 'NFX', which is not supported" },
        { "{'normalizer':{'type':'NFC','form':1}}",
          "normalizer has a field 'form' that is not supported" },
        { "{'normalizer':{'type':'Strip','strip_left':true}}",
          "normalizer.strip_right is missing, it must be a boolean" },
        { "{'normalizer':{'type':'Replace','pattern':'a','content':'b'}}",
          "normalizer.pattern is a string, it must be an object" },
        { "{'normalizer':{'type':'Replace','pattern':{'String':''},'content':'b'}}",
          "normalizer.pattern.String has 0 bytes, it must have from 1 to 4096" },
        { "{'normalizer':{'type':'Replace','pattern':{'Regex':'(a'},'content':'b'}}",
          "normalizer.pattern.Regex is a pattern that cannot be compiled: missing closing" },
        { MAP(""), "normalizer.precompiled_charsmap has 0 bytes, a map begins with 4" },
        { MAP("AAA*"), "normalizer.precompiled_charsmap: " },
        { MAP("BAAAAA=="), "normalizer.precompiled_charsmap says that its trie has 4 bytes, "
                           "it must be a multiple of 4 up to 0" },
        { MAP("AwAAAAAAAAA="), "normalizer.precompiled_charsmap says that its trie has 3 bytes" },
        { MAP("AAAAAP8A"),
          "normalizer.precompiled_charsmap: its replacements are not UTF-8 at byte 0" },
        { MAP("AAAAAGE="), "normalizer.precompiled_charsmap: its last replacement has no end" },
        { MAP("BAAAAAEAAIDDqQA="),
          "normalizer.precompiled_charsmap: unit 0 leads into a code point, to byte 1" },
        { "{'pre_tokenizer':{'type':'UnicodeScripts'}}",
          "pre_tokenizer is of type 'UnicodeScripts', which is not supported" },
        { "{'pre_tokenizer':{'type':'Punctuation','behavior':'Gone'}}",
          "pre_tokenizer.behavior is 'Gone', which is not a known behaviour" },
        { "{'pre_tokenizer':{'type':'CharDelimiterSplit','delimiter':'ab'}}",
          "pre_tokenizer.delimiter has 2 characters, it must have one" },
        { "{'pre_tokenizer':{'type':'Metaspace','replacement':'_','prepend_scheme':'last'}}",
          "pre_tokenizer.prepend_scheme is 'last', it must be always, first or never" },
        { "{'pre_tokenizer':{'type':'Metaspace','replacement':'_','prepend_scheme':'first',"
          "'add_prefix_space':false}}",
          "pre_tokenizer.add_prefix_space is false, but prepend_scheme is 'first'" },
        { "{'pre_tokenizer':{'type':'ByteLevel','add_prefix_space':false}}",
          "pre_tokenizer.trim_offsets is missing, it must be a boolean" },
        { "{'pre_tokenizer':{'type':'Sequence','pretokenizers':["
          FOUR(FOUR(FOUR("{'type':'Whitespace'}")))
          "]}}", "pre_tokenizer.pretokenizers[32] is one part more than the limit of 32" },
        { "{'pre_tokenizer':{'type':'Sequence','pretokenizers':["
          "{'type':'Sequence','pretokenizers':["
          "{'type':'Sequence','pretokenizers':[{'type':'Sequence','pretokenizers':["
          "{'type':'Sequence','pretokenizers':[]}]}]}]}]}}",
          "pre_tokenizer.pretokenizers[0].pretokenizers[0].pretokenizers[0].pretokenizers[0] is a "
          "Sequence within 4 others" },
        { SPLIT("\\\\p{Han}"), IN_REGEX "this property is not supported, at byte 0" },
        { SPLIT("[\\\\P{L}]"),
          IN_REGEX "the opposite of a property in brackets is not supported, at byte 1" },
        { SPLIT("[a[b]]"), IN_REGEX "a set within brackets is not supported, at byte 2" },
        { SPLIT("[a&&b]"), IN_REGEX "a set within brackets is not supported, at byte 2" },
        { SPLIT("[]a]"), IN_REGEX "a bracket at the beginning of brackets" },
        { SPLIT("[ab"), IN_REGEX "a set without an end is not supported, at byte 0" },
        { SPLIT("a\\\\b"), IN_REGEX "this escape is not supported, at byte 1" },
        { SPLIT("(a)\\\\1"), IN_REGEX "this escape is not supported, at byte 3" },
        { SPLIT("a(?i)b"), IN_REGEX "this group is not supported, at byte 1" },
        { SPLIT("(?s:.)"), IN_REGEX "this group is not supported, at byte 0" },
        { SPLIT("(*UTF)a"), IN_REGEX "this group is not supported, at byte 0" },
        { SPLIT("a{2}+"), IN_REGEX "this way to repeat is not supported, at byte 1" },
        { SPLIT("a{,2}"), IN_REGEX "this way to repeat is not supported, at byte 1" },
        { SPLIT("a\\\\"), IN_REGEX "a backslash at the end is not supported" },
        { SPLIT("\\\\x{110000}"),
          "pre_tokenizer.pattern.Regex is a pattern that cannot be compiled: " },
        { SPLIT("\\\\xg"), IN_REGEX "this way to write a code point" },
        { "{'post_processor':{'type':'RobertaProcessing','cls':['a',1],'sep':['b',999]}}",
          "post_processor.sep[1] is 999, an id that the vocabulary does not have" },
        { "{'post_processor':{'type':'Sequence','processors':["
          "{'type':'BertProcessing','cls':['a',1],'sep':['b',3]},"
          "{'type':'BertProcessing','cls':['a',1],'sep':['b',3]}]}}",
          "post_processor.processors[1]: 'BertProcessing' around what another processor made is "
          "not supported" },
        { "{'decoder':{'type':'CTC'}}", "decoder is of type 'CTC', which is not supported" },
        { "{'decoder':{'type':'Strip','content':'a','start':-1,'stop':0}}",
          "decoder.start is -1, it must be from 0 to 4096" },
        { "{'decoder':{'type':'BPEDecoder','suffix':''}}", "decoder.suffix is empty" },
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct weir_error err = { 0 };
        struct tokenizer *t = NULL;
        if (create_quoted(rows[i].fields, &t, &err) != WEIR_LOAD_FAILED)
            fail_msg("%s is not refused", rows[i].fields);
        assert_int_equal(err.code, WEIR_LOAD_FAILED);
        if (strncmp(err.text, rows[i].says, strlen(rows[i].says)) != 0)
            fail_msg("%s: \"%s\", it should say \"%s\"", rows[i].fields, err.text, rows[i].says);
        assert_null(t);
    }
}

static struct buffer repeated(const char *part, size_t count)
{
    struct buffer b;
    buffer_init(&b, FILE_MAX);
    for (size_t i = 0; i < count; i++)
        buffer_text(&b, part);
    assert_false(b.failed);
    return b;
}

static void gives_up_on_texts_that_take_a_pattern_too_far(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    struct weir_error err = { 0 };
    struct tokens tokens = { 0 };
    struct buffer text = repeated("a", 60);
    assert_int_equal(create_quoted(SPLIT("(?:(?:a|a)+)+[xy]"), &t, &err), WEIR_OK);
    assert_int_equal(tokenizer_encode(t, STR("aax"), true, &tokens, &err), WEIR_OK);
    assert_int_equal(tokenizer_encode(t, buffer_view(&text), true, &tokens, &err), WEIR_INVALID);
    assert_memory_equal(err.text, "a text of 60 bytes takes a pattern", 34);
    tokens_finish(&tokens);
    buffer_finish(&text);
    tokenizer_destroy(t);
}

static void bounds_what_a_normalizer_makes(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    struct weir_error err = { 0 };
    struct tokens tokens = { 0 };
    struct buffer text = repeated("a", 1000);
    assert_int_equal(
        create_quoted("{'normalizer':{'type':'Sequence','normalizers':["
                      "{'type':'Replace','pattern':{'String':'a'},'content':'aaaaaaaaaa'},"
                      "{'type':'Replace','pattern':{'String':'a'},'content':'aaaaaaaaaa'}]}}",
                      &t, &err),
        WEIR_OK);
    assert_int_equal(tokenizer_encode(t, STR("ab"), true, &tokens, &err), WEIR_OK);
    assert_int_equal(tokens.count, 101);
    assert_int_equal(tokenizer_encode(t, buffer_view(&text), true, &tokens, &err), WEIR_INVALID);
    assert_int_equal(tokens.count, 101);
    tokens_finish(&tokens);
    buffer_finish(&text);
    tokenizer_destroy(t);
}

/* Bytes of a map changed at random: refused, or a map that gives UTF-8. Sanitizers watch. */
static void survives_damaged_maps(void **state)
{
    (void)state;
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buffer file;
    struct rng rng;
    size_t accepted = 0, refused = 0;
    rand_seed(&rng, 7);
    buffer_init(&file, FILE_MAX);
    assert_int_equal(file_read(CASES, &file, NULL), WEIR_OK);
    buffer_u8(&file, 0);
    const char *name = "\"precompiled_charsmap\":\"";
    char *start = strstr((char *)file.data, name) + strlen(name);
    size_t len = strcspn(start, "\"=");
    for (int round = 0; round < 600; round++) {
        struct buffer fields;
        char *map = mem_copy_text(start, len);
        for (int n = 0; n < 8; n++)
            map[rand_below(&rng, len)] = letters[rand_below(&rng, 64)];
        buffer_init(&fields, FILE_MAX);
        buffer_printf(&fields, MAP("%s"), map);
        buffer_u8(&fields, 0);
        struct tokenizer *t = NULL;
        if (create_quoted((const char *)fields.data, &t, NULL) == WEIR_OK) {
            struct tokens tokens = { 0 };
            enum weir_code code =
                tokenizer_encode(t, STR("a\r\nx e\xCC\x81 \xEF\xAC\x81\xE2\x84\xA1 ``\xE3\x8E\x8F"),
                                 true, &tokens, NULL);
            assert_true(code == WEIR_OK || code == WEIR_INVALID);
            tokens_finish(&tokens);
            tokenizer_destroy(t);
            accepted++;
        } else {
            refused++;
        }
        buffer_finish(&fields);
        mem_free(map);
    }
    print_message("%zu maps accepted, %zu refused\n", accepted, refused);
    assert_true(accepted > 50 && refused > 50);
    buffer_finish(&file);
}

/* Each of these would take minutes if its cost grew with the square of its length. */
static void takes_long_hostile_texts(void **state)
{
    (void)state;
    static const char *const files[] = {
        "{'pre_tokenizer':{'type':'ByteLevel','add_prefix_space':true,'trim_offsets':true}}",
        "{'normalizer':{'type':'NFKD'},'pre_tokenizer':{'type':'Metaspace','replacement':'_',"
        "'prepend_scheme':'first'}}",
        "{'normalizer':{'type':'NFC'},'pre_tokenizer':{'type':'Punctuation'}}",
        SPLIT("\\\\s+(?!\\\\S)|\\\\s+|[a-z]+"),
    };
    static const char *const parts[] = { "a",  " ",
                                         "!",  "\xE0\xA3\x94\xCC\xB4\xE0\xA3\xA1",
                                         "\n", "\xE1\x84\x80\xE1\x85\xA1" };
    for (size_t f = 0; f < ARRAY_COUNT(files); f++) {
        struct tokenizer *t = NULL;
        struct weir_error err;
        if (create_quoted(files[f], &t, &err) != WEIR_OK)
            fail_msg("%s: %s", files[f], err.text);
        for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
            struct buffer text = repeated(parts[i], 200000);
            struct tokens tokens = { 0 };
            if (tokenizer_encode(t, buffer_view(&text), true, &tokens, &err) != WEIR_OK)
                fail_msg("%s, text %zu: %s", files[f], i, err.text);
            tokens_finish(&tokens);
            buffer_finish(&text);
        }
        tokenizer_destroy(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_ids_and_texts_of_the_reference),
        cmocka_unit_test(refuses_by_name_what_it_does_not_support),
        cmocka_unit_test(gives_up_on_texts_that_take_a_pattern_too_far),
        cmocka_unit_test(bounds_what_a_normalizer_makes),
        cmocka_unit_test(survives_damaged_maps),
        cmocka_unit_test(takes_long_hostile_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
