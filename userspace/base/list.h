/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intrusive circular doubly linked list. A node that is on no list points at
 * itself, so list_remove() is safe to call twice.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/err.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name)                                                        \
	{                                                                      \
		&(name), &(name)                                               \
	}

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Removes and returns the first node, or NULL when the list is empty. */
static inline struct list *list_pop(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;
	list_remove(node);
	return node;
}

#define list_entry(node, type, member) container_of(node, type, member)

#define list_first(head, type, member) list_entry((head)->next, type, member)

#define list_for_each(it, head)                                                \
	for (struct list *it = (head)->next; it != (head); it = it->next)

/* The current node may be removed by the body; no other one may. */
#define list_for_each_safe(it, head)                                           \
	for (struct list *it = (head)->next, *it##_next = it->next;            \
	     it != (head); it = it##_next, it##_next = it->next)

#endif
