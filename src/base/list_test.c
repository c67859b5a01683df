#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int number;
    struct link link;
};

static struct item *item_of(struct link *l)
{
    return CONTAINER_OF(l, struct item, link);
}

/* The numbers on the list as one decimal number, checked in both directions. */
static int spell(struct link *head)
{
    int forward = 0;
    int backward = 0;
    int weight = 1;
    LIST_EACH(head, at) {
        assert_ptr_equal(at->next->prev, at);
        forward = forward * 10 + item_of(at)->number;
    }
    for (struct link *at = head->prev; at != head; at = at->prev) {
        backward += weight * item_of(at)->number;
        weight *= 10;
    }
    assert_int_equal(forward, backward);
    return forward;
}

static void keeps_order(void **state)
{
    (void)state;
    struct item items[6];
    for (int i = 0; i < 6; i++)
        items[i] = (struct item){ .number = i };
    struct link head;
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_first(&head));
    assert_int_equal(spell(&head), 0);
    list_push_back(&head, &items[2].link);
    list_push_back(&head, &items[4].link);
    list_push_front(&head, &items[1].link);
    list_insert_before(&items[4].link, &items[3].link);
    list_push_back(&head, &items[5].link);
    assert_int_equal(spell(&head), 12345);
    assert_ptr_equal(item_of(list_first(&head)), &items[1]);
    list_remove(&items[3].link);
    list_remove(&items[1].link);
    list_remove(&items[5].link);
    assert_int_equal(spell(&head), 24);
}

static void removing_twice_is_harmless(void **state)
{
    (void)state;
    struct item item = { .number = 7 };
    struct link head;
    list_init(&head);
    list_remove(&item.link);
    assert_false(link_is_on_list(&item.link));
    list_push_back(&head, &item.link);
    assert_true(link_is_on_list(&item.link));
    list_remove(&item.link);
    list_remove(&item.link);
    assert_false(link_is_on_list(&item.link));
    assert_true(list_empty(&head));
    list_init(&item.link);
    assert_false(link_is_on_list(&item.link));
}

static void moves_whole_lists(void **state)
{
    (void)state;
    struct item items[3];
    struct link from, to;
    list_init(&from);
    for (int i = 0; i < 3; i++) {
        items[i] = (struct item){ .number = i + 1 };
        list_push_back(&from, &items[i].link);
    }
    list_move(&to, &from);
    assert_true(list_empty(&from));
    assert_int_equal(spell(&to), 123);
    list_move(&to, &from);
    assert_true(list_empty(&to));
}

/* The idiom for bodies that remove and add: each member is met once, though it goes back at
 * once. */
static void a_moved_list_can_be_walked_while_it_changes(void **state)
{
    (void)state;
    struct item items[3];
    struct link head, local;
    list_init(&head);
    for (int i = 0; i < 3; i++) {
        items[i] = (struct item){ .number = i + 1 };
        list_push_back(&head, &items[i].link);
    }
    list_move(&local, &head);
    int met = 0;
    struct link *l;
    while ((l = list_first(&local)) != NULL) {
        list_remove(l);
        list_push_front(&head, l);
        met++;
    }
    assert_int_equal(met, 3);
    assert_int_equal(spell(&head), 321);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order),
        cmocka_unit_test(removing_twice_is_harmless),
        cmocka_unit_test(moves_whole_lists),
        cmocka_unit_test(a_moved_list_can_be_walked_while_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
