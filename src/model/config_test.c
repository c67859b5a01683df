#include "model/config.h"

#include "model/test_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static enum weir_code read_folder(const char *path, uint32_t context, struct encoder_config *out,
                                  struct weir_error *err)
{
    struct folder f;
    folder_init(&f, path);
    enum weir_code code = config_read(&f, context, out, err);
    folder_finish(&f);
    return code;
}

static void test_the_fixture(void **state)
{
    struct encoder_config c;
    (void)state;
    assert_int_equal(read_folder(WEIR_FIXTURES "/tiny_bert", 0, &c, NULL), WEIR_OK);
    assert_int_equal(c.hidden, 32);
    assert_int_equal(c.layers, 2);
    assert_int_equal(c.heads, 4);
    assert_int_equal(c.intermediate, 64);
    assert_int_equal(c.positions, 64);
    assert_int_equal(c.types, 2);
    assert_int_equal(c.position_offset, 0);
    assert_int_equal(c.relative_buckets, 0);
    assert_int_equal(c.activation, ACTIVATION_GELU);
    assert_string_equal(c.kind->name, "bert");
    assert_true(c.vocab >= 256);
    assert_true(c.eps == 1e-12f);
    assert_int_equal(c.tokens_max, 48);
}

static void test_the_limit_of_an_input(void **state)
{
    struct test_folder f;
    struct encoder_config c;
    struct weir_error err;
    (void)state;
    test_folder_init(&f);
    assert_int_equal(read_folder(f.path, 60, &c, NULL), WEIR_OK);
    assert_int_equal(c.tokens_max, 60);
    assert_int_equal(read_folder(f.path, 5, &c, NULL), WEIR_OK);
    assert_int_equal(c.tokens_max, 5);
    assert_int_equal(read_folder(f.path, 100000, &c, NULL), WEIR_OK);
    assert_int_equal(c.tokens_max, 64);
    test_folder_replace(&f, "sentence_bert_config.json", "48", "4096");
    assert_int_equal(read_folder(f.path, 0, &c, NULL), WEIR_OK);
    assert_int_equal(c.tokens_max, 64);
    test_folder_replace(&f, "sentence_bert_config.json", "4096", "null");
    assert_int_equal(read_folder(f.path, 0, &c, NULL), WEIR_OK);
    assert_int_equal(c.tokens_max, 64);
    test_folder_write(&f, "sentence_bert_config.json", "[]", 2);
    assert_int_equal(read_folder(f.path, 0, &c, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "'sentence_bert_config.json'"));
    test_folder_unlink(&f, "sentence_bert_config.json");
    assert_int_equal(read_folder(f.path, 0, &c, NULL), WEIR_OK);
    assert_int_equal(c.tokens_max, 64);
    test_folder_finish(&f);
}

/* Without the library's own file the tokenizer's says the length, if it says one at all. */
static void test_the_limit_of_the_tokenizer(void **state)
{
    static const struct {
        const char *text;
        uint32_t tokens_max;
    } rows[] = {
        {"{\"model_max_length\": 40}",                               40},
        { "{\"model_max_length\": 1000000000000000019884624838656}", 64},
        { "{\"model_max_length\": 1e30}",                            64},
        { "{\"model_max_length\": null}",                            64},
        { "{\"model_max_length\": 0}",                               64},
        { "{}",                                                      64},
    };
    struct test_folder f;
    struct encoder_config c;
    (void)state;
    test_folder_init(&f);
    test_folder_write(&f, "tokenizer_config.json", rows[0].text, strlen(rows[0].text));
    assert_int_equal(read_folder(f.path, 0, &c, NULL), WEIR_OK);
    assert_int_equal(c.tokens_max, 48);
    test_folder_unlink(&f, "sentence_bert_config.json");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        test_folder_write(&f, "tokenizer_config.json", rows[i].text, strlen(rows[i].text));
        assert_int_equal(read_folder(f.path, 0, &c, NULL), WEIR_OK);
        assert_int_equal(c.tokens_max, rows[i].tokens_max);
    }
    /* Older libraries named their file by the architecture. */
    test_folder_write(&f, "sentence_roberta_config.json", "{\"max_seq_length\": 31}", 22);
    assert_int_equal(read_folder(f.path, 0, &c, NULL), WEIR_OK);
    assert_int_equal(c.tokens_max, 31);
    test_folder_unlink(&f, "sentence_roberta_config.json");
    test_folder_unlink(&f, "tokenizer_config.json");
    test_folder_finish(&f);
}

static void test_the_kinds(void **state)
{
    static const struct {
        const char *folder, *kind;
        uint32_t hidden, heads, positions, offset, types, buckets;
        float eps;
        enum activation activation;
    } rows[] = {
        {"bert_shards",        "bert",        20, 4, 36,  0, 2, 0,  1e-5f,  ACTIVATION_GELU_TANH},
        { "distilbert_all",    "distilbert",  16, 4, 50,  0, 0, 0,  1e-12f, ACTIVATION_RELU     },
        { "roberta_last",      "roberta",     28, 4, 40,  2, 1, 0,  1e-5f,  ACTIVATION_GELU     },
        { "roberta_sqrt",      "roberta",     30, 5, 36,  4, 1, 0,  1e-5f,  ACTIVATION_GELU_TANH},
        { "xlm_roberta_dense", "xlm-roberta", 22, 2, 36,  2, 1, 0,  1e-5f,  ACTIVATION_GELU     },
        { "mpnet_mean",        "mpnet",       18, 2, 178, 2, 0, 32, 1e-5f,  ACTIVATION_GELU     },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct encoder_config c;
        char *path = file_join(WEIR_FIXTURES "/encoders", rows[i].folder);
        assert_int_equal(read_folder(path, 0, &c, NULL), WEIR_OK);
        assert_string_equal(c.kind->name, rows[i].kind);
        assert_int_equal(c.hidden, rows[i].hidden);
        assert_int_equal(c.heads, rows[i].heads);
        assert_int_equal(c.positions, rows[i].positions);
        assert_int_equal(c.tokens_max, rows[i].positions);
        assert_int_equal(c.position_offset, rows[i].offset);
        assert_int_equal(c.types, rows[i].types);
        assert_int_equal(c.relative_buckets, rows[i].buckets);
        assert_true(c.eps == rows[i].eps);
        assert_int_equal(c.activation, rows[i].activation);
        mem_free(path);
    }
}

/* One change of the fixture, and what the refusal must name. */
struct wrong {
    const char *file, *from, *to, *named;
};

static void test_what_is_refused_is_named(void **state)
{
    static const char config[] = "config.json";
    static const char sentence[] = "sentence_bert_config.json";
    /* A column as wide as its widest text does not fit. */
    /* clang-format off */
    static const struct wrong rows[] = {
        { config, "\"bert\"", "\"albert\"", "albert" },
        { config, "\"bert\"", "\"albert\"", "distilbert, roberta, xlm-roberta, mpnet" },
        { config, "\"bert\"", "\"roberta\"", "BertModel" },
        { config, "model_type", "kind", "model_type" },
        { config, "\"gelu\"", "\"swish\"", "hidden_act 'swish'" },
        { config, "hidden_act", "activation", "hidden_act" },
        { config, "\"absolute\"", "\"alibi\"", "alibi" },
        { config, "BertModel", "JinaBertModel", "JinaBertModel" },
        { config, "\"hidden_size\": 32", "\"hidden_size\": 33", "33" },
        { config, "\"hidden_size\": 32", "\"hidden_size\": \"32\"", "hidden_size" },
        { config, "\"hidden_size\": 32", "\"hidden_size\": 1e9", "hidden_size" },
        { config, "\"hidden_size\": 32", "\"hidden_size\": 99999", "99999" },
        { config, "heads\": 4", "heads\": 2048", "from 1 to 1024" },
        { config, "layers\": 2", "layers\": 0", "num_hidden_layers" },
        { config, "eps\": 1e-12", "eps\": -1", "layer_norm_eps" },
        { config, "\"vocab_size\"", "\"vocabulary\"", "vocab_size" },
        { config, "{", "{\"is_decoder\": true,", "is_decoder" },
        { config, "{", "{\"pruned_heads\": {\"0\": [1]},", "pruned_heads" },
        { config, "{", "{\"quantization_config\": {\"bits\": 4},", "quantization_config" },
        { config, "{", "[", "config.json" },
        { sentence, "48", "0", "max_seq_length" },
        { sentence, "48", "\"48\"", "sentence_bert" },
        { sentence, "false", "\"no\"", "do_lower_case" },
        { sentence, "{", "{\"transformer_task\": \"fill-mask\",", "transformer_task" },
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct test_folder f;
        struct encoder_config c;
        struct weir_error err;
        test_folder_init(&f);
        test_folder_replace(&f, rows[i].file, rows[i].from, rows[i].to);
        enum weir_code code = read_folder(f.path, 0, &c, &err);
        if (code != WEIR_LOAD_FAILED)
            fail_msg("%s with %s: code %d", rows[i].file, rows[i].to, code);
        if (strstr(err.text, rows[i].named) == NULL)
            fail_msg("%s with %s: '%s' does not name '%s'", rows[i].file, rows[i].to, err.text,
                     rows[i].named);
        assert_int_equal(read_folder(f.path, 0, &c, NULL), WEIR_LOAD_FAILED);
        test_folder_finish(&f);
    }
}

/* What only other kinds have, on their own fixtures. */
static void test_places_and_buckets_are_checked(void **state)
{
    /* A column as wide as its widest text does not fit. */
    /* clang-format off */
    static const struct {
        const char *folder, *from, *to, *named;
    } rows[] = {
        { "roberta_sqrt", "\"pad_token_id\": 3", "\"pad_token_id\": -1", "pad_token_id is -1" },
        { "roberta_sqrt", "token_id\": 3", "token_id\": null", "pad_token_id is null" },
        { "roberta_sqrt", "token_id\": 3", "token_id\": 39", "the first 40 are no token" },
        { "mpnet_mean", "buckets\": 32", "buckets\": 16", "relative_attention_num_buckets" },
        { "distilbert_all", "\"dim\"", "\"hidden_size\"", "dim" },
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct test_folder f;
        struct encoder_config c;
        struct weir_error err;
        char *path = file_join(WEIR_FIXTURES "/encoders", rows[i].folder);
        struct buffer text = test_folder_read(path, "config.json");
        test_folder_init(&f);
        test_folder_write(&f, "config.json", text.data, text.len);
        test_folder_replace(&f, "config.json", rows[i].from, rows[i].to);
        assert_int_equal(read_folder(f.path, 0, &c, &err), WEIR_LOAD_FAILED);
        if (strstr(err.text, rows[i].named) == NULL)
            fail_msg("%s: '%s' does not name '%s'", rows[i].folder, err.text, rows[i].named);
        buffer_finish(&text);
        mem_free(path);
        test_folder_finish(&f);
    }
}

/* Jansson goes so deep and no deeper. */
static void test_deep_json_is_refused(void **state)
{
    struct test_folder f;
    struct encoder_config c;
    struct weir_error err;
    static char deep[100000];
    (void)state;
    memset(deep, '[', sizeof(deep));
    test_folder_init(&f);
    test_folder_write(&f, "config.json", deep, sizeof(deep));
    assert_int_equal(read_folder(f.path, 0, &c, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "'config.json' is not valid JSON: maximum parsing depth"));
    test_folder_finish(&f);
}

static void test_a_missing_folder_and_file(void **state)
{
    struct test_folder f;
    struct encoder_config c;
    struct weir_error err;
    (void)state;
    assert_int_equal(read_folder("/nowhere/at/all", 0, &c, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    test_folder_init(&f);
    test_folder_unlink(&f, "config.json");
    assert_int_equal(read_folder(f.path, 0, &c, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "config.json"));
    test_folder_finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_fixture),
        cmocka_unit_test(test_the_limit_of_an_input),
        cmocka_unit_test(test_the_limit_of_the_tokenizer),
        cmocka_unit_test(test_the_kinds),
        cmocka_unit_test(test_what_is_refused_is_named),
        cmocka_unit_test(test_places_and_buckets_are_checked),
        cmocka_unit_test(test_deep_json_is_refused),
        cmocka_unit_test(test_a_missing_folder_and_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
