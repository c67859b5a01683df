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

static void test_optional_files_may_be_missing(void **state)
{
    struct test_folder f;
    struct encoder_config c;
    struct weir_error err;
    (void)state;
    test_folder_init(&f);
    test_folder_unlink(&f, "modules.json");
    assert_int_equal(read_folder(f.path, 0, &c, NULL), WEIR_OK);
    test_folder_replace(&f, "1_Pooling/config.json", "mean_tokens\": true", "mean_tokens\": false");
    assert_int_equal(read_folder(f.path, 0, &c, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "1_Pooling/config.json"));
    test_folder_unlink(&f, "1_Pooling/config.json");
    assert_int_equal(read_folder(f.path, 0, &c, NULL), WEIR_OK);
    test_folder_finish(&f);
}

/* One change of the fixture, and what the refusal must name. */
struct wrong {
    const char *file, *from, *to, *named;
};

static void test_what_is_refused_is_named(void **state)
{
    static const char config[] = "config.json", modules[] = "modules.json";
    static const char sentence[] = "sentence_bert_config.json";
    static const char pooling[] = "1_Pooling/config.json";
    static const struct wrong rows[] = {
        {config,    "\"bert\"",            "\"roberta\"",                 "roberta"          },
        { config,   "model_type",          "kind",                        "model_type"       },
        { config,   "\"gelu\"",            "\"gelu_new\"",                "gelu_new"         },
        { config,   "\"absolute\"",        "\"alibi\"",                   "alibi"            },
        { config,   "BertModel",           "JinaBertModel",               "JinaBertModel"    },
        { config,   "\"hidden_size\": 32", "\"hidden_size\": 33",         "33"               },
        { config,   "\"hidden_size\": 32", "\"hidden_size\": \"32\"",     "hidden_size"      },
        { config,   "\"hidden_size\": 32", "\"hidden_size\": 1e9",        "hidden_size"      },
        { config,   "\"hidden_size\": 32", "\"hidden_size\": 99999",      "99999"            },
        { config,   "heads\": 4",          "heads\": 2048",               "from 1 to 1024"   },
        { config,   "layers\": 2",         "layers\": 0",                 "num_hidden_layers"},
        { config,   "eps\": 1e-12",        "eps\": -1",                   "layer_norm_eps"   },
        { config,   "\"vocab_size\"",      "\"vocabulary\"",              "vocab_size"       },
        { config,   "{",                   "{\"is_decoder\": true,",      "is_decoder"       },
        { config,   "{",                   "[",                           "config.json"      },
        { sentence, "48",                  "0",                           "max_seq_length"   },
        { sentence, "48",                  "\"48\"",                      "sentence_bert"    },
        { modules,  "models.Normalize",    "models.Dense",                "Dense"            },
        { modules,  "models.Pooling",      "models.Normalize",            "Pooling"          },
        { modules,  "models.Normalize",    "models.Pooling",              "more than one"    },
        { modules,  "\"1_Pooling\"",       "\"../up\"",                   "../up"            },
        { modules,  "\"1_Pooling\"",       "\"/etc\"",                    "/etc"             },
        { modules,  "\"1_Pooling\"",       "\"2_Pooling\"",               "2_Pooling/"       },
        { modules,  "\"1_Pooling\"",       "17",                          "path"             },
        { pooling,  "cls_token\": false",  "cls_token\": true",           "cls_token"        },
        { pooling,  "mean_tokens\": true", "mean_tokens\": false",        "mean_tokens"      },
        { pooling,  "{",                   "{\"pooling_mode\": \"cls\",", "'cls'"            },
        { pooling,  "32",                  "64",                          "embedding_dim"    },
    };
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
        cmocka_unit_test(test_optional_files_may_be_missing),
        cmocka_unit_test(test_what_is_refused_is_named),
        cmocka_unit_test(test_a_missing_folder_and_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
