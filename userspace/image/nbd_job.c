// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/nbd_job.h"

#include <stdlib.h>
#include <string.h>

bool nbd_job_moves(const struct nbd_job *job)
{
	enum image_request_type type = job->request->type;

	return type == IMAGE_READ || type == IMAGE_WRITE;
}

static bool clears(const struct nbd_job *job)
{
	enum image_request_type type = job->request->type;

	return type == IMAGE_DISCARD || type == IMAGE_ZERO;
}

bool nbd_job_changes(const struct nbd_job *job)
{
	return job->request->type == IMAGE_WRITE || clears(job);
}

void nbd_job_reset(struct nbd_job *job)
{
	job->at = 0;
	job->end = nbd_job_moves(job) || clears(job) ? job->request->len : 1;
	job->flush_then = job->request->flags & IMAGE_FUA;
	job->commands = 0;
	job->error = 0;
	job->deadline = job->give_up;
}

struct nbd_job *nbd_job_create(struct nbd *nbd, struct image_request *r,
			       int64_t give_up)
{
	struct nbd_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->nbd = nbd;
	job->request = r;
	job->give_up = give_up;
	list_init(&job->node);
	nbd_job_reset(job);
	if (!nbd_job_moves(job))
		return job;
	if (r->n_iov == 1) {
		job->data = r->iov->iov_base;
		return job;
	}
	/* Commands must be of whole blocks, segments need not. */
	job->data = job->bounce = malloc(r->len);
	if (!job->data) {
		free(job);
		return NULL;
	}
	if (r->type == IMAGE_WRITE)
		image_copy(r, job->bounce);
	return job;
}

static int succeed(struct nbd_job *job)
{
	struct image_request *r = job->request;

	if (r->type == IMAGE_READ && job->bounce)
		image_copy(r, job->bounce);
	if (r->type != IMAGE_STATUS)
		return 0;
	if (job->alike <= job->skip)
		return -EOPNOTSUPP; /* it said nothing */
	r->len = MIN(r->len, job->alike - job->skip);
	r->hole = job->hole;
	return 0;
}

/* The server's words in ours. */
static int fail(const struct nbd_job *job)
{
	if (job->error == EPERM && nbd_job_changes(job))
		return -EROFS;
	/* It said it could, but not parts of its own, larger blocks. */
	if ((job->error == EINVAL || job->error == ENOTSUP) && clears(job))
		return -EOPNOTSUPP;
	return -job->error;
}

void nbd_job_end(struct nbd_job *job)
{
	struct image_request *r = job->request;
	int res = job->error ? fail(job) : succeed(job);

	free(job->bounce);
	free(job);
	image_done(r, res);
}
