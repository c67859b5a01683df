#include "tensor/cpu/kernels.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const level_names[KERNEL_LEVEL_COUNT] = {
#define X(ID, name) [KERNEL_##ID] = #name,
    KERNEL_LEVELS(X)
#undef X
};

/* For a message: " scalar avx2 …". */
#define X(ID, name) " " #name
static const char level_list[] = KERNEL_LEVELS(X);
#undef X

static const struct kernels *const level_tables[KERNEL_LEVEL_COUNT] = {
#define X(ID, name) [KERNEL_##ID] = &kernels_##name,
    KERNEL_LEVELS(X)
#undef X
};

static pthread_once_t detected = PTHREAD_ONCE_INIT;
static enum kernel_level best;
static bool has_pairs; /* products of BF16 pairs, a part of level avx512 */

static void detect(void)
{
    __builtin_cpu_init();
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    has_pairs = __builtin_cpu_supports("avx512bf16");
    best = has_avx2 ? has_avx512 ? KERNEL_AVX512 : KERNEL_AVX2 : KERNEL_SCALAR;
}

void kernels_overlay(struct kernels *table, const struct kernels *level)
{
#define TAKE(entry)                                                                                \
    do {                                                                                           \
        if (level->entry)                                                                          \
            table->entry = level->entry;                                                           \
    } while (0)
    table->name = level->name;
    for (size_t i = 0; i < PRECISION_COUNT; i++) {
        if (level->matmul[i].tile)
            table->matmul[i] = level->matmul[i];
    }
    TAKE(dot);
    TAKE(add);
    TAKE(scale);
    TAKE(layer_norm);
    TAKE(exp_sum);
    TAKE(activate);
    TAKE(transpose);
#undef TAKE
}

enum weir_code kernels_choose(const char *wanted, struct kernels *out, struct weir_error *err)
{
    pthread_once(&detected, detect);
    if (wanted == NULL)
        wanted = getenv("WEIR_CPU");
    size_t level = best;
    if (wanted != NULL) {
        for (level = 0; level < KERNEL_LEVEL_COUNT; level++) {
            if (strcmp(wanted, level_names[level]) == 0)
                break;
        }
        if (level == KERNEL_LEVEL_COUNT)
            return weir_fail(err, WEIR_INVALID, "the CPU level '%.40s' is unknown; there are:%s",
                             wanted, level_list);
        if (level > (size_t)best)
            return weir_fail(err, WEIR_INVALID,
                             "the CPU level '%s' was asked for, but this CPU offers only '%s'",
                             wanted, level_names[best]);
    }
    struct kernels table = kernels_scalar;
    for (size_t i = 1; i <= level; i++)
        kernels_overlay(&table, level_tables[i]);
    if (level == KERNEL_AVX512 && has_pairs)
        kernels_overlay(&table, &kernels_avx512_bf16);
    *out = table;
    return WEIR_OK;
}
