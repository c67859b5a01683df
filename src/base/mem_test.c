#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void gives_zeroed_memory(void **state)
{
    (void)state;
    static const uint8_t zeros[100];
    uint8_t *const a = mem_new(10, 10);
    uint8_t *const b = mem_try(100, 1);
    assert_memory_equal(a, zeros, 100);
    assert_memory_equal(b, zeros, 100);
    mem_free(a);
    mem_free(b);
    mem_free(NULL);
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        uint8_t *const c = mem_try_aligned(100, alignment);
        assert_non_null(c);
        assert_int_equal((uintptr_t)c % alignment, 0);
        assert_memory_equal(c, zeros, 100);
        mem_free(c);
    }
}

/* Also where the pages were used before and come back from the heap. */
static void large_blocks_are_zeroed_too(void **state)
{
    (void)state;
    const size_t bytes = ((size_t)1 << 20) + 12345;
    for (int round = 0; round < 3; round++) {
        uint8_t *const block = mem_try_aligned(bytes + (size_t)round, 64);
        size_t zeros = 0;
        for (size_t i = 0; i < bytes; i++)
            zeros += block[i] == 0;
        assert_int_equal(zeros, bytes);
        memset(block, 0xff, bytes);
        mem_clear(block + 1, bytes - 2); /* and nothing around it */
        assert_int_equal(block[0], 0xff);
        assert_int_equal(block[bytes - 1], 0xff);
        zeros = 0;
        for (size_t i = 1; i < bytes - 1; i++)
            zeros += block[i] == 0;
        assert_int_equal(zeros, bytes - 2);
        mem_free(block);
    }
}

/* NULL means failure and nothing else. */
static void nothing_is_an_allocation(void **state)
{
    (void)state;
    void *const given[] = { mem_new(0, 8), mem_try(8, 0), mem_try_aligned(0, 64),
                            mem_resize(NULL, 0, 1) };
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        assert_non_null(given[i]);
        mem_free(given[i]);
    }
}

static void refuses_overflow(void **state)
{
    (void)state;
    assert_null(mem_try(SIZE_MAX, 1));
    assert_null(mem_try(SIZE_MAX / 2 + 1, 2));
    assert_null(mem_try(2, SIZE_MAX / 2 + 1));
    assert_null(mem_try((size_t)1 << 32, (size_t)1 << 32));
    assert_null(mem_try_aligned(SIZE_MAX, 64));
    char *const old = mem_copy_text("kept", 4);
    assert_null(mem_resize(old, SIZE_MAX / 2 + 1, 2));
    assert_string_equal(old, "kept");
    mem_free(old);
}

static void resizes_and_copies(void **state)
{
    (void)state;
    char *text = mem_copy_text("copied and more", 6);
    assert_string_equal(text, "copied");
    text = mem_resize(text, 1000, 10);
    assert_non_null(text);
    assert_string_equal(text, "copied");
    mem_free(text);
    text = mem_copy_text(NULL, 0);
    assert_string_equal(text, "");
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_memory),      cmocka_unit_test(large_blocks_are_zeroed_too),
        cmocka_unit_test(nothing_is_an_allocation), cmocka_unit_test(refuses_overflow),
        cmocka_unit_test(resizes_and_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
