/* The limits have to be above what the tile reaches, or a share of them would mean nothing. */
#include "tensor/peak.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tensor/team.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_limits_are_measured_for_every_table(void **state)
{
    static const char *const levels[] = { "scalar", "avx2", "avx512" };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++) {
        struct kernels k;
        struct peak peak;
        if (kernels_choose(levels[i], &k, NULL) != WEIR_OK)
            continue;
        struct team *team = team_create(2, NULL);
        int64_t start_ns = clock_ns();
        peak_measure(&k, team, &peak);
        print_message("%s: f32 %.1f and bf16 %.1f GFLOP/s, %.1f GB/s, in %.0f ms\n", k.name,
                      peak.f32_gflops, peak.bf16_gflops, peak.read_gbs,
                      (double)(clock_ns() - start_ns) / 1e6);
        assert_true(isfinite(peak.f32_gflops) && peak.f32_gflops > 0);
        assert_true(isfinite(peak.bf16_gflops) && peak.bf16_gflops > 0);
        assert_true(isfinite(peak.read_gbs) && peak.read_gbs > 0);
        team_destroy(team);
    }
}

/* The operations that a burn says it made, against the rounds: twice as many take twice as many. */
static void test_operations_follow_the_rounds(void **state)
{
    (void)state;
    struct kernels k;
    assert_int_equal(kernels_choose(NULL, &k, NULL), WEIR_OK);
    for (size_t i = 0; i < PRECISION_COUNT; i++) {
        uint64_t one = k.matmul[i].burn(100);
        assert_true(one > 0);
        assert_int_equal(k.matmul[i].burn(200), 2 * one);
        assert_int_equal(k.matmul[i].burn(0), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_are_measured_for_every_table),
        cmocka_unit_test(test_operations_follow_the_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
