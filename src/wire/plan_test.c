#include "wire/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct plan example(void)
{
    return (struct plan){
        .capabilities = 3,
        .architecture = "bert",
        .digest = {1,           2, 3, [31] = 255 },
        .weights_bytes = 90000000,
        .packed_bytes = { 86000000, 43000000},
        .fixed_bytes = 1000,
        .per_slot_bytes = 10,
        .per_token_bytes = 7,
        .scratch_per_thread_bytes = 100,
        .flops_per_token = 42000000,
        .positions = 512,
        .tokens_max = 256,
        .dim = 384,
        .slots = 32,
        .prompts = "query\npassage\n",
        .default_prompt = 2
    };
}

static void context_is_the_sum_of_its_products(void **state)
{
    (void)state;
    const struct plan p = example();
    assert_int_equal(plan_context_bytes(&p, 0, 0, 0), 1000);
    assert_int_equal(plan_context_bytes(&p, 512, 32, 4), 1000 + 10 * 32 + 7 * 512 + 100 * 4);
}

static void context_saturates(void **state)
{
    (void)state;
    struct plan p = example();
    p.per_token_bytes = UINT64_MAX / 2;
    assert_true(plan_context_bytes(&p, 3, 1, 1) == UINT64_MAX);
    p = example();
    p.fixed_bytes = UINT64_MAX - 5;
    assert_true(plan_context_bytes(&p, 1, 1, 1) == UINT64_MAX);
    assert_true(plan_context_bytes(&p, 0, 0, 0) == UINT64_MAX - 5);
}

static void larger_means_any_coefficient(void **state)
{
    (void)state;
    const struct plan a = example();
    struct plan b = a;
    assert_false(plan_larger(&a, &b));
    uint64_t *const fields[] = { &b.weights_bytes,           &b.packed_bytes[0],
                                 &b.packed_bytes[1],         &b.fixed_bytes,
                                 &b.per_slot_bytes,          &b.per_token_bytes,
                                 &b.scratch_per_thread_bytes };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        b = a;
        *fields[i] += 1;
        assert_true(plan_larger(&b, &a));
        assert_false(plan_larger(&a, &b));
    }
}

static void comes_back_and_every_cut_is_refused(void **state)
{
    (void)state;
    const struct plan p = example();
    struct buffer b;
    buffer_init(&b, 1000);
    plan_write(&b, &p);
    for (size_t cut = 0; cut <= b.len; cut++) {
        struct plan read;
        memset(&read, 0, sizeof(read));
        struct reader r = reader_of(b.data, cut);
        plan_read(&r, &read);
        assert_int_equal(reader_done(&r, NULL), cut == b.len);
        if (cut == b.len)
            assert_memory_equal(&read, &p, sizeof(p));
    }
    buffer_finish(&b);
}

static void precisions_have_names(void **state)
{
    (void)state;
    uint32_t read = 9;
    assert_string_equal(plan_precision_name(PLAN_F32), "f32");
    assert_string_equal(plan_precision_name(PLAN_BF16), "bf16");
    assert_string_equal(plan_precision_name(PLAN_PRECISIONS), "unknown");
    for (uint32_t i = 0; i < PLAN_PRECISIONS; i++) {
        assert_true(plan_precision_parse(str_of(plan_precision_name(i)), &read));
        assert_int_equal(read, i);
    }
    assert_false(plan_precision_parse(STR("f16"), &read));
    assert_false(plan_precision_parse(STR(""), &read));
    assert_int_equal(read, PLAN_BF16);
}

static void refused(const struct plan *p, const char *problem)
{
    struct buffer b;
    struct plan read;
    buffer_init(&b, 1000);
    plan_write(&b, p);
    struct reader r = reader_of(b.data, b.len);
    plan_read(&r, &read);
    assert_false(reader_ok(&r));
    assert_string_equal(r.problem, problem);
    buffer_finish(&b);
}

static void fields_out_of_range_are_refused(void **state)
{
    (void)state;
    struct plan p = example();
    p.capabilities = 0;
    refused(&p, "capabilities of a plan out of range");
    p.capabilities = 32;
    refused(&p, "capabilities of a plan out of range");
    p = example();
    p.slots = 0;
    refused(&p, "slots of a plan out of range");
    p.slots = 65;
    refused(&p, "slots of a plan out of range");
    p = example();
    p.dim = 1u << 21;
    refused(&p, "dim of a plan out of range");
}

static void the_architecture_is_a_word(void **state)
{
    (void)state;
    struct plan p = example();
    memset(p.architecture, 'x', sizeof(p.architecture)); /* no NUL */
    refused(&p, "architecture of a plan out of range");
    memset(p.architecture, 0, sizeof(p.architecture));
    refused(&p, "architecture of a plan out of range");
    p = example();
    p.architecture[2] = '\n';
    refused(&p, "architecture of a plan out of range");
    p = example();
    p.architecture[20] = 'x'; /* behind the end */
    refused(&p, "architecture of a plan out of range");
}

static void prompts_are_lines(void **state)
{
    static const char *const wrong[] = { "query", "query\npassage", "a\tb\n", "\x7f\n", "\xff\n" };
    (void)state;
    struct plan p = example();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        memset(p.prompts, 0, sizeof(p.prompts));
        memcpy(p.prompts, wrong[i], strlen(wrong[i]));
        refused(&p, "prompts of a plan out of range");
    }
    memset(p.prompts, '\n', sizeof(p.prompts)); /* no NUL */
    refused(&p, "prompts of a plan out of range");
    p = example();
    p.prompts[100] = 'x'; /* behind the end */
    refused(&p, "prompts of a plan out of range");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_is_the_sum_of_its_products),
        cmocka_unit_test(context_saturates),
        cmocka_unit_test(larger_means_any_coefficient),
        cmocka_unit_test(comes_back_and_every_cut_is_refused),
        cmocka_unit_test(precisions_have_names),
        cmocka_unit_test(fields_out_of_range_are_refused),
        cmocka_unit_test(the_architecture_is_a_word),
        cmocka_unit_test(prompts_are_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
