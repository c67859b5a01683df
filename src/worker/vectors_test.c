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
    vectors_cut(vectors, 3, 3, 2, WIRE_NORMALIZE_AS_MODEL);
    const float expected[] = { 1, 0, 0, 0, 0, 1 }; /* what is left of one may be nothing */
    for (size_t i = 0; i < 6; i++)
        assert_float_equal(vectors[i], expected[i], 1e-6);
}

/* Of a model without Normalize. */
static void cuts_what_had_any_length(void **state)
{
    (void)state;
    float vectors[] = { 3, 4, 5, 8, 6, 7 };
    vectors_cut(vectors, 2, 3, 2, WIRE_NORMALIZE_AS_MODEL);
    const float expected[] = { 0.6f, 0.8f, 0.8f, 0.6f };
    for (size_t i = 0; i < 4; i++)
        assert_float_equal(vectors[i], expected[i], 1e-6);
}

static void all_of_it_stays_as_it_is(void **state)
{
    (void)state;
    float vectors[] = { 3, 4 };
    vectors_cut(vectors, 1, 2, 2, WIRE_NORMALIZE_AS_MODEL);
    assert_float_equal(vectors[0], 3, 0);
    assert_float_equal(vectors[1], 4, 0);
}

static void as_it_was_asked_for(void **state)
{
    (void)state;
    float yes[] = { 3, 4 }, no[] = { 3, 4, 5, 8, 6, 7 };
    vectors_cut(yes, 1, 2, 2, WIRE_NORMALIZE_YES);
    assert_float_equal(yes[0], 0.6f, 1e-6);
    assert_float_equal(yes[1], 0.8f, 1e-6);
    vectors_cut(no, 2, 3, 2, WIRE_NORMALIZE_NO);
    const float expected[] = { 3, 4, 8, 6 };
    assert_memory_equal(no, expected, sizeof(expected));
}

/* So that a vector has the same bits whether its length was asked for or the model's own. */
static void what_has_length_1_stays_as_it_is(void **state)
{
    (void)state;
    float vector[] = { 0.6000003f, 0.7999996f, 0 };
    const float before[] = { 0.6000003f, 0.7999996f, 0 };
    vectors_cut(vector, 1, 3, 3, WIRE_NORMALIZE_YES);
    assert_memory_equal(vector, before, sizeof(before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_and_normalises_again),
        cmocka_unit_test(cuts_what_had_any_length),
        cmocka_unit_test(all_of_it_stays_as_it_is),
        cmocka_unit_test(as_it_was_asked_for),
        cmocka_unit_test(what_has_length_1_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
