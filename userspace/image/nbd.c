// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libnbd is a state machine around a socket. It never waits here: the loop
 * polls the socket and tells it.
 *
 * Each request becomes a job; a job is one or more commands. libnbd reports
 * the end of commands from within its functions, where none of them may be
 * called: those reports only count. nbd_turn() does all the rest.
 */
#include "image/nbd_link.h"

#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image/nbd_uri.h"

#define MAX_COMMANDS 64u      /* in flight; what libnbd recommends */
#define MAX_JOB_COMMANDS 16u  /* of one request; the others want some */
#define MAX_DATA (32u << 20)  /* if the server does not say; protocol */
#define MAX_RANGE (64u << 20) /* cleared, or trimmed, by one command */
#define DEFAULT_BLOCK 512u    /* the same */

/* libnbd's last complaint, as one line, without the name of its function. */
static const char *complaint(char *buf)
{
	const char *text = nbd_get_error(), *colon;

	if (!text)
		text = "no reason given";
	colon = strstr(text, ": ");
	if (!strncmp(text, "nbd_", 4) && colon)
		text = colon + 2;
	snprintf(buf, NBD_WHY_SIZE, "%s", text);
	buf[strcspn(buf, "\r\n")] = '\0';
	return buf;
}

/* --- Commands ------------------------------------------------------------------ */

/*
 * Called by libnbd, from within any of its functions: only counts. Commands
 * that end with their connection are none that ended: see drop().
 */
static int command_done(void *data, int *error)
{
	struct nbd_job *job = data;
	struct nbd *nbd = job->nbd;

	if (*error == ENOTCONN || *error == ESHUTDOWN) {
		if (!nbd->broken && *error == ESHUTDOWN)
			snprintf(nbd->why, NBD_WHY_SIZE, "it shuts down");
		nbd->broken = true;
		return 1;
	}
	nbd->back_off = NBD_BACK_OFF_MIN_MS;
	nbd->commands--;
	job->commands--;
	job->deadline = loop_now(nbd->image.loop) + nbd->patience;
	if (!job->error)
		job->error = *error;
	return 1;
}

/* Called by libnbd: pairs of length and flags, from where we asked. */
static int extents(void *data, const char *context, uint64_t off,
		   uint32_t *entries, size_t n, int *error)
{
	struct nbd_job *job = data;

	(void)context, (void)off, (void)error;
	job->hole = n >= 2 && entries[1] & LIBNBD_STATE_ZERO;
	job->alike = 0;
	for (size_t i = 0; i + 1 < n; i += 2) {
		if (job->hole != !!(entries[i + 1] & LIBNBD_STATE_ZERO))
			break;
		job->alike += entries[i];
	}
	return 0;
}

static int64_t issue_status(struct nbd_job *job, nbd_completion_callback done)
{
	const struct image_request *r = job->request;
	uint64_t align = r->image->align;
	uint64_t off = r->off / align * align;
	uint64_t len = (r->off + r->len - off + align - 1) / align * align;

	job->skip = r->off - off;
	len = MIN(len, MAX_RANGE);
	return nbd_aio_block_status(
		job->nbd->h, MIN(len, r->image->size - off), off,
		(nbd_extent_callback){ .callback = extents, .user_data = job },
		done, 0);
}

static int64_t issue(struct nbd_job *job, uint64_t at, uint64_t len)
{
	nbd_completion_callback done = { .callback = command_done,
					 .user_data = job };
	const struct image_request *r = job->request;
	struct nbd *nbd = job->nbd;
	uint64_t off = r->off + at;
	uint32_t fua =
		r->flags & IMAGE_FUA && nbd->can_fua ? LIBNBD_CMD_FLAG_FUA : 0;

	switch (r->type) {
	case IMAGE_READ:
		return nbd_aio_pread(nbd->h, job->data + at, len, off, done, 0);
	case IMAGE_WRITE:
		return nbd_aio_pwrite(nbd->h, job->data + at, len, off, done,
				      fua);
	case IMAGE_DISCARD:
		return nbd_aio_trim(nbd->h, len, off, done, fua);
	case IMAGE_ZERO:
		return nbd_aio_zero(nbd->h, len, off, done, fua);
	case IMAGE_STATUS:
		return issue_status(job, done);
	case IMAGE_FLUSH:
		job->written = nbd->written;
		return nbd_aio_flush(nbd->h, done, 0);
	}
	return -1;
}

static uint64_t max_command(const struct nbd_job *job)
{
	return nbd_job_moves(job) ? job->nbd->max_data : MAX_RANGE;
}

/* Counts before it calls: the command may end within. */
void nbd_link_issue(struct nbd_job *job)
{
	struct nbd *nbd = job->nbd;
	uint64_t max = max_command(job);

	while (job->at < job->end && !job->error && !nbd->broken &&
	       job->commands < MAX_JOB_COMMANDS &&
	       nbd->commands < MAX_COMMANDS) {
		uint64_t at = job->at, len = MIN(job->end - at, max);

		job->at += len;
		job->commands++;
		nbd->commands++;
		if (issue(job, at, len) >= 0)
			continue;
		job->commands--;
		nbd->commands--;
		if (nbd_aio_is_ready(nbd->h) || nbd_aio_is_processing(nbd->h))
			job->error = nbd_get_errno() ? nbd_get_errno() : EIO;
		else
			nbd->broken = true;
	}
}

/* A write that shall be stable, and a server that can only flush. */
void nbd_link_flush(struct nbd_job *job)
{
	struct nbd *nbd = job->nbd;
	nbd_completion_callback done = { .callback = command_done,
					 .user_data = job };

	job->flush_then = false;
	if (nbd->can_fua || !nbd->can_flush)
		return;
	job->commands++;
	nbd->commands++;
	if (nbd_aio_flush(nbd->h, done, 0) >= 0)
		return;
	job->commands--;
	nbd->commands--;
	job->flush_then = true;
	nbd->broken = true;
}

/* --- The connection ----------------------------------------------------------------- */

static void watch_stop(struct nbd *nbd, struct nbd_watch *watch)
{
	watch->stale = op_busy(&watch->op);
	op_cancel(nbd->image.loop, &watch->op);
}

void nbd_link_close(struct nbd *nbd, bool polite)
{
	if (polite && nbd->up)
		nbd_aio_disconnect(nbd->h, 0);
	watch_stop(nbd, &nbd->in);
	watch_stop(nbd, &nbd->out);
	nbd_close(nbd->h);
	nbd->h = NULL;
	nbd->up = nbd->broken = false;
	nbd->commands = 0;
}

/* --- Beginnings, and what is offered then --------------------------------------- */

/* Names are resolved here, within libnbd, which makes the loop wait for it. */
bool nbd_link_begin(struct nbd *nbd)
{
	struct nbd_handle *h;

	if (!nbd_uri_knows_server(nbd->uri)) {
		snprintf(nbd->why, NBD_WHY_SIZE, "%s", nbd_uri_knows_not);
		return false;
	}
	h = nbd_create();
	if (h && !nbd_set_uri_allow_local_file(h, true) &&
	    !nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) &&
	    !nbd_set_pread_initialize(h, false) &&
	    !nbd_aio_connect_uri(h, nbd->uri)) {
		nbd->h = h;
		return true;
	}
	complaint(nbd->why);
	nbd_close(h);
	return false;
}

bool nbd_link_ready(const struct nbd *nbd)
{
	return nbd_aio_is_ready(nbd->h);
}

bool nbd_link_over(const struct nbd *nbd)
{
	return nbd->broken || nbd_aio_is_dead(nbd->h) ||
	       nbd_aio_is_closed(nbd->h);
}

uint32_t nbd_link_block(const struct nbd *nbd)
{
	int64_t min = nbd_get_block_size(nbd->h, LIBNBD_SIZE_MINIMUM);

	return min > 0 ? (uint32_t)min : DEFAULT_BLOCK;
}

/* Whole blocks: the rest could not be read. */
uint64_t nbd_link_size(const struct nbd *nbd)
{
	int64_t size = nbd_get_size(nbd->h);
	uint32_t block = nbd_link_block(nbd);

	return size > 0 ? (uint64_t)size / block * block : 0;
}

const char *nbd_link_misfit(const struct nbd *nbd)
{
	if (!nbd_link_size(nbd))
		return "is empty: the server says it has no bytes";
	if (!nbd->image.read_only && nbd_is_read_only(nbd->h) == 1)
		return "is read-only at the server; use --usb-disk-ro";
	if (nbd_link_block(nbd) > MIN(nbd->image.align, IMAGE_MAX_ALIGN))
		return "has too large blocks";
	if (nbd_link_size(nbd) < nbd->image.size)
		return "has become smaller";
	return NULL;
}

void nbd_link_learn(struct nbd *nbd)
{
	int64_t max = nbd_get_block_size(nbd->h, LIBNBD_SIZE_MAXIMUM);

	nbd->max_data = max > 0 && max < MAX_DATA ? (uint64_t)max : MAX_DATA;
	nbd->max_data -= nbd->max_data % nbd->image.align;
	nbd->max_data = MAX(nbd->max_data, nbd->image.align);
	nbd->can_fua = nbd_can_fua(nbd->h) == 1;
	nbd->can_flush = nbd_can_flush(nbd->h) == 1;
	nbd->can_trim = nbd_can_trim(nbd->h) == 1;
	nbd->can_zero = nbd_can_zero(nbd->h) == 1;
	nbd->can_status = nbd_can_meta_context(
				  nbd->h, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
	nbd->why[0] = '\0';
}

void nbd_link_watch(struct nbd *nbd)
{
	unsigned int direction = nbd_aio_get_direction(nbd->h);
	struct loop *loop = nbd->image.loop;
	int fd = nbd_aio_get_fd(nbd->h);

	if (fd < 0)
		return;
	if (direction & LIBNBD_AIO_DIRECTION_READ && !op_busy(&nbd->in.op))
		op_poll(loop, &nbd->in.op, fd, POLLIN);
	if (direction & LIBNBD_AIO_DIRECTION_WRITE && !op_busy(&nbd->out.op))
		op_poll(loop, &nbd->out.op, fd, POLLOUT);
}

static bool is_readable(struct nbd *nbd)
{
	struct pollfd fd = { .fd = nbd_aio_get_fd(nbd->h), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

/*
 * Each notify takes one answer, and several may have come: to look costs less
 * than to go round the loop. (libnbd believes what it is told: it sends nothing
 * before it has read the answer that was announced.)
 */
static void readable(struct op *op, int res)
{
	struct nbd *nbd = container_of(op, struct nbd, in.op);
	bool more = !nbd->in.stale;

	if (nbd->dead) {
		nbd_bury(nbd);
		return;
	}
	if (more && res < 0)
		nbd->broken = true;
	while (more && !nbd->broken &&
	       nbd_aio_get_direction(nbd->h) & LIBNBD_AIO_DIRECTION_READ) {
		if (nbd_aio_notify_read(nbd->h) < 0)
			complaint(nbd->why);
		more = nbd->commands && is_readable(nbd);
	}
	nbd->in.stale = false;
	nbd_turn(nbd);
}

static void writable(struct op *op, int res)
{
	struct nbd *nbd = container_of(op, struct nbd, out.op);

	if (nbd->dead) {
		nbd_bury(nbd);
		return;
	}
	if (!nbd->out.stale && res < 0)
		nbd->broken = true;
	else if (!nbd->out.stale &&
		 nbd_aio_get_direction(nbd->h) & LIBNBD_AIO_DIRECTION_WRITE)
		if (nbd_aio_notify_write(nbd->h) < 0)
			complaint(nbd->why);
	nbd->out.stale = false;
	nbd_turn(nbd);
}

/* Waits, for there is no guest yet that could. */
int nbd_link_connect(struct nbd *nbd)
{
	struct timespec ts;
	int64_t now, end = 0;

	if (!nbd_link_begin(nbd))
		return -ENOTCONN;
	while (nbd_aio_is_connecting(nbd->h)) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		now = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
		if (!end)
			end = now + NBD_CONNECT_MS;
		if (now >= end) {
			snprintf(nbd->why, NBD_WHY_SIZE, "it does not answer");
			return -ETIMEDOUT;
		}
		if (nbd_poll(nbd->h, (int)(end - now)) < 0) {
			complaint(nbd->why);
			return -ENOTCONN;
		}
	}
	if (nbd_aio_is_ready(nbd->h))
		return 0;
	snprintf(nbd->why, NBD_WHY_SIZE, "it hung up");
	return -ENOTCONN;
}

void nbd_link_init(struct nbd *nbd)
{
	op_init(&nbd->in.op, readable);
	op_init(&nbd->out.op, writable);
}
