// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/worker.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		struct list *node = list_pop(&w->todo);
		struct worker_job *job;

		if (!node) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		job = list_entry(node, struct worker_job, node);
		w->running = true;
		pthread_mutex_unlock(&w->lock);
		job->work(job);
		pthread_mutex_lock(&w->lock);
		w->running = false;
		list_append(&w->finished, &job->node);
		if (write(w->event, &one, sizeof(one)) < 0) {
			/* Full: the loop has an event to see already. */
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void event_read(struct op *op, int res)
{
	struct worker *w = container_of(op, struct worker, op);
	struct list *node;

	if (res < 0)
		return;
	for (;;) {
		pthread_mutex_lock(&w->lock);
		node = list_pop(&w->finished);
		pthread_mutex_unlock(&w->lock);
		if (!node)
			break;
		list_entry(node, struct worker_job, node)
			->done(list_entry(node, struct worker_job, node));
	}
	op_read(w->loop, &w->op, w->event, &w->count, sizeof(w->count));
}

void worker_init(struct worker *w, struct loop *loop)
{
	*w = (struct worker){ .loop = loop, .event = -1 };
	list_init(&w->todo);
	list_init(&w->finished);
	op_init(&w->op, event_read);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
}

static int start(struct worker *w)
{
	sigset_t all, old;
	int ret;

	w->event = eventfd(0, EFD_CLOEXEC);
	if (w->event < 0)
		return -errno;
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret) {
		close(w->event);
		w->event = -1;
		return -ret;
	}
	w->started = true;
	op_read(w->loop, &w->op, w->event, &w->count, sizeof(w->count));
	return 0;
}

int worker_submit(struct worker *w, struct worker_job *job)
{
	int ret = w->started ? 0 : start(w);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&w->lock);
	list_init(&job->node);
	list_append(&w->todo, &job->node);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

bool worker_busy(struct worker *w)
{
	bool busy;

	pthread_mutex_lock(&w->lock);
	busy = w->running || !list_empty(&w->todo);
	pthread_mutex_unlock(&w->lock);
	return busy;
}

void worker_fini(struct worker *w)
{
	if (w->started) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->wake);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
		close(w->event);
	}
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
}
