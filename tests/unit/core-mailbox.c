// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mail from several threads arrives once each, in the order of each sender, on
 * the loop's thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first. */
#include <cmocka.h>
#include <pthread.h>

#include "core/mailbox.h"

#define SENDERS 4
#define EACH 20000

struct letter {
	struct mail mail;
	unsigned int sender, number;
};

static struct loop *loop;
static struct mailbox box;
static struct letter letters[SENDERS][EACH];
static unsigned int next[SENDERS], total;
static pthread_t loop_thread;

static void arrived(struct mail *mail)
{
	struct letter *letter = container_of(mail, struct letter, mail);

	assert_true(pthread_equal(pthread_self(), loop_thread));
	assert_int_equal(letter->number, next[letter->sender]);
	next[letter->sender]++;
	if (++total == SENDERS * EACH)
		loop_stop(loop);
}

static void *send_all(void *arg)
{
	struct letter *mine = arg;

	for (unsigned int i = 0; i < EACH; i++)
		mailbox_send(&box, &mine[i].mail);
	return NULL;
}

static void test_senders(void **state)
{
	pthread_t threads[SENDERS];

	(void)state;
	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(mailbox_init(&box, loop), 0);
	loop_thread = pthread_self();
	for (unsigned int s = 0; s < SENDERS; s++) {
		for (unsigned int i = 0; i < EACH; i++)
			letters[s][i] =
				(struct letter){ { .run = arrived }, s, i };
		assert_int_equal(
			pthread_create(&threads[s], NULL, send_all, letters[s]),
			0);
	}
	assert_int_equal(loop_run(loop), 0);
	for (unsigned int s = 0; s < SENDERS; s++) {
		pthread_join(threads[s], NULL);
		assert_int_equal(next[s], EACH);
	}
	mailbox_fini(&box);
	mailbox_fini(&box);
	loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_senders) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
