#include "supervisor/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Each by its name and no other: the least is taken, less is not, and says so. */
static void every_limit_is_set_by_its_name(void **state)
{
    (void)state;
    struct limits wanted = limits_default, l = limits_default;
    struct weir_error err;
#define X(name, value, least, says)                                                                \
    assert_int_equal(l.name, value);                                                               \
    assert_int_equal(limits_set(&l, #name, (least)-1, &err), WEIR_INVALID);                        \
    assert_memory_equal(&l, &wanted, sizeof l);                                                    \
    assert_non_null(strstr(err.text, #name));                                                      \
    wanted.name = (least);                                                                         \
    assert_int_equal(limits_set(&l, #name, least, NULL), WEIR_OK);                                 \
    assert_memory_equal(&l, &wanted, sizeof l);
    POOL_LIMITS(X)
#undef X
}

static void the_refused_value_and_the_least_are_named(void **state)
{
    (void)state;
    struct limits l = limits_default;
    struct weir_error err;
    assert_int_equal(limits_set(&l, "ageing_ms", -5, &err), WEIR_INVALID);
    assert_string_equal(err.text, "limit ageing_ms is -5, the least is 1");
    assert_int_equal(limits_set(&l, "ageing", 5, &err), WEIR_INVALID);
    assert_string_equal(err.text, "there is no limit named 'ageing'");
    assert_memory_equal(&l, &limits_default, sizeof l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_is_set_by_its_name),
        cmocka_unit_test(the_refused_value_and_the_least_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
