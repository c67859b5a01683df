/* A whole product against plain loops, and the law of this folder: the bits of a row depend neither
 * on the rows beside it nor on the number of threads. The AVX-512 file takes part where the CPU has
 * it; its tile is also covered, emulated, by kernels_test. */
#include "tensor/matmul.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "tensor/team.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_ROWS = 130, MOST_DEPTH = 1536, MOST_COLUMNS = 100 };

struct shape {
    size_t columns, depth;
};

static const struct shape shapes[] = {
    {1,    1   },
    { 15,  3   },
    { 48,  32  },
    { 100, 384 },
    { 33,  1536}
};
static const char *const levels[] = { "scalar", "avx2", "avx512" };

struct problem {
    struct shape shape;
    enum precision precision;
    float *weights, *bias, *a, *addend, *out, *again;
    void *scratch; /* of two threads */
    struct packed packed;
    void *block;
};

static void *pack(struct packed *p, const struct kernels *k, enum precision precision,
                  size_t columns, size_t depth)
{
    uint64_t bytes;
    assert_true(packed_bytes(k, precision, columns, depth, &bytes));
    assert_int_equal(bytes % PACKED_ALIGNMENT, 0);
    void *block = mem_try_aligned(bytes, PACKED_ALIGNMENT);
    assert_non_null(block);
    packed_view(p, k, precision, columns, depth, block);
    return block;
}

static void problem_init(struct problem *p, struct shape shape, enum precision precision,
                         const struct kernels *k, struct team *team)
{
    struct rng rng;
    rand_seed(&rng, shape.columns * 10007 + shape.depth);
    memset(p, 0, sizeof(*p));
    p->shape = shape;
    p->precision = precision;
    p->weights = mem_new(shape.columns * shape.depth, sizeof(float));
    p->bias = mem_new(shape.columns, sizeof(float));
    p->a = mem_new(MOST_ROWS * shape.depth, sizeof(float));
    p->addend = mem_new(MOST_ROWS * shape.columns, sizeof(float));
    p->out = mem_new(MOST_ROWS * shape.columns, sizeof(float));
    p->again = mem_new(MOST_ROWS * shape.columns, sizeof(float));
    for (size_t i = 0; i < shape.columns * shape.depth; i++)
        p->weights[i] = (float)(rand_unit(&rng) - 0.5);
    for (size_t i = 0; i < shape.columns; i++)
        p->bias[i] = (float)rand_unit(&rng);
    for (size_t i = 0; i < MOST_ROWS * shape.depth; i++)
        p->a[i] = (float)(rand_unit(&rng) - 0.5);
    for (size_t i = 0; i < MOST_ROWS * shape.columns; i++)
        p->addend[i] = (float)rand_unit(&rng);
    uint64_t scratch = matmul_scratch_bytes(k, precision, shape.depth);
    if (scratch > 0)
        p->scratch = mem_try_aligned(2 * scratch, PACKED_ALIGNMENT);
    p->block = pack(&p->packed, k, precision, shape.columns, shape.depth);
    struct tensor w = {
        .dtype = DTYPE_F32,
        .rank = 2,
        .dims = {(int64_t)shape.columns, (int64_t)shape.depth},
        .data = p->weights
    };
    struct tensor b = {
        .dtype = DTYPE_F32, .rank = 1, .dims = { (int64_t)shape.columns }, .data = p->bias
    };
    packed_fill(&p->packed, p->block, k, team, 0, &w, &b);
}

static void problem_finish(struct problem *p)
{
    mem_free(p->block);
    mem_free(p->scratch);
    mem_free(p->weights);
    mem_free(p->bias);
    mem_free(p->a);
    mem_free(p->addend);
    mem_free(p->out);
    mem_free(p->again);
}

/* By the team, or by the caller alone where there is none. */
static void problem_run(const struct problem *p, const struct kernels *k, struct team *team,
                        size_t first, size_t rows, float *out)
{
    struct matmul m = {
        .weights = &p->packed,
        .a = p->a + first * p->shape.depth,
        .a_stride = p->shape.depth,
        .rows = rows,
        .addend = p->addend + first * p->shape.columns,
        .addend_stride = p->shape.columns,
        .out = out,
        .out_stride = p->shape.columns,
        .scratch = p->scratch,
    };
    if (team)
        matmul_run(&m, k, team);
    else
        matmul_alone(&m, k);
}

static float as_bf16(float x)
{
    uint16_t bits = dtype_bf16(x);
    dtype_to_f32(DTYPE_BF16, &bits, &x, 1);
    return x;
}

/* What the kernels multiply, where the precision rounds it. */
static void round_inputs(struct problem *p, const struct kernels *k)
{
    if (p->precision == PRECISION_F32)
        return;
    for (size_t i = 0; i < p->shape.columns * p->shape.depth; i++)
        p->weights[i] = as_bf16(p->weights[i]);
    for (size_t i = 0; k->matmul[p->precision].round && i < MOST_ROWS * p->shape.depth; i++)
        p->a[i] = as_bf16(p->a[i]);
}

static void compare_with_loops(const struct problem *p, const char *level)
{
    for (size_t row = 0; row < MOST_ROWS; row++) {
        for (size_t n = 0; n < p->shape.columns; n++) {
            double sum = (double)p->bias[n] + (double)p->addend[row * p->shape.columns + n];
            for (size_t k = 0; k < p->shape.depth; k++)
                sum += (double)p->a[row * p->shape.depth + k] *
                       (double)p->weights[n * p->shape.depth + k];
            double got = (double)p->out[row * p->shape.columns + n];
            if (!(fabs(got - sum) <= 3e-5))
                fail_msg("%s [%zu,%zu] at %zu,%zu: %.9g, want %.9g", level, p->shape.columns,
                         p->shape.depth, row, n, got, sum);
        }
    }
}

static void assert_same_bits(const struct problem *p, size_t first, size_t rows, const char *level)
{
    size_t bytes = rows * p->shape.columns * sizeof(float);
    if (memcmp(p->out + first * p->shape.columns, p->again, bytes) != 0)
        fail_msg("%s: %zu rows from %zu of [%zu,%zu] have other bits than among %d", level, rows,
                 first, p->shape.columns, p->shape.depth, MOST_ROWS);
}

static void check_shape(const char *level, struct problem *p, const struct kernels *k,
                        struct team *one, struct team *two)
{
    static const size_t counts[] = { 1, 7, 64 };
    round_inputs(p, k); /* packed before: rounding once more changes nothing */
    problem_run(p, k, one, 0, MOST_ROWS, p->out);
    compare_with_loops(p, level);
    problem_run(p, k, two, 0, MOST_ROWS, p->again);
    assert_same_bits(p, 0, MOST_ROWS, level);
    problem_run(p, k, NULL, 0, MOST_ROWS, p->again);
    assert_same_bits(p, 0, MOST_ROWS, level);
    for (size_t c = 0; c < ARRAY_COUNT(counts); c++) {
        for (size_t first = 0; first + counts[c] <= MOST_ROWS; first += 33) {
            problem_run(p, k, c == 1 ? two : one, first, counts[c], p->again);
            assert_same_bits(p, first, counts[c], level);
            problem_run(p, k, NULL, first, counts[c], p->again);
            assert_same_bits(p, first, counts[c], level);
        }
    }
}

static void check_level(const char *level, const struct kernels *k, struct team *one,
                        struct team *two)
{
    for (size_t s = 0; s < ARRAY_COUNT(shapes) * PRECISION_COUNT; s++) {
        struct problem p;
        problem_init(&p, shapes[s / PRECISION_COUNT], (enum precision)(s % PRECISION_COUNT), k,
                     two);
        check_shape(level, &p, k, one, two);
        problem_finish(&p);
    }
}

static void test_every_level_is_right_and_repeatable(void **state)
{
    struct team *one = team_create(1, NULL), *two = team_create(2, NULL);
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++) {
        struct kernels k;
        if (kernels_choose(levels[i], &k, NULL) == WEIR_OK)
            check_level(levels[i], &k, one, two);
        else
            print_message("this CPU has no %s: skipped\n", levels[i]);
    }
    team_destroy(one);
    team_destroy(two);
}

/* Three layers in one product, as query, key and value are; the seams fall inside panels. */
static void check_stacked(enum precision precision)
{
    enum { EACH = 5, DEPTH = 3 };
    struct team *team = team_create(2, NULL);
    struct kernels k;
    struct packed p;
    float weights[EACH * DEPTH], bias[EACH], out[3 * EACH];
    const float a[DEPTH] = { 1, 10, 100 };
    assert_int_equal(kernels_choose(NULL, &k, NULL), WEIR_OK);
    void *scratch =
        mem_try_aligned(2 * matmul_scratch_bytes(&k, precision, DEPTH) + 64, PACKED_ALIGNMENT);
    void *block = pack(&p, &k, precision, 3 * EACH, DEPTH);
    for (size_t layer = 0; layer < 3; layer++) {
        struct tensor w = {
            DTYPE_F32, 2, {EACH, DEPTH},
              weights
        };
        struct tensor b = { DTYPE_F32, 1, { EACH }, bias };
        for (size_t i = 0; i < EACH * DEPTH; i++)
            weights[i] = (float)(layer * 2 + i % 2);
        for (size_t i = 0; i < EACH; i++)
            bias[i] = (float)(1000 * layer + i);
        packed_fill(&p, block, &k, team, layer * EACH, &w, layer == 1 ? NULL : &b);
    }
    struct matmul m = { .weights = &p, .a = a, .a_stride = DEPTH, .rows = 1, .out = out };
    m.out_stride = 3 * EACH;
    m.scratch = scratch;
    matmul_run(&m, &k, team);
    for (size_t layer = 0; layer < 3; layer++) {
        for (size_t i = 0; i < EACH; i++) {
            size_t first = i * DEPTH;
            double want = layer == 1 ? 0 : (double)(1000 * layer + i);
            for (size_t j = 0; j < DEPTH; j++)
                want += (double)a[j] * (double)(layer * 2 + (first + j) % 2);
            assert_true((double)out[layer * EACH + i] == want);
        }
    }
    mem_free(block);
    mem_free(scratch);
    team_destroy(team);
}

static void test_stacked_weights_keep_their_places(void **state)
{
    (void)state;
    check_stacked(PRECISION_F32);
    check_stacked(PRECISION_BF16);
}

static void test_sizes_are_exact_and_overflow_is_refused(void **state)
{
    struct kernels k;
    uint64_t bytes;
    (void)state;
    assert_int_equal(kernels_choose("scalar", &k, NULL), WEIR_OK);
    assert_true(packed_bytes(&k, PRECISION_F32, 9, 10, &bytes));
    assert_int_equal(bytes, 16 * 11 * 4);
    assert_true(packed_bytes(&k, PRECISION_BF16, 9, 11, &bytes));
    assert_int_equal(bytes, (16 * 11 * 2 + 16 * 4 + 63) / 64 * 64);
    assert_false(packed_bytes(&k, PRECISION_F32, UINT64_MAX - 3, 10, &bytes));
    assert_false(packed_bytes(&k, PRECISION_BF16, 10, UINT64_MAX - 3, &bytes));
    assert_false(packed_bytes(&k, PRECISION_F32, UINT64_C(1) << 40, UINT64_C(1) << 40, &bytes));
}

static void test_precisions_and_layouts_have_names(void **state)
{
    struct kernels k;
    enum precision precision;
    (void)state;
    assert_true(precision_parse(STR("bf16"), &precision));
    assert_int_equal(precision, PRECISION_BF16);
    assert_string_equal(precision_name(PRECISION_F32), "f32");
    assert_false(precision_parse(STR("BF16"), &precision));
    assert_false(precision_parse(STR(""), &precision));
    assert_int_equal(kernels_choose("scalar", &k, NULL), WEIR_OK);
    assert_string_equal(packed_layout(&k, PRECISION_BF16), "bf16x8");
    assert_int_equal(matmul_scratch_bytes(&k, PRECISION_BF16, 384), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_level_is_right_and_repeatable),
        cmocka_unit_test(test_stacked_weights_keep_their_places),
        cmocka_unit_test(test_sizes_are_exact_and_overflow_is_refused),
        cmocka_unit_test(test_precisions_and_layouts_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
