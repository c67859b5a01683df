#include "base/capability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_capability_reads_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WEIR_CAPABILITY_COUNT; i++) {
        enum weir_capability read = WEIR_CAPABILITY_COUNT;
        assert_true(capability_parse(str_of(capability_name(i)), &read));
        assert_int_equal(read, i);
    }
    enum weir_capability untouched = WEIR_VISION;
    assert_false(capability_parse(STR("text_embeddings"), &untouched));
    assert_false(capability_parse(STR(""), &untouched));
    assert_int_equal(untouched, WEIR_VISION);
}

static void names_are_those_of_the_surface(void **state)
{
    (void)state;
    assert_string_equal(capability_name(WEIR_TEXT_TO_IMAGE), "text_to_image");
    assert_string_equal(operation_name(WEIR_DETOKENIZE), "detokenize");
    assert_string_equal(capability_name(WEIR_CAPABILITY_COUNT), "unknown");
    assert_string_equal(operation_name(255), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_capability_reads_back),
        cmocka_unit_test(names_are_those_of_the_surface),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
