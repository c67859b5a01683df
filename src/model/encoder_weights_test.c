/* The packed block: its size, rebuilt here from the shapes, and what is written where. */
#include "model/encoder_weights.h"

#include "base/check.h"
#include "base/mem.h"
#include "model/folder.h"
#include "tensor/team.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_sizes_are_exact(void **state)
{
    struct encoder_config c = { .kind = encoder_kind_find(STR("bert")),
                                .hidden = 10,
                                .layers = 3,
                                .heads = 2,
                                .intermediate = 20,
                                .vocab = 100,
                                .positions = 50,
                                .types = 2,
                                .tokens_max = 9 };
    struct kernels k;
    uint64_t bytes;
    (void)state;
    assert_int_equal(kernels_choose("scalar", &k, NULL), WEIR_OK);
    assert_int_equal(k.matmul[PRECISION_F32].columns, 8);
    assert_true(encoder_weights_bytes(&c, &k, PRECISION_F32, &bytes));
    /* Each product up to a multiple of 64 bytes, and the vectors together. */
    const uint64_t layer = 1408 + 704 + 1088 + 1344;
    const uint64_t vectors = 4 * 10 * (50 + 3 + 4 * 3);
    assert_int_equal(bytes, 3 * layer + (vectors + 63) / 64 * 64);
    assert_int_equal(encoder_flops_per_token(&c), 2 * 3 * (4 * 10 * 10 + 2 * 10 * 20));
    /* What distances add: 99 of them for each head. */
    c.kind = encoder_kind_find(STR("mpnet"));
    assert_true(encoder_weights_bytes(&c, &k, PRECISION_F32, &bytes));
    assert_int_equal(bytes, 3 * layer + (vectors + 4 * 2 * 99 + 63) / 64 * 64);
}

/* The largest sizes that a configuration may state. */
static void test_the_largest_sizes_do_not_overflow(void **state)
{
    const struct encoder_config c = { .kind = encoder_kind_find(STR("mpnet")),
                                      .hidden = 1 << 16,
                                      .layers = 1 << 10,
                                      .heads = 1 << 10,
                                      .intermediate = 1 << 20,
                                      .vocab = 1 << 24,
                                      .positions = 1 << 20 };
    struct kernels k;
    uint64_t bytes;
    (void)state;
    assert_int_equal(kernels_choose("scalar", &k, NULL), WEIR_OK);
    assert_true(encoder_weights_bytes(&c, &k, PRECISION_F32, &bytes));
    const uint64_t weights = encoder_flops_per_token(&c) / 2;
    assert_true(bytes > 4 * weights && bytes < 5 * weights);
}

/* mpnet_mean has 178 places for tokens: distances from both sides, up to the last bucket. */
static void test_distances_and_places(void **state)
{
    static const struct {
        int distance;
        size_t bucket;
    } rows[] = {
        {0,     0 },
        { -1,   1 },
        { -7,   7 },
        { -8,   8 },
        { -11,  8 },
        { -12,  9 },
        { -16,  10},
        { -127, 15},
        { -177, 15},
        { 1,    17},
        { 7,    23},
        { 8,    24},
        { 16,   26},
        { 64,   30},
        { 177,  31},
    };
    struct folder f;
    struct encoder_config c;
    struct weight_files files;
    struct encoder_bound bound;
    struct encoder_weights w;
    struct kernels k;
    uint64_t bytes;
    (void)state;
    struct team *team = team_create(2, NULL);
    folder_init(&f, WEIR_FIXTURES "/encoders/mpnet_mean");
    CHECK(kernels_choose("scalar", &k, NULL) == WEIR_OK);
    CHECK(config_read(&f, 0, &c, NULL) == WEIR_OK);
    CHECK(weight_files_open(&f, "", &files, NULL) == WEIR_OK);
    CHECK(encoder_bind(&files, &c, &bound, NULL) == WEIR_OK);
    CHECK(encoder_weights_bytes(&c, &k, PRECISION_BF16, &bytes));
    void *block = mem_try_aligned(bytes, PACKED_ALIGNMENT);
    encoder_weights_fill(block, &bound, &c, &k, PRECISION_BF16, team, NULL, NULL);
    encoder_weights_view(&w, &bound, &c, &k, PRECISION_BF16, block);
    const float *table = bound.tensors[ENCODER_RELATIVE]->data;
    for (size_t head = 0; head < c.heads; head++) {
        const float *middle = w.relative + head * (2 * c.positions - 1) + c.positions - 1;
        for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
            assert_memory_equal(middle + rows[i].distance, table + rows[i].bucket * c.heads + head,
                                sizeof(*table));
    }
    const struct tensor *positions = bound.tensors[ENCODER_POSITIONS];
    assert_memory_equal(w.padding, tensor_row(positions, 1), c.hidden * sizeof(float));
    assert_memory_equal(w.places, tensor_row(positions, 2), c.hidden * sizeof(float));
    assert_int_equal(w.layers[1].qkv.precision, PRECISION_BF16);
    encoder_weights_finish(&w);
    mem_free(block);
    encoder_bound_finish(&bound);
    weight_files_close(&files);
    folder_finish(&f);
    team_destroy(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_are_exact),
        cmocka_unit_test(test_the_largest_sizes_do_not_overflow),
        cmocka_unit_test(test_distances_and_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
