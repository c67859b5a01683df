#include "base/arena.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void gives_zeroed_aligned_memory_apart(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static struct {
        uint8_t *data;
        size_t bytes;
    } given[COUNT];
    struct arena a;
    struct rng r;
    arena_init(&a, 64 * 1024 * 1024);
    rand_seed(&r, 1);
    for (size_t i = 0; i < COUNT; i++) {
        given[i].bytes = (size_t)rand_below(&r, i % 50 == 0 ? 100000 : 200);
        given[i].data = arena_try(&a, given[i].bytes, 1);
        assert_non_null(given[i].data);
        assert_int_equal((uintptr_t)given[i].data % 16, 0);
        for (size_t k = 0; k < given[i].bytes; k++)
            assert_int_equal(given[i].data[k], 0);
        memset(given[i].data, (int)(i % 255 + 1), given[i].bytes);
    }
    /* Had two of them a byte in common, the later one would have overwritten it. */
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < given[i].bytes; k++)
            assert_int_equal(given[i].data[k], i % 255 + 1);
    }
    arena_finish(&a);
}

static void the_ceiling_holds(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64);
    for (int i = 0; i < 4; i++)
        assert_non_null(arena_try(&a, 1, 16));
    assert_null(arena_try(&a, 1, 1));
    assert_int_equal(a.total, 64);
    arena_clear(&a);
    assert_int_equal(a.total, 0);
    assert_null(arena_try(&a, 1, 65));
    assert_non_null(arena_try(&a, 1, 64));
    arena_finish(&a);
    /* Finished is empty and usable, with the same ceiling. */
    assert_non_null(arena_try(&a, 1, 64));
    assert_null(arena_try(&a, 1, 1));
    arena_finish(&a);
    arena_finish(NULL);
}

static void hostile_sizes_do_not_overflow(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024 * 1024);
    assert_null(arena_try(&a, SIZE_MAX, 2));
    assert_null(arena_try(&a, SIZE_MAX / 2 + 1, 2));
    assert_null(arena_try(&a, SIZE_MAX, 1));
    assert_null(arena_try(&a, 1, SIZE_MAX - 14));
    assert_null(arena_str(&a, (struct str){ "x", SIZE_MAX }).data);
    assert_non_null(arena_try(&a, 0, SIZE_MAX));
    assert_non_null(arena_try(&a, SIZE_MAX, 0));
    arena_finish(&a);
}

static void cleared_memory_is_zero_again(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024 * 1024);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 100; i++) {
            uint8_t *const data = arena_try(&a, 10, 10);
            assert_non_null(data);
            for (size_t k = 0; k < 100; k++)
                assert_int_equal(data[k], 0);
            memset(data, 0xee, 100);
        }
        arena_clear(&a);
    }
    arena_finish(&a);
}

static void copies_text(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 32);
    char text[] = "hello";
    const struct str copy = arena_str(&a, str_of(text));
    text[0] = 'j';
    assert_int_equal(copy.len, 5);
    assert_string_equal(copy.data, "hello");
    const struct str empty = arena_str(&a, (struct str){ NULL, 0 });
    assert_int_equal(empty.len, 0);
    assert_string_equal(empty.data, "");
    assert_null(arena_str(&a, STR("x")).data);
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_aligned_memory_apart),
        cmocka_unit_test(the_ceiling_holds),
        cmocka_unit_test(hostile_sizes_do_not_overflow),
        cmocka_unit_test(cleared_memory_is_zero_again),
        cmocka_unit_test(copies_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
