#include "cmd/doctor_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void fields_are_found_by_their_whole_name(void **state)
{
    (void)state;
    const struct str text = STR("model\t\t: 17\nmodel name\t: A CPU: fast  \nempty:\nno colon\n");
    struct str value;
    assert_true(doctor_field(text, "model name", &value));
    assert_true(str_eq(value, STR("A CPU: fast")));
    assert_true(doctor_field(text, "model", &value));
    assert_true(str_eq(value, STR("17")));
    assert_true(doctor_field(text, "empty", &value));
    assert_int_equal(value.len, 0);
    assert_false(doctor_field(text, "no colon", &value));
    assert_false(doctor_field(text, "mode", &value));
    assert_false(doctor_field(STR(""), "model", &value));
}

static void bytes_have_a_unit(void **state)
{
    (void)state;
    uint64_t bytes = 7;
    assert_true(doctor_bytes(STR("MemTotal:  1 kB\nSwapTotal:\t 2048 kB\n"), "SwapTotal", &bytes));
    assert_int_equal(bytes, 2048 * 1024);
    assert_true(doctor_bytes(STR("a: 0 kB"), "a", &bytes));
    assert_int_equal(bytes, 0);
    static const char *const wrong[] = { "a: 1",
                                         "a: kB",
                                         "a: x kB",
                                         "a: 1 MB",
                                         "a:",
                                         "a: -1 kB",
                                         "b: 1 kB",
                                         "a: 1 kB x",
                                         "a: 99999999999999999999 kB",
                                         "a: 18446744073709551615 kB" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        bytes = 7;
        assert_false(doctor_bytes(str_of(wrong[i]), "a", &bytes));
        assert_int_equal(bytes, 7);
    }
}

static void the_chosen_word_is_in_brackets(void **state)
{
    (void)state;
    struct str word;
    assert_true(doctor_chosen(STR("always [madvise] never\n"), &word));
    assert_true(str_eq(word, STR("madvise")));
    assert_true(doctor_chosen(STR("[always]"), &word));
    assert_true(str_eq(word, STR("always")));
    assert_false(doctor_chosen(STR("always madvise"), &word));
    assert_false(doctor_chosen(STR("always [madvise"), &word));
    assert_false(doctor_chosen(STR(""), &word));
}

static void a_quota_is_a_number_of_cpus(void **state)
{
    (void)state;
    double cpus = 0;
    assert_true(doctor_quota(STR("150000 100000\n"), &cpus));
    assert_true(cpus == 1.5);
    assert_true(doctor_quota(STR("25000 50000"), &cpus));
    assert_true(cpus == 0.5);
    static const char *const none[] = { "max 100000", "-1 100000", "100000", "", "1 0", "1 x" };
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_false(doctor_quota(str_of(none[i]), &cpus));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_by_their_whole_name),
        cmocka_unit_test(bytes_have_a_unit),
        cmocka_unit_test(the_chosen_word_is_in_brackets),
        cmocka_unit_test(a_quota_is_a_number_of_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
