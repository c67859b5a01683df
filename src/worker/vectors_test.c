#include "worker/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void cuts_and_normalises_again(void **state)
{
    (void)state;
    float vectors[] = { 0.6f, 0, 0.8f, 0, 0, 1, 0, 0.5f, 0 };
    vectors_cut(vectors, 3, 3, 2);
    const float expected[] = { 1, 0, 0, 0, 0, 1 }; /* what is left of one may be nothing */
    for (size_t i = 0; i < 6; i++)
        assert_float_equal(vectors[i], expected[i], 1e-6);
}

/* Of a model without Normalize. */
static void cuts_what_had_any_length(void **state)
{
    (void)state;
    float vectors[] = { 3, 4, 5, 8, 6, 7 };
    vectors_cut(vectors, 2, 3, 2);
    const float expected[] = { 0.6f, 0.8f, 0.8f, 0.6f };
    for (size_t i = 0; i < 4; i++)
        assert_float_equal(vectors[i], expected[i], 1e-6);
}

static void all_of_it_stays_as_it_is(void **state)
{
    (void)state;
    float vectors[] = { 3, 4 };
    vectors_cut(vectors, 1, 2, 2);
    assert_float_equal(vectors[0], 3, 0);
    assert_float_equal(vectors[1], 4, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_and_normalises_again),
        cmocka_unit_test(cuts_what_had_any_length),
        cmocka_unit_test(all_of_it_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
