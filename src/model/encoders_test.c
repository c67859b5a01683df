/* Every architecture on tiny random models (tests/fixtures/make_encoders.py) against the vectors
 * that sentence-transformers computed in double precision, for every table of kernels; and the law
 * that a vector's bits depend on its sequence alone. */
#include "model/model.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "tensor/team.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_SEQUENCES = 16, MOST_TOKENS = 256, MOST_DIM = 128 };

/* Where the file's own weights are BF16, packing them as such changes nothing. */
static const struct {
    const char *name;
    bool is_bf16;
} folders[] = {
    {"bert_cls",           false},
    { "bert_shards",       false},
    { "distilbert_mean",   true },
    { "distilbert_all",    false},
    { "roberta_last",      false},
    { "roberta_sqrt",      false},
    { "xlm_roberta_mean",  true },
    { "xlm_roberta_dense", false},
    { "mpnet_mean",        false},
    { "mpnet_list",        false},
};

static struct team *teams[2]; /* of 1 and 2 threads */

struct reference {
    int32_t ids[MOST_SEQUENCES][MOST_TOKENS];
    struct sequence sequences[MOST_SEQUENCES];
    double vectors[MOST_SEQUENCES][MOST_DIM];
    size_t count, dim;
};

static void read_reference(const char *folder, struct reference *r)
{
    json_error_t problem;
    char *path = file_join(folder, "vectors.json");
    json_t *rows = json_load_file(path, 0, &problem);
    r->count = json_array_size(rows);
    r->dim = json_array_size(json_object_get(json_array_get(rows, 0), "vector"));
    CHECK(r->count >= 10 && r->count <= MOST_SEQUENCES && r->dim > 0 && r->dim <= MOST_DIM);
    for (size_t i = 0; i < r->count; i++) {
        const json_t *row = json_array_get(rows, i);
        const json_t *ids = json_object_get(row, "ids"), *vector = json_object_get(row, "vector");
        CHECK(json_array_size(ids) <= MOST_TOKENS && json_array_size(vector) == r->dim);
        for (size_t k = 0; k < json_array_size(ids); k++)
            r->ids[i][k] = (int32_t)json_integer_value(json_array_get(ids, k));
        for (size_t k = 0; k < r->dim; k++)
            r->vectors[i][k] = json_number_value(json_array_get(vector, k));
        const json_int_t skip = json_integer_value(json_object_get(row, "skip"));
        r->sequences[i] = (struct sequence){ .ids = r->ids[i],
                                             .count = json_array_size(ids),
                                             .skip = (size_t)skip };
    }
    json_decref(rows);
    mem_free(path);
}

static struct encoder *load(const char *folder, enum precision precision, struct team *team)
{
    const struct model_settings settings = { .precision = precision };
    struct encoder *e;
    struct weir_error err;
    if (encoder_load(folder, &settings, team, NULL, NULL, &e, &err) != WEIR_OK)
        fail_msg("%s: %s", folder, err.text);
    return e;
}

static double cosine(const float *a, const double *b, size_t n)
{
    double product = 0, squares_a = 0, squares_b = 0;
    for (size_t i = 0; i < n; i++) {
        product += (double)a[i] * b[i];
        squares_a += (double)a[i] * (double)a[i];
        squares_b += b[i] * b[i];
    }
    return product / sqrt(squares_a * squares_b);
}

static void check_vector(const char *folder, size_t number, const float *got, const double *want,
                         size_t dim)
{
    double largest = 0;
    for (size_t i = 0; i < dim; i++)
        largest = fmax(largest, fabs((double)got[i] - want[i]));
    const double near = cosine(got, want, dim);
    if (!(near >= 0.99999) || !(largest <= 2e-5))
        fail_msg("%s: sequence %zu: cosine %.9f, largest difference %.3g", folder, number, near,
                 largest);
}

/* Bit for bit, so compared as bytes. */
static void assert_same(const char *folder, const char *what, const float *got, const float *want,
                        size_t floats)
{
    if (memcmp(got, want, floats * sizeof(*got)) != 0)
        fail_msg("%s: %s: the bits differ", folder, what);
}

static void check_repeatable(const char *folder, const struct reference *r,
                             enum precision precision, float (*alone)[MOST_DIM])
{
    static float together[MOST_SEQUENCES * MOST_DIM];
    for (size_t t = 0; t < 2; t++) {
        struct encoder *e = load(folder, precision, teams[t]);
        for (size_t i = 0; i < r->count; i++) {
            float again[MOST_DIM];
            assert_int_equal(encoder_embed(e, &r->sequences[i], 1, again, NULL), WEIR_OK);
            if (t == 0)
                memcpy(alone[i], again, sizeof(again[0]) * r->dim);
            assert_same(folder, "alone", again, alone[i], r->dim);
        }
        assert_int_equal(encoder_embed(e, r->sequences, r->count, together, NULL), WEIR_OK);
        for (size_t i = 0; i < r->count; i++)
            assert_same(folder, "in a batch", together + i * r->dim, alone[i], r->dim);
        encoder_destroy(e);
    }
}

static void check_folder(const char *name, bool is_bf16)
{
    static struct reference r;
    static float alone[MOST_SEQUENCES][MOST_DIM], rounded[MOST_SEQUENCES][MOST_DIM];
    char *folder = file_join(WEIR_FIXTURES "/encoders", name);
    read_reference(folder, &r);
    struct encoder *e = load(folder, PRECISION_F32, teams[0]);
    assert_int_equal(encoder_info(e)->dim, r.dim);
    encoder_destroy(e);
    check_repeatable(folder, &r, PRECISION_F32, alone);
    check_repeatable(folder, &r, PRECISION_BF16, rounded);
    for (size_t i = 0; i < r.count; i++) {
        check_vector(folder, i, alone[i], r.vectors[i], r.dim);
        const double near = cosine(rounded[i], r.vectors[i], r.dim);
        if (!(near >= 0.999))
            fail_msg("%s: sequence %zu: cosine %.9f of bf16", folder, i, near);
        if (!is_bf16 && memcmp(rounded[i], alone[i], r.dim * sizeof(float)) == 0)
            fail_msg("%s: sequence %zu: bf16 changed nothing", folder, i);
    }
    mem_free(folder);
}

static void check_level(const char *level)
{
    struct kernels k;
    if (kernels_choose(level, &k, NULL) != WEIR_OK) {
        print_message("this CPU has no %s: skipped\n", level);
        skip();
        return;
    }
    setenv("WEIR_CPU", level, 1);
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++)
        check_folder(folders[i].name, folders[i].is_bf16);
    unsetenv("WEIR_CPU");
}

static void test_scalar(void **state)
{
    (void)state;
    check_level("scalar");
}

static void test_avx2(void **state)
{
    (void)state;
    check_level("avx2");
}

static void test_avx512(void **state)
{
    (void)state;
    check_level("avx512");
}

static void test_plans_of_the_kinds(void **state)
{
    struct model_info info;
    (void)state;
    assert_int_equal(model_inspect(WEIR_FIXTURES "/encoders/bert_shards", NULL, &info, NULL),
                     WEIR_OK);
    assert_string_equal(info.architecture, "bert");
    /* Two products of 20 x 20 beside the three of query, key and value, and two of 20 x 44. */
    assert_int_equal(info.flops_per_token, 2 * 3 * (4 * 20 * 20 + 2 * 20 * 44));
    assert_true(info.packed_bytes[PRECISION_F32] > 4 * 3 * (4 * 20 * 20 + 2 * 20 * 44));
    assert_true(info.packed_bytes[PRECISION_BF16] < info.packed_bytes[PRECISION_F32]);
    assert_int_equal(info.packed_bytes[PRECISION_F32] % PACKED_ALIGNMENT, 0);
    assert_int_equal(info.dim, 12);
    assert_int_equal(info.positions, 36);
    assert_int_equal(model_inspect(WEIR_FIXTURES "/encoders/roberta_sqrt", NULL, &info, NULL),
                     WEIR_OK);
    assert_string_equal(info.architecture, "roberta");
    assert_int_equal(info.positions, 36); /* of 40 places the first four are no token's */
    assert_int_equal(info.tokens_max, 36);
    assert_int_equal(model_inspect(WEIR_FIXTURES "/encoders/mpnet_list", NULL, &info, NULL),
                     WEIR_OK);
    assert_string_equal(info.architecture, "mpnet");
    assert_int_equal(info.dim, 96);
}

static void test_prompts(void **state)
{
    struct encoder *e = load(WEIR_FIXTURES "/encoders/bert_shards", PRECISION_F32, teams[0]);
    struct weir_error err;
    struct str text;
    bool pooled = true;
    (void)state;
    assert_int_equal(encoder_prompt(e, STR("query"), &text, &pooled, NULL), WEIR_OK);
    assert_true(str_eq(text, STR("wa wa ")));
    assert_false(pooled);
    assert_int_equal(encoder_prompt(e, STR(""), &text, &pooled, NULL), WEIR_OK);
    assert_int_equal(text.len, 0);
    assert_int_equal(encoder_prompt(e, STR("summary"), &text, &pooled, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "'summary', the model knows query, passage, document"));
    const int32_t ids[] = { 5, 6 };
    float out[12];
    const struct sequence all = { .ids = ids, .count = 2, .skip = 2 };
    assert_int_equal(encoder_embed(e, &all, 1, out, &err), WEIR_INVALID);
    assert_int_equal(err.index, 0);
    assert_non_null(strstr(err.text, "all are its prompt's"));
    encoder_destroy(e);
}

static int make_teams(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        teams[i] = team_create(i + 1, NULL);
    return 0;
}

static int end_teams(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        team_destroy(teams[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalar),  cmocka_unit_test(test_avx2),
        cmocka_unit_test(test_avx512),  cmocka_unit_test(test_plans_of_the_kinds),
        cmocka_unit_test(test_prompts),
    };
    return cmocka_run_group_tests(tests, make_teams, end_teams);
}
