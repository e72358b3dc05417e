// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/worker.h"

#include <signal.h>

static void *worker_main(void *arg)
{
	struct worker *w = arg;

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
		mailbox_send(&w->finished, &job->mail);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void finished(struct mail *mail)
{
	struct worker_job *job = container_of(mail, struct worker_job, mail);

	job->done(job);
}

void worker_init(struct worker *w, struct loop *loop)
{
	*w = (struct worker){ .loop = loop };
	list_init(&w->todo);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
}

static int start(struct worker *w)
{
	sigset_t all, old;
	int ret = mailbox_init(&w->finished, w->loop);

	if (ret < 0)
		return ret;
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret) {
		mailbox_fini(&w->finished);
		return -ret;
	}
	w->started = true;
	return 0;
}

int worker_submit(struct worker *w, struct worker_job *job)
{
	int ret = w->started ? 0 : start(w);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&w->lock);
	list_init(&job->node);
	job->mail.run = finished;
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
		mailbox_fini(&w->finished);
	}
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
}
