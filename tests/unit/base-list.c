// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

#define ITEMS 4

struct item {
	int number;
	struct list node;
};

/* Items 0 to ITEMS - 1 in order, on a new list */
static void fill(struct list *head, struct item items[ITEMS])
{
	list_init(head);
	for (int i = 0; i < ITEMS; i++) {
		items[i].number = i;
		list_append(head, &items[i].node);
	}
}

/* The numbers in order as decimal digits, front first; 0: empty */
static int digits(struct list *head)
{
	int n = 0;

	list_for_each (it, head)
		n = 10 * n + 1 + list_entry(it, struct item, node)->number;
	return n;
}

static void test_append(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[ITEMS];

	(void)state;
	assert_true(list_empty(&head));
	assert_int_equal(digits(&head), 0);
	fill(&head, items);
	assert_false(list_empty(&head));
	assert_int_equal(digits(&head), 1234);
	assert_ptr_equal(list_first(&head, struct item, node), &items[0]);
	assert_ptr_equal(head.prev, &items[ITEMS - 1].node);
}

static void test_remove(void **state)
{
	struct item items[ITEMS];
	struct list head;

	(void)state;
	fill(&head, items);
	list_remove(&items[1].node);
	assert_int_equal(digits(&head), 134);
	assert_true(list_empty(&items[1].node));
	list_remove(&items[1].node); /* twice is safe */
	assert_int_equal(digits(&head), 134);
	list_remove(&items[0].node);
	list_remove(&items[3].node);
	assert_int_equal(digits(&head), 3);
	list_append(&head, &items[1].node);
	assert_int_equal(digits(&head), 32);
}

static void test_pop(void **state)
{
	struct item items[ITEMS];
	struct list head;

	(void)state;
	fill(&head, items);
	for (int i = 0; i < ITEMS; i++) {
		assert_ptr_equal(list_pop(&head), &items[i].node);
		assert_true(list_empty(&items[i].node));
	}
	assert_null(list_pop(&head));
	assert_true(list_empty(&head));
}

static void test_remove_while_walking(void **state)
{
	struct item items[ITEMS];
	struct list head;
	int seen = 0;

	(void)state;
	fill(&head, items);
	list_for_each_safe (it, &head) {
		seen++;
		if (list_entry(it, struct item, node)->number % 2)
			list_remove(it);
	}
	assert_int_equal(seen, ITEMS);
	assert_int_equal(digits(&head), 13);
	list_for_each_safe (it, &head)
		list_remove(it);
	assert_true(list_empty(&head));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_pop),
		cmocka_unit_test(test_remove_while_walking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
