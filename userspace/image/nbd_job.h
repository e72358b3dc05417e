/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request to an NBD image: what of it has been issued, and what came back.
 * nbd.c makes commands of it; here is what needs no server for that.
 */
#ifndef IMAGE_NBD_JOB_H
#define IMAGE_NBD_JOB_H

#include "image/image.h"

struct nbd;

struct nbd_job {
	struct nbd *nbd; /* libnbd hands back one pointer */
	struct image_request *request;
	struct list node; /* on nbd->jobs, or on the list of those to end */
	uint8_t *data;	  /* of read and write: one piece */
	uint8_t *bounce;  /* data, when the request's memory is in several */
	/* Issued, and all there is; of flush and status: 0 or 1, and 1. */
	uint64_t at, end;
	bool flush_then;
	unsigned int commands; /* in flight */
	int error;	       /* the first one, positive */
	/* As loop_now(): of the request, and of the connection it is on. */
	int64_t give_up, deadline;
	uint64_t written; /* flush: what nbd->written was */
	uint64_t skip;	  /* status: asked for before request->off */
	uint64_t alike;	  /* status: the answer, from there */
	bool hole;
};

/* NULL: no memory. */
struct nbd_job *nbd_job_create(struct nbd *nbd, struct image_request *request,
			       int64_t give_up);
/* From the beginning, on a new connection. */
void nbd_job_reset(struct nbd_job *job);
/* Does it move bytes of the caller's? */
bool nbd_job_moves(const struct nbd_job *job);
/* Does it change the image? */
bool nbd_job_changes(const struct nbd_job *job);
/* Ends the request, too. Others may be submitted from within. */
void nbd_job_end(struct nbd_job *job);

#endif
