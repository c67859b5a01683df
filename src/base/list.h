/* list.h — intrusive doubly linked list.
 *
 * A list is a struct link that points at itself; members embed a struct link. A link that is on no
 * list is { NULL, NULL } or points at itself. If the body of a loop may remove or add, move the
 * whole list to a local head first (list_move) and walk that. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *prev, *next;
};

#define LIST_EACH(head, at) for (struct link *at = (head)->next; at != (head); at = at->next)

static inline void list_init(struct link *head)
{
    head->prev = head->next = head;
}

static inline bool list_empty(const struct link *head)
{
    return head->next == head;
}

static inline bool link_is_on_list(const struct link *l)
{
    return l->next != NULL && l->next != l;
}

static inline void list_insert_before(struct link *at, struct link *l)
{
    l->prev = at->prev;
    l->next = at;
    at->prev->next = l;
    at->prev = l;
}

static inline void list_push_back(struct link *head, struct link *l)
{
    list_insert_before(head, l);
}

static inline void list_push_front(struct link *head, struct link *l)
{
    list_insert_before(head->next, l);
}

/* Harmless on a link that is on no list. */
static inline void list_remove(struct link *l)
{
    if (l->next == NULL)
        return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->prev = l->next = NULL;
}

static inline struct link *list_first(struct link *head)
{
    return list_empty(head) ? NULL : head->next;
}

/* All of `from` becomes `to`, which must be uninitialised or empty; `from` is empty afterwards. */
static inline void list_move(struct link *to, struct link *from)
{
    list_init(to);
    if (list_empty(from))
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}

#endif
