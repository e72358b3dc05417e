// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests outlive connections: each is a job on a list until it is over, and
 * nbd.c makes commands of those on the list whenever there is a server.
 */
#include "image/nbd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/nbd_link.h"
#include "image/nbd_uri.h"

#define BACK_OFF_MAX_MS 5000

static struct nbd *nbd_of(struct image *image)
{
	return container_of(image, struct nbd, image);
}

/* --- Servers come and go --------------------------------------------------------- */

/* The connection is no more; all that was in flight on it is to do again. */
static void drop(struct nbd *nbd)
{
	nbd_link_close(nbd, false);
	list_for_each (node, &nbd->jobs)
		nbd_job_reset(list_entry(node, struct nbd_job, node));
	timer_start(nbd->image.loop, &nbd->retry, nbd->back_off);
	nbd->back_off = MIN(nbd->back_off * 2, BACK_OFF_MAX_MS);
}

static void lost(struct nbd *nbd)
{
	if (nbd->up)
		log_limited(
			&nbd->complaints, LOG_LEVEL_WARN,
			"%s: the server is lost (%s); trying again%s",
			nbd->name, nbd->why[0] ? nbd->why : "it hung up",
			nbd->written <= MAX(nbd->flushed, nbd->at_risk)
				? ""
				: " (if it crashed, it may have lost what was written since the last flush)");
	else
		log_debug("%s: cannot connect: %s", nbd->name, nbd->why);
	nbd->at_risk = nbd->written;
	drop(nbd);
}

static void came_up(struct nbd *nbd)
{
	const char *text = nbd_link_misfit(nbd);

	if (text) {
		if (!nbd->unfit)
			log_err("%s: the server is back, but the image %s: requests fail",
				nbd->name, text);
		nbd->unfit = true;
		nbd->back_off = BACK_OFF_MAX_MS;
		drop(nbd);
		return;
	}
	timer_stop(&nbd->retry);
	nbd->unfit = false;
	nbd->up = true;
	nbd_link_learn(nbd);
	log_limited(&nbd->complaints, LOG_LEVEL_INFO, "%s: the server is back",
		    nbd->name);
}

/* --- Turns --------------------------------------------------------------------------- */

static bool job_over(struct nbd_job *job)
{
	if (job->nbd->unfit)
		job->error = EIO;
	if (job->commands || (job->at < job->end && !job->error))
		return false;
	if (job->flush_then && !job->error && !job->nbd->broken)
		nbd_link_flush(job);
	return job->error || (!job->commands && !job->flush_then);
}

static void end(struct nbd *nbd, struct nbd_job *job)
{
	const struct image_request *r = job->request;

	if (!job->error && r->type == IMAGE_FLUSH)
		nbd->flushed = MAX(nbd->flushed, job->written);
	else if (!job->error && nbd_job_changes(job) && nbd->can_flush &&
		 !(r->flags & IMAGE_FUA))
		nbd->written++;
	nbd_job_end(job);
}

void nbd_turn(struct nbd *nbd)
{
	struct list over = LIST_INIT(over), *node;

	if (nbd->h && !nbd->up && nbd_link_ready(nbd))
		came_up(nbd);
	list_for_each_safe (it, &nbd->jobs) {
		struct nbd_job *job = list_entry(it, struct nbd_job, node);

		if (nbd->up)
			nbd_link_issue(job);
		if (job_over(job)) {
			list_remove(it);
			list_append(&over, it);
		}
	}
	if (nbd->h && nbd_link_over(nbd))
		lost(nbd);
	if (nbd->h)
		nbd_link_watch(nbd);
	if (list_empty(&nbd->jobs))
		timer_stop(&nbd->impatience);
	while ((node = list_pop(&over)))
		end(nbd, list_entry(node, struct nbd_job, node));
}

static void run(struct task *task)
{
	nbd_turn(container_of(task, struct nbd, task));
}

static void retry(struct timer *timer)
{
	struct nbd *nbd = container_of(timer, struct nbd, retry);

	if (nbd->h) {
		drop(nbd);
		return;
	}
	if (!nbd_link_begin(nbd)) {
		timer_start(nbd->image.loop, timer, nbd->back_off);
		nbd->back_off = MIN(nbd->back_off * 2, BACK_OFF_MAX_MS);
		return;
	}
	timer_start(nbd->image.loop, timer, NBD_CONNECT_MS);
	nbd_turn(nbd);
}

/* A server that does not answer is as good as lost. */
static void impatient(struct timer *timer)
{
	struct nbd *nbd = container_of(timer, struct nbd, impatience);
	int64_t now = loop_now(nbd->image.loop), next = nbd->patience;
	struct list late = LIST_INIT(late);

	list_for_each_safe (it, &nbd->jobs) {
		struct nbd_job *job = list_entry(it, struct nbd_job, node);

		if (job->deadline > now) {
			next = MIN(next, job->deadline - now);
			continue;
		}
		list_remove(it);
		list_append(&late, it);
	}
	timer_start(nbd->image.loop, timer, next);
	if (!list_empty(&late) && nbd->up) {
		snprintf(nbd->why, NBD_WHY_SIZE, "it does not answer");
		lost(nbd);
	}
	list_for_each_safe (it, &late) {
		list_entry(it, struct nbd_job, node)->error = EIO;
		list_remove(it);
		nbd_job_end(list_entry(it, struct nbd_job, node));
	}
	nbd_turn(nbd);
}

/* --- The image ------------------------------------------------------------------------ */

static bool supported(const struct nbd *nbd, enum image_request_type type)
{
	return (type != IMAGE_DISCARD || nbd->can_trim) &&
	       (type != IMAGE_ZERO || nbd->can_zero) &&
	       (type != IMAGE_STATUS || nbd->can_status);
}

static void nbd_submit(struct image *image, struct image_request *r)
{
	struct nbd *nbd = nbd_of(image);
	struct nbd_job *job;

	if (!supported(nbd, r->type)) {
		image_done_later(r, -EOPNOTSUPP);
		return;
	}
	/* Without a server the end of the program need not wait for one. */
	if (r->type == IMAGE_FLUSH &&
	    (!nbd->can_flush || (!nbd->up && list_empty(&nbd->jobs) &&
				 nbd->written == nbd->flushed))) {
		image_done_later(r, 0); /* there is nothing to flush */
		return;
	}
	job = nbd_job_create(nbd, r, loop_now(image->loop) + nbd->patience);
	if (!job) {
		image_done_later(r, -ENOMEM);
		return;
	}
	list_append(&nbd->jobs, &job->node);
	if (!timer_running(&nbd->impatience))
		timer_start(image->loop, &nbd->impatience, nbd->patience);
	loop_post(image->loop, &nbd->task);
}

void image_nbd_patience(struct image *image, int64_t ms)
{
	nbd_of(image)->patience = ms;
}

void nbd_bury(struct nbd *nbd)
{
	if (op_busy(&nbd->in.op) || op_busy(&nbd->out.op))
		return;
	list_remove(&nbd->node);
	free(nbd);
}

static void nbd_free(struct nbd *nbd)
{
	/* The ring may point here until it has said what became of a poll.
	 * A loop that never turns again leaves some until the end. */
	static struct list dead = LIST_INIT(dead);

	if (nbd->h)
		nbd_link_close(nbd, true);
	free(nbd->uri);
	free(nbd->name);
	nbd->dead = true;
	list_append(&dead, &nbd->node);
	nbd_bury(nbd);
}

static void nbd_destroy(struct image *image)
{
	struct nbd *nbd = nbd_of(image);

	timer_stop(&nbd->retry);
	timer_stop(&nbd->impatience);
	task_cancel(&nbd->task);
	nbd_free(nbd);
}

static const struct image_ops nbd_ops = {
	.name = "nbd",
	.submit = nbd_submit,
	.destroy = nbd_destroy,
};

/* --- The first time ------------------------------------------------------------------ */

static struct nbd *nbd_create_image(struct loop *loop, const char *uri)
{
	struct nbd *nbd = calloc(1, sizeof(*nbd));

	if (!nbd)
		return NULL;
	nbd->uri = strdup(uri);
	nbd->name = nbd_uri_name(uri);
	if (!nbd->uri || !nbd->name) {
		nbd_free(nbd);
		return NULL;
	}
	image_init(&nbd->image, &nbd_ops, loop, nbd->name, 0);
	/* Trimmed ranges read as whatever the server likes. */
	nbd->image.discard_zeroes = false;
	nbd->image.align = IMAGE_MAX_ALIGN;
	list_init(&nbd->jobs);
	nbd_link_init(nbd);
	task_init(&nbd->task, run);
	timer_init(&nbd->retry, retry);
	timer_init(&nbd->impatience, impatient);
	nbd->back_off = NBD_BACK_OFF_MIN_MS;
	nbd->patience = IMAGE_NBD_PATIENCE_MS;
	return nbd;
}

int nbd_open(struct loop *loop, const char *uri, bool read_only,
	     struct image **image, const char **why)
{
	struct nbd *nbd = nbd_create_image(loop, uri);
	int ret;

	if (!nbd) {
		*why = strerror(ENOMEM);
		return -ENOMEM;
	}
	nbd->image.read_only = read_only;
	ret = nbd_link_connect(nbd);
	if (ret < 0) {
		*why = nbd_uri_explain(nbd->why);
		nbd_free(nbd);
		return ret;
	}
	*why = nbd_link_misfit(nbd);
	if (*why) {
		nbd_free(nbd);
		return -EINVAL;
	}
	nbd->image.size = nbd_link_size(nbd);
	nbd->image.align = nbd_link_block(nbd);
	nbd->up = true;
	nbd_link_learn(nbd);
	if (!read_only && !nbd->can_flush)
		log_warn(
			"%s: the server cannot be told to make writes stable; it is hoped that they are",
			nbd->name);
	nbd_link_watch(nbd);
	*image = &nbd->image;
	return 0;
}
