/* The encoder on tiny_bert against vectors that transformers computed in double precision, and the
 * law that a vector's bits depend on its sequence alone. */
#include "model/transformer.h"

#include "base/check.h"
#include "base/mem.h"
#include "model/folder.h"
#include "tensor/team.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_SEQUENCES = 32, MOST_TOKENS = 64, BATCH_TOKENS = 512, DIM = 32 };

/* The whole of tiny_bert with 1 and 2 threads, for one level of kernels. */
struct rig {
    struct encoder_config config;
    struct safetensors file;
    struct encoder_bound bound;
    struct kernels kernels;
    struct encoder_weights weights;
    struct team *teams[2];
    struct transformer *passes[2];
};

struct reference {
    int32_t ids[MOST_SEQUENCES][MOST_TOKENS];
    struct sequence sequences[MOST_SEQUENCES];
    double vectors[MOST_SEQUENCES][DIM];
    size_t count;
};

static struct reference reference;

static int read_reference(void **state)
{
    json_error_t problem;
    json_t *rows = json_load_file(WEIR_FIXTURES "/tiny_bert/vectors.json", 0, &problem);
    (void)state;
    reference.count = json_array_size(rows);
    CHECK(reference.count >= 20 && reference.count <= MOST_SEQUENCES);
    for (size_t i = 0; i < reference.count; i++) {
        const json_t *ids = json_object_get(json_array_get(rows, i), "ids");
        const json_t *vector = json_object_get(json_array_get(rows, i), "vector");
        CHECK(json_array_size(ids) <= MOST_TOKENS && json_array_size(vector) == DIM);
        for (size_t k = 0; k < json_array_size(ids); k++)
            reference.ids[i][k] = (int32_t)json_integer_value(json_array_get(ids, k));
        for (size_t k = 0; k < DIM; k++)
            reference.vectors[i][k] = json_number_value(json_array_get(vector, k));
        reference.sequences[i] =
            (struct sequence){ .ids = reference.ids[i], .count = json_array_size(ids) };
    }
    json_decref(rows);
    return 0;
}

static bool rig_init(struct rig *r, const char *level)
{
    struct folder folder;
    memset(r, 0, sizeof(*r));
    if (kernels_choose(level, &r->kernels, NULL) != WEIR_OK) {
        print_message("this CPU has no %s: skipped\n", level);
        return false;
    }
    folder_init(&folder, WEIR_FIXTURES "/tiny_bert");
    CHECK(config_read(&folder, MOST_TOKENS, &r->config, NULL) == WEIR_OK);
    folder_finish(&folder);
    CHECK(safetensors_open(WEIR_FIXTURES "/tiny_bert/model.safetensors", &r->file, NULL) ==
          WEIR_OK);
    CHECK(encoder_bind(&r->file, &r->config, &r->bound, NULL) == WEIR_OK);
    for (uint32_t i = 0; i < 2; i++)
        r->teams[i] = team_create(i + 1, NULL);
    CHECK(encoder_weights_init(&r->weights, &r->bound, &r->config, &r->kernels, r->teams[1], NULL,
                               NULL, NULL) == WEIR_OK);
    for (uint32_t i = 0; i < 2; i++)
        CHECK(transformer_create(&r->config, &r->weights, &r->kernels, r->teams[i], BATCH_TOKENS,
                                 &r->passes[i], NULL) == WEIR_OK);
    return true;
}

static void rig_finish(struct rig *r)
{
    for (uint32_t i = 0; i < 2; i++) {
        transformer_destroy(r->passes[i]);
        team_destroy(r->teams[i]);
    }
    encoder_weights_finish(&r->weights);
    encoder_bound_finish(&r->bound);
    safetensors_close(&r->file);
}

/* The mean of a sequence's states, to unit length. */
static void pool(const struct kernels *k, const float *states, size_t count, float *out)
{
    memset(out, 0, DIM * sizeof(*out));
    for (size_t i = 0; i < count; i++)
        k->add(out, states + i * DIM, DIM);
    k->scale(out, 1 / sqrtf(k->dot(out, out, DIM)), DIM);
}

static void check_rig(struct rig *r, const char *level)
{
    static float alone[MOST_SEQUENCES][MOST_TOKENS * DIM];
    for (size_t i = 0; i < reference.count; i++) {
        const size_t count = reference.sequences[i].count;
        float got[DIM];
        const float *states =
            transformer_forward(r->passes[0], &reference.sequences[i], 1, NULL, NULL);
        memcpy(alone[i], states, count * DIM * sizeof(*states));
        pool(&r->kernels, states, count, got);
        for (size_t k = 0; k < DIM; k++) {
            double difference = fabs((double)got[k] - reference.vectors[i][k]);
            if (!(difference <= 1e-5))
                fail_msg("%s: sequence %zu number %zu: %.9g, want %.9g", level, i, k,
                         (double)got[k], reference.vectors[i][k]);
        }
    }
    for (size_t thread = 0; thread < 2; thread++) {
        const float *got = transformer_forward(r->passes[thread], reference.sequences,
                                               reference.count, NULL, NULL);
        for (size_t i = 0; i < reference.count; i++) {
            const size_t floats = reference.sequences[i].count * DIM;
            if (memcmp(got, alone[i], floats * sizeof(*got)) != 0)
                fail_msg("%s: sequence %zu has other bits in a batch", level, i);
            got += floats;
        }
    }
}

static void test_vectors_are_right_and_repeatable(void **state)
{
    static const char *const levels[] = { "scalar", "avx2", "avx512" };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++) {
        struct rig r;
        if (!rig_init(&r, levels[i]))
            continue;
        check_rig(&r, levels[i]);
        rig_finish(&r);
    }
}

static void count_tick(void *context)
{
    ++*(size_t *)context;
}

static void test_a_pass_ticks_once_a_layer(void **state)
{
    struct rig r;
    size_t ticks = 0;
    (void)state;
    assert_true(rig_init(&r, "scalar"));
    transformer_forward(r.passes[0], reference.sequences, 2, count_tick, &ticks);
    assert_int_equal(ticks, 2);
    transformer_forward(r.passes[0], reference.sequences, 0, count_tick, &ticks);
    assert_int_equal(ticks, 4);
    rig_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_are_right_and_repeatable),
        cmocka_unit_test(test_a_pass_ticks_once_a_layer),
    };
    return cmocka_run_group_tests(tests, read_reference, NULL);
}
