#include "base/map.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    uint64_t id;
    bool is_in;
    bool was_seen;
};

static void puts_gets_removes(void **state)
{
    (void)state;
    struct map m;
    map_init(&m);
    int one, two, other;
    assert_null(map_get(&m, STR("one")));
    assert_null(map_remove(&m, STR("one")));
    map_put(&m, STR("one"), &one);
    map_put(&m, STR("two"), &two);
    map_put(&m, STR(""), &other);
    assert_int_equal(m.count, 3);
    assert_ptr_equal(map_get(&m, STR("one")), &one);
    assert_ptr_equal(map_get(&m, str_of(NULL)), &other);
    assert_null(map_get(&m, STR("on")));
    map_put(&m, STR("one"), &other);
    assert_int_equal(m.count, 3);
    assert_ptr_equal(map_get(&m, STR("one")), &other);
    assert_ptr_equal(map_remove(&m, STR("one")), &other);
    assert_null(map_remove(&m, STR("one")));
    assert_null(map_get(&m, STR("one")));
    assert_int_equal(m.count, 2);
    map_finish(&m);
    map_finish(NULL);
}

/* Replacing takes the key pointer too, so that the old value and its key may die. */
static void replacing_replaces_the_key(void **state)
{
    (void)state;
    struct map m;
    map_init(&m);
    char old_key[] = "key";
    char new_key[] = "key";
    int old_value, new_value;
    map_put(&m, str_of(old_key), &old_value);
    map_put(&m, str_of(new_key), &new_value);
    old_key[0] = 'X';
    assert_ptr_equal(map_get(&m, STR("key")), &new_value);
    new_key[0] = 'Y';
    assert_null(map_get(&m, STR("key")));
    map_finish(&m);
}

static size_t walk(struct map *m)
{
    size_t cursor = 0;
    size_t seen = 0;
    struct item *item;
    while ((item = map_next(m, &cursor)) != NULL) {
        assert_true(item->is_in);
        assert_false(item->was_seen);
        item->was_seen = true;
        seen++;
    }
    return seen;
}

/* Random traffic against a plain array of flags. The map grows and shrinks many times, so that runs
 * of neighbours form, wrap around the end and are closed up again by removals. */
static void agrees_with_a_model(void **state)
{
    (void)state;
    enum { COUNT = 700, STEPS = 60000 };
    static struct item items[COUNT];
    struct map m;
    struct rng r;
    map_init(&m);
    rand_seed(&r, 7);
    size_t in = 0;
    for (uint64_t i = 0; i < COUNT; i++)
        items[i].id = i;
    for (size_t step = 0; step < STEPS; step++) {
        struct item *const item = &items[rand_below(&r, COUNT)];
        /* Phases in which more is put, then more is removed. */
        const bool puts = rand_below(&r, 10) < (step / 5000 % 2 == 0 ? 8u : 2u);
        if (puts) {
            map_put(&m, map_id(&item->id), item);
            in += item->is_in ? 0 : 1;
            item->is_in = true;
        } else {
            assert_ptr_equal(map_remove(&m, map_id(&item->id)), item->is_in ? item : NULL);
            in -= item->is_in ? 1 : 0;
            item->is_in = false;
        }
        assert_int_equal(m.count, in);
        if (step % 500 != 0)
            continue;
        for (size_t i = 0; i < COUNT; i++) {
            assert_ptr_equal(map_get(&m, map_id(&items[i].id)), items[i].is_in ? &items[i] : NULL);
            items[i].was_seen = false;
        }
        assert_int_equal(walk(&m), in);
    }
    map_finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_gets_removes),
        cmocka_unit_test(replacing_replaces_the_key),
        cmocka_unit_test(agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
