#include "model/modules.h"

#include "model/test_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { HIDDEN = 32 };

static enum weir_code read_folder(const char *path, uint32_t hidden, struct modules *out,
                                  struct weir_error *err)
{
    struct folder f;
    folder_init(&f, path);
    enum weir_code code = modules_read(&f, hidden, out, err);
    folder_finish(&f);
    return code;
}

static void test_the_usual_modules(void **state)
{
    struct modules m;
    (void)state;
    assert_int_equal(read_folder(WEIR_FIXTURES "/tiny_bert", HIDDEN, &m, NULL), WEIR_OK);
    assert_int_equal(m.pooling_count, 1);
    assert_int_equal(m.poolings[0], POOLING_MEAN);
    assert_true(m.pools_prompt);
    assert_int_equal(m.count, 1);
    assert_int_equal(m.list[0].kind, MODULE_NORMALIZE);
    assert_int_equal(m.dim, HIDDEN);
}

static void test_dense_modules_in_their_order(void **state)
{
    static const char folder[] = WEIR_FIXTURES "/encoders/xlm_roberta_dense";
    static const enum module_kind kinds[] = { MODULE_DENSE, MODULE_NORMALIZE, MODULE_DENSE,
                                              MODULE_DENSE };
    struct modules m;
    (void)state;
    assert_int_equal(read_folder(folder, 22, &m, NULL), WEIR_OK);
    assert_int_equal(m.count, ARRAY_COUNT(kinds));
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        assert_int_equal(m.list[i].kind, kinds[i]);
    assert_int_equal(m.poolings[0], POOLING_CLS);
    assert_string_equal(m.list[0].folder, "2_Dense");
    assert_int_equal(m.list[0].activation, DENSE_GELU);
    assert_false(m.list[0].has_bias);
    assert_int_equal(m.list[2].depth, 40);
    assert_int_equal(m.list[2].activation, DENSE_RELU);
    assert_true(m.list[2].has_bias);
    assert_int_equal(m.list[3].activation, DENSE_NONE);
    assert_int_equal(m.dim, 17);
    assert_int_equal(m.dim_most, 40);
}

/* Flags stand one after another in an order of their own, names in that of their list. */
static void test_several_poolings(void **state)
{
    static const enum pooling flags[] = { POOLING_CLS, POOLING_MAX, POOLING_MEAN, POOLING_MEAN_SQRT,
                                          POOLING_LAST };
    static const enum pooling names[] = { POOLING_MEAN, POOLING_MAX, POOLING_MEAN };
    struct modules m;
    (void)state;
    assert_int_equal(read_folder(WEIR_FIXTURES "/encoders/distilbert_all", 16, &m, NULL), WEIR_OK);
    assert_int_equal(m.pooling_count, ARRAY_COUNT(flags));
    assert_memory_equal(m.poolings, flags, sizeof(flags));
    assert_int_equal(m.dim, 80);
    assert_false(m.pools_prompt);
    assert_int_equal(read_folder(WEIR_FIXTURES "/encoders/mpnet_list", 32, &m, NULL), WEIR_OK);
    assert_int_equal(m.pooling_count, ARRAY_COUNT(names));
    assert_memory_equal(m.poolings, names, sizeof(names));
    assert_int_equal(m.count, 0);
    assert_int_equal(m.dim, 96);
}

static void test_files_that_may_be_missing(void **state)
{
    struct test_folder f;
    struct modules m;
    struct weir_error err;
    (void)state;
    test_folder_init(&f);
    test_folder_unlink(&f, "modules.json");
    test_folder_replace(&f, "1_Pooling/config.json", "mean_tokens\": true", "mean_tokens\": false");
    test_folder_replace(&f, "1_Pooling/config.json", "max_tokens\": false", "max_tokens\": true");
    assert_int_equal(read_folder(f.path, HIDDEN, &m, NULL), WEIR_OK);
    assert_int_equal(m.poolings[0], POOLING_MAX);
    test_folder_replace(&f, "1_Pooling/config.json", "max_tokens\": true", "max_tokens\": 1");
    assert_int_equal(read_folder(f.path, HIDDEN, &m, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "1_Pooling/config.json"));
    test_folder_unlink(&f, "1_Pooling/config.json");
    assert_int_equal(read_folder(f.path, HIDDEN, &m, NULL), WEIR_OK);
    assert_int_equal(m.poolings[0], POOLING_MEAN);
    assert_int_equal(m.pooling_count, 1);
    assert_int_equal(m.count, 1);
    assert_int_equal(m.list[0].kind, MODULE_NORMALIZE);
    test_folder_finish(&f);
}

#define CLASS    "sentence_transformers.models."
#define DENSE    "2_Dense/config.json"
#define IDENTITY "torch.nn.modules.linear.Identity"

/* One change of a fixture, and what the refusal must name. */
static void test_what_is_refused_is_named(void **state)
{
    static const char modules[] = "modules.json", pooling[] = "1_Pooling/config.json";
    /* Version 14 crashes on macros among the strings of a table. */
    /* clang-format off */
    static const struct {
        const char *file, *from, *to, *named;
    } rows[] = {
        { modules, CLASS "Normalize", CLASS "CNN", "module 'sentence_transformers.models.CNN'" },
        { modules, CLASS "Normalize", CLASS "LayerNorm", "LayerNorm" },
        { modules, CLASS "Normalize", CLASS "WordWeights", "WordWeights" },
        { modules, CLASS "Normalize", "my_code.Normalize", "my_code.Normalize" },
        { modules, CLASS "Pooling", CLASS "Dropout", "before Pooling" },
        { modules, CLASS "Normalize", CLASS "Pooling", "more than one Pooling" },
        { modules, CLASS "Normalize", CLASS "Transformer", "more than one Transformer" },
        { modules, CLASS "Transformer", CLASS "Dropout", "before Transformer" },
        { modules, "\"path\": \"\"", "\"path\": \"0_Bert\"", "0_Bert" },
        { modules, "\"1_Pooling\"", "\"../up\"", "../up" },
        { modules, "\"1_Pooling\"", "\"/etc\"", "/etc" },
        { modules, "\"1_Pooling\"", "\"\"", "is not inside" },
        { modules, "\"1_Pooling\"", "\"3_Pooling\"", "3_Pooling/" },
        { modules, "\"1_Pooling\"", "17", "path" },
        { modules, "[", "{\"a\": [", "modules.json" },
        { pooling, "tokens\": true", "tokens\": 1", "pooling_mode_mean_tokens is an integer" },
        { pooling, "{", "{\"pooling_mode_weightedmean_tokens\": true,", "weightedmean" },
        { pooling, "{", "{\"pooling_mode\": \"weightedmean\",", "'weightedmean'" },
        { pooling, "{", "{\"pooling_mode\": [\"mean\", \"first\"],", "'first'" },
        { pooling, "{", "{\"pooling_mode\": [],", "empty list" },
        { pooling, "{", "{\"pooling_mode\": 7,", "pooling_mode" },
        { pooling, "{", "{\"include_prompt\": 7,", "include_prompt" },
        { pooling, "32", "64", "embedding_dim" },
        { DENSE, "\"in_features\": 32", "\"in_features\": 31", "in_features" },
        { DENSE, "8", "0", "out_features" },
        { DENSE, IDENTITY, "torch.nn.modules.activation.SiLU", "SiLU" },
        { DENSE, IDENTITY, "my.Tanh", "my.Tanh" },
        { DENSE, IDENTITY, "Tanh", "'Tanh'" },
        { DENSE, "{", "{\"use_residual\": true,", "use_residual" },
        { DENSE, "{", "{\"module_input_name\": \"token_embeddings\",", "module_input_name" },
        { DENSE, "{", "{\"module_output_name\": \"x\",", "module_output_name" },
        { DENSE, "{", "{\"bias\": 1,", "bias" },
        { DENSE, "{", "[", DENSE },
    };
    /* clang-format on */
    static const char dense[] = "{\"in_features\": 32, \"out_features\": 8, "
                                "\"activation_function\": \"" IDENTITY "\"}";
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct test_folder f;
        struct modules m;
        struct weir_error err;
        test_folder_init(&f);
        char *folder = file_join(f.path, "2_Dense");
        CHECK(mkdir(folder, 0700) == 0);
        test_folder_write(&f, DENSE, dense, strlen(dense));
        if (strcmp(rows[i].file, DENSE) == 0) {
            test_folder_replace(&f, modules, "models.Normalize", "models.Dense");
            test_folder_replace(&f, modules, "2_Normalize", "2_Dense");
            assert_int_equal(read_folder(f.path, HIDDEN, &m, NULL), WEIR_OK);
        }
        test_folder_replace(&f, rows[i].file, rows[i].from, rows[i].to);
        enum weir_code code = read_folder(f.path, HIDDEN, &m, &err);
        if (code != WEIR_LOAD_FAILED)
            fail_msg("%s with %s: code %d", rows[i].file, rows[i].to, code);
        if (strstr(err.text, rows[i].named) == NULL)
            fail_msg("%s with %s: '%s' does not name '%s'", rows[i].file, rows[i].to, err.text,
                     rows[i].named);
        assert_int_equal(read_folder(f.path, HIDDEN, &m, NULL), WEIR_LOAD_FAILED);
        test_folder_unlink(&f, DENSE);
        CHECK(rmdir(folder) == 0);
        mem_free(folder);
        test_folder_finish(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_usual_modules),
        cmocka_unit_test(test_dense_modules_in_their_order),
        cmocka_unit_test(test_several_poolings),
        cmocka_unit_test(test_files_that_may_be_missing),
        cmocka_unit_test(test_what_is_refused_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
