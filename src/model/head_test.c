/* Pooling, Dense and Normalize on numbers made here, against the same in double precision. Whole
 * models are compared in encoders_test.c. */
#include "model/head.h"

#include "base/check.h"
#include "base/mem.h"
#include "model/test_folder.h"
#include "tensor/team.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { HIDDEN = 5, SEQUENCES = 300, MOST = 4 };

static struct team *team;
static struct kernels kernels;
static const int32_t ids[MOST];
static float states[SEQUENCES * MOST * HIDDEN];
static struct sequence sequences[SEQUENCES];
static size_t starts[SEQUENCES];

static int make_states(void **state)
{
    size_t tokens = 0;
    (void)state;
    team = team_create(2, NULL);
    CHECK(kernels_choose("scalar", &kernels, NULL) == WEIR_OK);
    for (size_t i = 0; i < SEQUENCES; i++) {
        starts[i] = tokens;
        sequences[i] = (struct sequence){ .ids = ids, .count = 1 + i % MOST };
        tokens += sequences[i].count;
    }
    for (size_t i = 0; i < tokens * HIDDEN; i++)
        states[i] = sinf((float)i * 1.7f);
    return 0;
}

static int end_team(void **state)
{
    (void)state;
    team_destroy(team);
    return 0;
}

static double pooled(enum pooling pooling, size_t sequence, size_t column)
{
    const struct sequence *s = &sequences[sequence];
    const float *state = states + starts[sequence] * HIDDEN + column;
    double sum = 0, most = -INFINITY;
    for (size_t i = s->skip; i < s->count; i++) {
        sum += (double)state[i * HIDDEN];
        most = fmax(most, (double)state[i * HIDDEN]);
    }
    const double tokens = (double)(s->count - s->skip);
    switch (pooling) {
    case POOLING_CLS: return (double)state[s->skip * HIDDEN];
    case POOLING_MAX: return most;
    case POOLING_MEAN: return sum / tokens;
    case POOLING_MEAN_SQRT: return sum / sqrt(tokens);
    case POOLING_LAST: return (double)state[(s->count - 1) * HIDDEN];
    case POOLING_COUNT: break;
    }
    return 0;
}

/* More sequences than pass through at once, each way of pooling beside the others. */
static void test_every_way_of_pooling(void **state)
{
    static float out[SEQUENCES * POOLING_COUNT * HIDDEN];
    struct modules m = { .pooling_count = POOLING_COUNT,
                         .dim = POOLING_COUNT * HIDDEN,
                         .dim_most = POOLING_COUNT * HIDDEN };
    struct head *h;
    (void)state;
    for (int i = 0; i < POOLING_COUNT; i++)
        m.poolings[i] = (enum pooling)i;
    assert_int_equal(head_create(&m, HIDDEN, NULL, &kernels, team, &h, NULL), WEIR_OK);
    for (size_t skip = 0; skip < 2; skip++) {
        for (size_t i = 0; i < SEQUENCES; i++)
            sequences[i].skip = sequences[i].count > skip ? skip : 0;
        head_run(h, states, sequences, SEQUENCES, out);
        for (size_t i = 0; i < SEQUENCES * POOLING_COUNT * HIDDEN; i++) {
            const size_t column = i % HIDDEN, sequence = i / HIDDEN / POOLING_COUNT;
            const double want =
                pooled((enum pooling)(i / HIDDEN % POOLING_COUNT), sequence, column);
            assert_true(fabs((double)out[i] - want) < 1e-6);
        }
    }
    head_run(h, states, sequences, 0, NULL);
    head_destroy(h);
    head_destroy(NULL);
}

static void test_a_number_that_is_none_stays(void **state)
{
    const float some[] = { 1, NAN, 2, 3, 4, 5 };
    const struct sequence s = { .ids = ids, .count = 3 };
    const struct modules m = { .poolings = { POOLING_MAX }, .pooling_count = 1, .dim = 2 };
    struct head *h;
    float out[2];
    (void)state;
    assert_int_equal(head_create(&m, 2, NULL, &kernels, team, &h, NULL), WEIR_OK);
    head_run(h, some, &s, 1, out);
    assert_true(out[0] == 4 && isnan(out[1]));
    head_destroy(h);
}

/* Nothing divides by the length of zeros. */
static void test_zeros_stay_zeros(void **state)
{
    const float zeros[2] = { 0, 0 };
    const struct sequence s = { .ids = ids, .count = 1 };
    const struct modules m = { .poolings = { POOLING_MEAN },
                               .pooling_count = 1,
                               .list = { { .kind = MODULE_NORMALIZE, .columns = 2 } },
                               .count = 1,
                               .dim = 2 };
    struct head *h;
    float out[2] = { 7, 7 };
    (void)state;
    assert_int_equal(head_create(&m, 2, NULL, &kernels, team, &h, NULL), WEIR_OK);
    head_run(h, zeros, &s, 1, out);
    assert_true(out[0] == 0 && out[1] == 0);
    head_destroy(h);
}

/* Of sequences side by side each goes through the last Normalize or not, as it says. */
static void test_some_keep_their_length(void **state)
{
    static float scaled[SEQUENCES * HIDDEN], out[SEQUENCES * HIDDEN], raw[SEQUENCES * HIDDEN];
    struct modules m = {
        .poolings = { POOLING_MEAN }, .pooling_count = 1, .dim = HIDDEN, .dim_most = HIDDEN
    };
    struct head *h;
    (void)state;
    assert_int_equal(head_create(&m, HIDDEN, NULL, &kernels, team, &h, NULL), WEIR_OK);
    head_run(h, states, sequences, SEQUENCES, raw);
    m.list[m.count++] = (struct module){ .kind = MODULE_NORMALIZE, .columns = HIDDEN };
    head_run(h, states, sequences, SEQUENCES, scaled);
    for (size_t i = 0; i < SEQUENCES; i++)
        sequences[i].keeps_length = i % 3 == 1;
    head_run(h, states, sequences, SEQUENCES, out);
    for (size_t i = 0; i < SEQUENCES; i++) {
        const float *expected = sequences[i].keeps_length ? raw : scaled;
        assert_memory_equal(out + i * HIDDEN, expected + i * HIDDEN, HIDDEN * sizeof(*out));
        sequences[i].keeps_length = false;
    }
    assert_memory_not_equal(raw, scaled, sizeof(raw));
    head_destroy(h);
}

/* A folder with one Dense of 3 columns, its tensors as the rows say. */
static void write_dense(const struct test_folder *t, const char *header, size_t floats)
{
    struct buffer b;
    buffer_init(&b, 4096);
    buffer_u64(&b, strlen(header));
    buffer_text(&b, header);
    for (size_t i = 0; i < floats; i++)
        buffer_f32(&b, 0.5f);
    CHECK(!b.failed);
    test_folder_write(t, "1_Pooling/model.safetensors", b.data, b.len);
    buffer_finish(&b);
}

#define TENSOR(name, shape, from, to)                                                              \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void test_tensors_of_dense_are_checked(void **state)
{
    /* Version 14 crashes on macros among the strings of a table. */
    /* clang-format off */
    static const struct {
        const char *header;
        size_t floats;
        const char *named; /* NULL: good */
    } rows[] = {
        { "{" TENSOR("linear.weight", "[3,5]", "0", "60") ","
              TENSOR("linear.bias", "[3]", "60", "72") "}", 18, NULL },
        { "{" TENSOR("linear.weight", "[5,3]", "0", "60") ","
              TENSOR("linear.bias", "[3]", "60", "72") "}", 18, "[5,3]" },
        { "{" TENSOR("linear.weight", "[3,5]", "0", "60") ","
              TENSOR("linear.bias", "[1,3]", "60", "72") "}", 18, "'linear.bias'" },
        { "{" TENSOR("linear.weight", "[3,5]", "0", "60") "}", 15, "'linear.bias' is missing" },
        { "{" TENSOR("linear.bias", "[3]", "0", "12") "}", 3, "'linear.weight' is missing" },
    };
    /* clang-format on */
    const struct modules m = { .poolings = { POOLING_MEAN },
                               .pooling_count = 1,
                               .list = { { .kind = MODULE_DENSE,
                                           .folder = TEST_FOLDER_POOLING,
                                           .depth = HIDDEN,
                                           .columns = 3,
                                           .has_bias = true } },
                               .count = 1,
                               .dim = 3,
                               .dim_most = HIDDEN };
    struct test_folder t;
    (void)state;
    test_folder_init(&t);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct folder f;
        struct head_bound b;
        struct weir_error err;
        write_dense(&t, rows[i].header, rows[i].floats);
        folder_init(&f, t.path);
        enum weir_code code = head_bind(&f, &m, &b, &err);
        folder_finish(&f);
        if (rows[i].named == NULL) {
            assert_int_equal(code, WEIR_OK);
            head_bound_finish(&b);
            continue;
        }
        assert_int_equal(code, WEIR_LOAD_FAILED);
        if (strstr(err.text, rows[i].named) == NULL ||
            strstr(err.text, "'1_Pooling/model.safetensors'") == NULL)
            fail_msg("'%s' does not name '%s' and the file", err.text, rows[i].named);
    }
    test_folder_unlink(&t, "1_Pooling/model.safetensors");
    test_folder_finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way_of_pooling),
        cmocka_unit_test(test_a_number_that_is_none_stays),
        cmocka_unit_test(test_zeros_stay_zeros),
        cmocka_unit_test(test_some_keep_their_length),
        cmocka_unit_test(test_tensors_of_dense_are_checked),
    };
    return cmocka_run_group_tests(tests, make_states, end_team);
}
