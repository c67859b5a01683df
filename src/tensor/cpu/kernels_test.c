/* Every table that this CPU can run, entry by entry and at hostile sizes, against scalar; and the
 * AVX-512 table once more through an emulation, so that its logic is tested on every machine.
 *
 * Tolerances are for inputs of size about 1: each is a few roundings of F32 times the number of
 * terms, divided by what their random signs save. */
#include "tensor/cpu/kernels.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "tensor/dtype.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The emulated twin has to be another object with the same source: the included file is the table
 * under test, not a helper. */
#define WEIR_SIMDE
#define kernels_avx512      kernels_avx512_emulated
#define kernels_avx512_bf16 kernels_avx512_bf16_emulated
#include "tensor/cpu/kernels_avx512.c"
#undef kernels_avx512
#undef kernels_avx512_bf16
#undef INLINE
#undef COUNT

static struct kernels tables[6];
static size_t table_count;

static const size_t sizes[] = {
    0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 63, 64, 65, 384
};

static const enum activation activations[] = { ACTIVATION_NONE, ACTIVATION_GELU,
                                               ACTIVATION_GELU_TANH, ACTIVATION_RELU };

enum { LONGEST = 384, GUARD = 32, OFFSETS = 3, ROOM = GUARD + OFFSETS + LONGEST + GUARD };

/* A run of numbers at an odd address, with a guard on both sides that must survive. */
struct run {
    float room[ROOM];
    float *at;
    size_t n;
};

static void run_fill(struct run *r, struct rng *rng, size_t offset, size_t n, double spread)
{
    for (size_t i = 0; i < ROOM; i++)
        r->room[i] = 12345.0f;
    r->at = r->room + GUARD + offset;
    r->n = n;
    for (size_t i = 0; i < n; i++)
        r->at[i] = (float)((rand_unit(rng) * 2 - 1) * spread);
}

static void run_copy(struct run *to, const struct run *from)
{
    memcpy(to->room, from->room, sizeof(to->room));
    to->at = to->room + (from->at - from->room);
    to->n = from->n;
}

static void assert_same(const char *table, const char *entry, const struct run *got,
                        const struct run *want, double tolerance)
{
    for (size_t i = 0; i < ROOM; i++) {
        double difference = fabs((double)got->room[i] - (double)want->room[i]);
        if (!(difference <= tolerance))
            fail_msg("%s %s n=%zu place %td: %.9g, scalar says %.9g", table, entry, got->n,
                     (ptrdiff_t)i - (got->at - got->room), (double)got->room[i],
                     (double)want->room[i]);
    }
}

/* Calls `body` for every table above scalar, size and offset. */
static void each(void (*body)(const struct kernels *k, struct rng *rng, size_t n, size_t offset))
{
    struct rng rng;
    rand_seed(&rng, 7);
    for (size_t t = 1; t < table_count; t++) {
        for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
            for (size_t offset = 0; offset < OFFSETS; offset++)
                body(&tables[t], &rng, sizes[i], offset);
        }
    }
}

static void dot_body(const struct kernels *k, struct rng *rng, size_t n, size_t offset)
{
    struct run a, b;
    run_fill(&a, rng, offset, n, 1);
    run_fill(&b, rng, 0, n, 1);
    double got = (double)k->dot(a.at, b.at, n);
    double want = (double)kernels_scalar.dot(a.at, b.at, n);
    if (!(fabs(got - want) <= 1e-5))
        fail_msg("%s dot n=%zu: %.9g, scalar says %.9g", k->name, n, got, want);
}

static void add_body(const struct kernels *k, struct rng *rng, size_t n, size_t offset)
{
    struct run a, b, got;
    run_fill(&a, rng, offset, n, 1);
    run_fill(&b, rng, 1, n, 1);
    run_copy(&got, &a);
    k->add(got.at, b.at, n);
    kernels_scalar.add(a.at, b.at, n);
    assert_same(k->name, "add", &got, &a, 0);
}

static void scale_body(const struct kernels *k, struct rng *rng, size_t n, size_t offset)
{
    struct run a, got;
    run_fill(&a, rng, offset, n, 1);
    run_copy(&got, &a);
    k->scale(got.at, 0.37f, n);
    kernels_scalar.scale(a.at, 0.37f, n);
    assert_same(k->name, "scale", &got, &a, 0);
}

static void layer_norm_body(const struct kernels *k, struct rng *rng, size_t n, size_t offset)
{
    struct run x, gain, shift, got;
    run_fill(&x, rng, offset, n, 3);
    run_fill(&gain, rng, 0, n, 1);
    run_fill(&shift, rng, 1, n, 1);
    run_copy(&got, &x);
    k->layer_norm(got.at, gain.at, shift.at, n, 1e-5f);
    kernels_scalar.layer_norm(x.at, gain.at, shift.at, n, 1e-5f);
    assert_same(k->name, "layer_norm", &got, &x, 5e-6);
}

static void exp_sum_body(const struct kernels *k, struct rng *rng, size_t n, size_t offset)
{
    static const double spreads[] = { 1, 30, 1000 };
    for (size_t i = 0; i < 2 * ARRAY_COUNT(spreads); i++) {
        struct run x, got, bias;
        run_fill(&x, rng, offset, n, spreads[i / 2]);
        run_fill(&bias, rng, 1, n, 2);
        run_copy(&got, &x);
        const float *with = i % 2 ? bias.at : NULL;
        double sum = (double)k->exp_sum(got.at, n, 0.25f, with);
        double want = (double)kernels_scalar.exp_sum(x.at, n, 0.25f, with);
        /* What is rounded is the exponent, of up to 500. */
        assert_same(k->name, "exp_sum", &got, &x, 1e-6 + 1e-7 * spreads[i / 2]);
        if (!(fabs(sum - want) <= 1e-6 * (1 + spreads[i / 2]) * fmax(1, want)))
            fail_msg("%s exp_sum n=%zu: sum %.9g, scalar says %.9g", k->name, n, sum, want);
    }
}

static void activate_body(const struct kernels *k, struct rng *rng, size_t n, size_t offset)
{
    for (size_t i = 0; i < ARRAY_COUNT(activations); i++) {
        struct run x, got;
        run_fill(&x, rng, offset, n, 8);
        run_copy(&got, &x);
        k->activate(got.at, n, activations[i]);
        kernels_scalar.activate(x.at, n, activations[i]);
        assert_same(k->name, "activate", &got, &x, i == 0 ? 0 : 2e-6);
    }
}

/* Blocks of 8 rows of 8, what is left of both, and no row or column at all. */
static void transpose_body(const struct kernels *k, struct rng *rng, size_t n, size_t offset)
{
    const size_t columns = n < 17 ? n : 17, rows = n < 17 ? 1 : n / 17;
    struct run x, got, want;
    run_fill(&x, rng, offset, n, 1);
    run_fill(&got, rng, 1, n, 1);
    run_copy(&want, &got);
    k->transpose(got.at, rows, x.at, columns, rows, columns);
    kernels_scalar.transpose(want.at, rows, x.at, columns, rows, columns);
    assert_same(k->name, "transpose", &got, &want, 0);
}

static void test_entries_agree_with_scalar(void **state)
{
    (void)state;
    each(transpose_body);
    each(dot_body);
    each(add_body);
    each(scale_body);
    each(layer_norm_body);
    each(exp_sum_body);
    each(activate_body);
}

/* The stated errors, over the whole range that matters. */
static void test_gelu_and_exp_keep_their_stated_errors(void **state)
{
    (void)state;
    for (size_t t = 1; t < table_count; t++) {
        for (double x = -100; x <= 100; x += fabs(x) < 9 ? 0.0037 : 0.5) {
            for (size_t i = 0; i < ARRAY_COUNT(activations); i++) {
                float got = (float)x, want = (float)x;
                tables[t].activate(&got, 1, activations[i]);
                kernels_scalar.activate(&want, 1, activations[i]);
                if (!(fabs((double)got - (double)want) <= 5e-7 * fmax(1, fabs(x))))
                    fail_msg("%s activation %zu of %g = %.9g, scalar says %.9g", tables[t].name, i,
                             x, (double)got, (double)want);
            }
        }
        for (double x = 0; x > -80; x -= 0.013) {
            float pair[2] = { 0, (float)x };
            double e = exp((double)pair[1]);
            double sum = (double)tables[t].exp_sum(pair, 2, 1, NULL);
            if (!(fabs((double)pair[1] - e) <= 5e-7 * e && fabs(sum - 1 - e) <= 2e-7 * (1 + e)))
                fail_msg("%s exp(%g): relative error too large", tables[t].name, x);
        }
    }
}

static void test_a_nan_is_never_hidden(void **state)
{
    (void)state;
    for (size_t t = 0; t < table_count; t++) {
        const struct kernels *k = &tables[t];
        float x[20], ones[20];
        for (size_t at = 0; at < 20; at++) {
            for (size_t entry = 0; entry < 2 + ARRAY_COUNT(activations); entry++) {
                for (size_t i = 0; i < 20; i++)
                    x[i] = i == at ? NAN : (float)i, ones[i] = 1;
                if (entry == 0)
                    assert_true(isnan(k->exp_sum(x, 20, 1, NULL)));
                if (entry == 1)
                    k->layer_norm(x, ones, ones, 20, 0);
                if (entry >= 2)
                    k->activate(x, 20, activations[entry - 2]);
                assert_true(isnan(x[at]));
            }
        }
    }
}

enum { DEPTH_MOST = 67, TILE_MOST_ROWS = 12, TILE_MOST_COLUMNS = 32 };

struct tile_size {
    size_t rows, columns;
};

/* Inputs of one tile; the panel is packed for the kernel that gets it. */
struct tile_case {
    float a[TILE_MOST_ROWS * (DEPTH_MOST + 2)];
    float weights[TILE_MOST_COLUMNS][DEPTH_MOST];
    float bias[TILE_MOST_COLUMNS];
    float addend[TILE_MOST_ROWS * TILE_MOST_COLUMNS];
    size_t depth;
};

static void tile_case_fill(struct tile_case *c, struct rng *rng, size_t depth)
{
    c->depth = depth;
    for (size_t i = 0; i < ARRAY_COUNT(c->a); i++)
        c->a[i] = (float)(rand_unit(rng) - 0.5);
    for (size_t n = 0; n < TILE_MOST_COLUMNS; n++) {
        c->bias[n] = (float)rand_unit(rng);
        for (size_t k = 0; k < depth; k++)
            c->weights[n][k] = (float)(rand_unit(rng) - 0.5);
    }
    for (size_t i = 0; i < ARRAY_COUNT(c->addend); i++)
        c->addend[i] = (float)rand_unit(rng);
}

/* The panel from column `first` on, and the rows as the kernel wants them. */
struct tile_input {
    union {
        float f32[DEPTH_MOST * TILE_MOST_COLUMNS];
        uint16_t bf16[(DEPTH_MOST + 1) * TILE_MOST_COLUMNS];
    } panel;
    uint16_t rounded[TILE_MOST_ROWS * (DEPTH_MOST + 1)];
};

static void tile_pack(const struct tile_case *c, const struct matmul_kernel *m,
                      enum precision precision, size_t first, struct tile_input *to)
{
    const size_t nr = m->columns;
    memset(to, 0, sizeof(*to));
    for (size_t n = 0; n < nr; n++) {
        for (size_t k = 0; k < c->depth; k++) {
            float number = c->weights[(first + n) % TILE_MOST_COLUMNS][k];
            if (precision == PRECISION_F32)
                to->panel.f32[k * nr + n] = number;
            else if (m->round)
                to->panel.bf16[k / 2 * 2 * nr + 2 * n + k % 2] = dtype_bf16(number);
            else
                to->panel.bf16[k * nr + n % (nr / 2) * 2 + n / (nr / 2)] = dtype_bf16(number);
        }
    }
    for (size_t row = 0; m->round && row < TILE_MOST_ROWS; row++)
        m->round(to->rounded + row * (DEPTH_MOST + 1), c->a + row * (DEPTH_MOST + 2) + 1, c->depth);
}

/* out is [rows][40] with guards of 7 behind each row. Computed from rows × columns tiles. */
static void tile_case_run(const struct tile_case *c, const struct kernels *k,
                          enum precision precision, struct tile_size size, bool plain, float *out)
{
    const struct matmul_kernel *m = &k->matmul[precision];
    struct tile_input in;
    for (size_t i = 0; i < size.rows * 40; i++)
        out[i] = 777;
    for (size_t first = 0; first < size.columns; first += m->columns) {
        tile_pack(c, m, precision, first, &in);
        for (size_t row = 0; row < size.rows; row += m->rows) {
            struct matmul_tile t = {
                .a = c->a + row * (DEPTH_MOST + 2) + 1,
                .a_stride = DEPTH_MOST + 2,
                .rows = size.rows - row < m->rows ? size.rows - row : m->rows,
                .panel = &in.panel,
                .depth = c->depth,
                .bias = plain ? NULL : c->bias + first,
                .addend = plain ? NULL : c->addend + row * TILE_MOST_COLUMNS + first,
                .addend_stride = TILE_MOST_COLUMNS,
                .out = out + row * 40 + 1 + first,
                .out_stride = 40,
                .columns = size.columns - first < m->columns ? size.columns - first : m->columns,
                .activation = plain ? ACTIVATION_NONE : ACTIVATION_GELU,
                .ahead = &in.panel,
                .ahead_step = 1,
            };
            if (m->round) {
                t.a = in.rounded + row * (DEPTH_MOST + 1);
                t.a_stride = DEPTH_MOST + 1;
            }
            m->tile(&t);
        }
    }
}

/* Where rows are rounded too, each product is off by 2^-8 of its 1/4 at most, with random signs. */
static void compare_tile(const struct kernels *k, const struct tile_case *c,
                         enum precision precision, struct tile_size size)
{
    const double tolerance = k->matmul[precision].round ? 1e-2 : 4e-6;
    float got[TILE_MOST_ROWS * 40], want[TILE_MOST_ROWS * 40];
    for (int plain = 0; plain < 2; plain++) {
        tile_case_run(c, k, precision, size, plain, got);
        tile_case_run(c, &kernels_scalar, precision, size, plain, want);
        for (size_t i = 0; i < size.rows * 40; i++) {
            if (!(fabs((double)got[i] - (double)want[i]) <= tolerance))
                fail_msg("%s %s tile rows=%zu columns=%zu depth=%zu plain=%d at %zu,%zu: %.9g, "
                         "scalar says %.9g",
                         k->name, precision_name(precision), size.rows, size.columns, c->depth,
                         plain, i / 40, i % 40, (double)got[i], (double)want[i]);
        }
    }
}

static void compare_tiles(const struct kernels *k, const struct tile_case *c,
                          enum precision precision)
{
    static const size_t widths[] = { 1, 7, 8, 9, 15, 16, 17, 31, 32 };
    for (size_t rows = 1; rows <= k->matmul[precision].rows; rows++) {
        for (size_t w = 0; w < ARRAY_COUNT(widths); w++)
            compare_tile(k, c, precision, (struct tile_size){ rows, widths[w] });
    }
}

/* What a tile with rounded rows is exactly: the scalar tile for rows that were rounded before. */
static void test_rounded_rows_are_all_that_differs(void **state)
{
    struct tile_case *c = mem_new(1, sizeof(*c)), *rounded = mem_new(1, sizeof(*c));
    struct rng rng;
    size_t seen = 0;
    (void)state;
    rand_seed(&rng, 9);
    tile_case_fill(c, &rng, DEPTH_MOST);
    *rounded = *c;
    for (size_t i = 0; i < ARRAY_COUNT(c->a); i++) {
        uint16_t bits = dtype_bf16(c->a[i]);
        dtype_to_f32(DTYPE_BF16, &bits, &rounded->a[i], 1);
    }
    for (size_t t = 1; t < table_count; t++) {
        float got[TILE_MOST_ROWS * 40], want[TILE_MOST_ROWS * 40];
        const struct tile_size size = { 5, 32 };
        if (tables[t].matmul[PRECISION_BF16].round == NULL)
            continue;
        seen++;
        tile_case_run(c, &tables[t], PRECISION_BF16, size, true, got);
        tile_case_run(rounded, &kernels_scalar, PRECISION_BF16, size, true, want);
        for (size_t i = 0; i < size.rows * 40; i++)
            assert_true(fabs((double)got[i] - (double)want[i]) <= 4e-6);
    }
    assert_true(seen > 0);
    mem_free(c);
    mem_free(rounded);
}

/* All kinds of numbers, against the one place that says how one is rounded. */
static void test_rows_are_rounded_like_single_numbers(void **state)
{
    static const uint32_t hostile[] = { 0,          0x80000000, 1,          0x7f800000, 0xff800000,
                                        0x7fc00000, 0x7f800001, 0xffffffff, 0x7f7fffff, 0x3f808000,
                                        0x3f818000, 0x3f808001, 0x00008000, 0x00018000 };
    struct rng rng;
    (void)state;
    rand_seed(&rng, 10);
    for (size_t t = 1; t < table_count; t++) {
        for (size_t n = 0; n <= 67 && tables[t].matmul[PRECISION_BF16].round; n++) {
            float from[67];
            uint16_t to[70];
            memset(to, 0x77, sizeof(to));
            for (size_t i = 0; i < n; i++) {
                uint32_t bits = (uint32_t)(rand_unit(&rng) * 4294967295.0);
                bits = i % 3 ? bits : hostile[(i + n) % ARRAY_COUNT(hostile)];
                memcpy(&from[i], &bits, sizeof(bits));
            }
            tables[t].matmul[PRECISION_BF16].round(to, from, n);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(to[i], dtype_bf16(from[i]));
            assert_int_equal(to[n], n % 2 ? 0 : 0x7777);
            assert_int_equal(to[n + 1], 0x7777);
        }
    }
}

static void test_tiles_agree_with_scalar(void **state)
{
    static const size_t depths[] = { 0, 1, 2, 8, DEPTH_MOST };
    struct tile_case *c = mem_new(1, sizeof(*c));
    struct rng rng;
    (void)state;
    rand_seed(&rng, 8);
    for (size_t t = 1; t < table_count; t++) {
        for (size_t d = 0; d < ARRAY_COUNT(depths); d++) {
            tile_case_fill(c, &rng, depths[d]);
            for (size_t precision = 0; precision < PRECISION_COUNT; precision++)
                compare_tiles(&tables[t], c, (enum precision)precision);
        }
    }
    mem_free(c);
}

static void test_an_empty_level_changes_nothing_but_the_name(void **state)
{
    const struct kernels nothing = { .name = "nothing" };
    struct kernels table = kernels_scalar;
    (void)state;
    kernels_overlay(&table, &nothing);
    assert_string_equal(table.name, "nothing");
    table.name = kernels_scalar.name;
    assert_memory_equal(&table, &kernels_scalar, sizeof(table));
}

static void test_levels_are_forced_and_refused_by_name(void **state)
{
    struct kernels table;
    struct weir_error err;
    (void)state;
    assert_int_equal(kernels_choose("scalar", &table, &err), WEIR_OK);
    assert_string_equal(table.name, "scalar");
    assert_int_equal(kernels_choose("mmx", &table, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "'mmx' is unknown; there are: scalar avx2"));
    assert_int_equal(setenv("WEIR_CPU", "scalar", 1), 0);
    assert_int_equal(kernels_choose(NULL, &table, &err), WEIR_OK);
    assert_string_equal(table.name, "scalar");
    assert_int_equal(unsetenv("WEIR_CPU"), 0);
    if (!__builtin_cpu_supports("avx512f")) {
        assert_int_equal(kernels_choose("avx512", &table, &err), WEIR_INVALID);
        assert_non_null(strstr(err.text, "'avx512'"));
        assert_string_equal(table.name, "scalar"); /* untouched */
    }
}

static int find_tables(void **state)
{
    static const char *const names[] = { "scalar", "avx2", "avx512" };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (kernels_choose(names[i], &tables[table_count], NULL) == WEIR_OK)
            table_count++;
        else
            print_message("this CPU has no %s: skipped natively\n", names[i]);
    }
    tables[table_count] = kernels_scalar;
    kernels_overlay(&tables[table_count], &kernels_avx512_emulated);
    tables[table_count++].name = "avx512 emulated";
    tables[table_count] = tables[table_count - 1];
    kernels_overlay(&tables[table_count], &kernels_avx512_bf16_emulated);
    tables[table_count++].name = "avx512_bf16 emulated";
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_agree_with_scalar),
        cmocka_unit_test(test_gelu_and_exp_keep_their_stated_errors),
        cmocka_unit_test(test_a_nan_is_never_hidden),
        cmocka_unit_test(test_tiles_agree_with_scalar),
        cmocka_unit_test(test_rounded_rows_are_all_that_differs),
        cmocka_unit_test(test_rows_are_rounded_like_single_numbers),
        cmocka_unit_test(test_an_empty_level_changes_nothing_but_the_name),
        cmocka_unit_test(test_levels_are_forced_and_refused_by_name),
    };
    return cmocka_run_group_tests(tests, find_tables, NULL);
}
