// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/bot.h"

#include <string.h>

#include "base/log.h"
#include "usb/device.h"

/* Less than this of data that is still arriving is not worth a write. */
#define PIECE_MIN 131072u
/* How often to look whether data has left, for a host that wants the CSW first. */
#define LEFT_MS 1

static void pump(struct bot *bot);

static struct bot *bot_of(struct scsi_cmd *cmd)
{
	return container_of(cmd, struct bot, cmd);
}

static void end_urb(struct urb *urb, int status, uint32_t actual)
{
	urb->status = status;
	urb->actual = actual;
	usb_complete_later(urb);
}

static struct urb *take_urb(struct list *queue)
{
	struct list *node = list_pop(queue);

	return node ? list_entry(node, struct urb, backend_node) : NULL;
}

/* The first OUT URB, whether or not some of it was taken before. */
static struct urb *take_out(struct bot *bot)
{
	bot->taken = 0;
	return take_urb(&bot->out);
}

static struct urb *first_urb(const struct list *queue)
{
	return list_first(queue, struct urb, backend_node);
}

static bool is_whole(const struct urb *urb)
{
	return urb->arrived == urb->len;
}

/* --- CBW ------------------------------------------------------------------------ */

/*
 * Which of the thirteen cases; the data stage goes the way the host expects,
 * for as many bytes as it expects.
 */
static void choose_data_stage(struct bot *bot)
{
	struct scsi_cmd *cmd = &bot->cmd;
	uint32_t h = bot->cbw.length;
	enum scsi_dir expected = !h	       ? SCSI_DIR_NONE
				 : bot->cbw.in ? SCSI_DIR_IN
					       : SCSI_DIR_OUT;

	bot->asked = 0;
	bot->moved = 0;
	bot->taken = 0;
	bot->throttled = false;
	bot->data_ended = bot->lent = false;
	/* Cases 2, 3, 8, 10: another direction; 7, 13: more than expected. */
	bot->torn = bot->pool->torn;
	bot->phase_error = cmd->dir != SCSI_DIR_NONE &&
			   (cmd->dir != expected || cmd->len > h);
	switch (expected) {
	case SCSI_DIR_IN:
		bot->state = BOT_DATA_IN;
		break;
	case SCSI_DIR_OUT:
		bot->state = BOT_DATA_OUT;
		break;
	case SCSI_DIR_NONE:
		bot->state = BOT_RUNNING;
		scsi_finish(cmd);
		break;
	}
}

static void take_command(struct bot *bot)
{
	struct urb *urb = take_out(bot);
	int ret;

	if (!urb->len) { /* a zero-length packet behind the last data */
		end_urb(urb, 0, 0);
		return;
	}
	ret = bot_decode_cbw(span_of(urb->buf->data + urb->off, urb->len),
			     &bot->cbw);
	if (ret < 0) {
		log_limited(
			&bot->complaints, LOG_LEVEL_WARN,
			"the guest sent %u bytes that are not a command (CBW); its driver must reset the disk",
			urb->len);
		bot->state = BOT_DEAD;
		bot->halted_in = bot->halted_out = true;
		end_urb(urb, -EPIPE, 0);
		return;
	}
	end_urb(urb, 0, urb->len);
	memcpy(bot->cmd.cdb, bot->cbw.cdb, sizeof(bot->cmd.cdb));
	bot->cmd.disk = bot->cbw.lun < bot->n_luns ? &bot->luns[bot->cbw.lun]
						   : &bot->absent;
	scsi_start(&bot->cmd);
	choose_data_stage(bot);
}

/* --- Data ------------------------------------------------------------------------ */

static void data_over(struct bot *bot)
{
	bot->state = BOT_RUNNING;
	scsi_finish(&bot->cmd);
}

/* What the device sends: the smaller of D and H, if it sends at all. */
static uint64_t in_left(const struct bot *bot)
{
	uint64_t len = bot->cmd.dir == SCSI_DIR_IN ? bot->cmd.len : 0;

	return MIN(len, bot->cbw.length) - bot->moved;
}

static void end_data_in(struct bot *bot, struct urb *urb, uint32_t actual)
{
	bot->moved += actual;
	bot->data_ended = actual < urb->len || bot->asked >= bot->cbw.length;
	end_urb(urb, 0, actual);
}

static void give_data(struct bot *bot)
{
	struct urb *urb = take_urb(&bot->in);
	uint32_t len = (uint32_t)MIN(in_left(bot), urb->len);

	bot->asked += urb->len;
	if (!len || bot->cmd.status != SCSI_GOOD) {
		end_data_in(bot, urb, 0); /* zero-length: the stage ends */
		return;
	}
	bot->pulling = urb;
	bot->pull_active = true;
	scsi_pull(&bot->cmd, len);
}

static void hold_foreign(struct bot *bot, struct buf *buf)
{
	buf_put(bot->foreign);
	bot->foreign = buf;
}

static void pulled(struct scsi_cmd *cmd, int status, struct buf *buf,
		   uint32_t off, uint32_t len)
{
	struct bot *bot = bot_of(cmd);
	struct urb *urb = bot->pulling;

	bot->pulling = NULL;
	bot->pull_active = false;
	if (!urb) { /* cancelled meanwhile: the bytes are lost with it */
		buf_put(buf);
		bot->moved += len;
	} else if (status < 0) {
		end_data_in(bot, urb, 0);
	} else {
		if (buf->foreign) {
			bot->lent = true;
			hold_foreign(bot, buf_ref(buf));
		}
		urb->buf = buf;
		urb->off = off;
		end_data_in(bot, urb, len);
	}
	pump(bot);
}

/* The command gets what it wants of the next n bytes; false: no more now. */
static bool push(struct bot *bot, const struct urb *urb, uint32_t n)
{
	uint64_t d = bot->cmd.dir == SCSI_DIR_OUT ? bot->cmd.len : 0;
	uint64_t want = MIN(d, bot->cbw.length);
	uint32_t off = urb->off + bot->taken;
	uint32_t used = 0;

	if (bot->moved < want)
		used = (uint32_t)MIN(want - bot->moved, n);
	bot->moved += n;
	bot->taken += n;
	return !used || scsi_push(&bot->cmd, urb->buf, off, used);
}

/* What is there of the first OUT URB; false when it is too little yet. */
static bool take_data(struct bot *bot)
{
	struct urb *urb = first_urb(&bot->out);
	uint32_t n = urb->arrived - bot->taken;
	bool whole = is_whole(urb);

	if (!whole && n < PIECE_MIN)
		return false;
	bot->throttled = !push(bot, urb, n); /* until drained() */
	if (!whole)
		return true;
	take_out(bot);
	if (bot->moved > bot->cbw.length)
		bot->phase_error = true; /* more than it announced */
	bot->data_ended = bot->moved >= bot->cbw.length;
	if (bot->throttled)
		bot->pushing = urb;
	else
		end_urb(urb, 0, urb->len);
	return true;
}

static void drained(struct scsi_cmd *cmd)
{
	struct bot *bot = bot_of(cmd);
	struct urb *urb = bot->pushing;

	bot->pushing = NULL;
	bot->throttled = false;
	if (urb)
		end_urb(urb, 0, urb->len);
	pump(bot);
}

/* --- CSW -------------------------------------------------------------------------- */

static void done(struct scsi_cmd *cmd)
{
	struct bot *bot = bot_of(cmd);

	if (bot->state == BOT_ABORTING) {
		bot->state = BOT_COMMAND;
		bot->idle(bot);
	} else {
		bot->state = BOT_STATUS;
	}
	pump(bot);
}

static uint32_t residue(const struct bot *bot)
{
	uint64_t d = bot->cmd.dir == SCSI_DIR_NONE ? 0 : bot->cmd.len;
	uint64_t used = MIN(bot->moved, d);

	if (bot->phase_error)
		return 0;
	return bot->cbw.length - (uint32_t)MIN(used, bot->cbw.length);
}

/*
 * Whether memory of somebody else was there to be sent shows when it is sent.
 * Hosts that ask for the CSW before they have all data wait for that. It leaves
 * in order: the last of it is enough.
 */
static bool all_left(struct bot *bot)
{
	if (bot->foreign && bot->foreign->refs > 1) {
		if (!timer_running(&bot->left))
			timer_start(bot->cmd.disk->loop, &bot->left, LEFT_MS);
		return false;
	}
	hold_foreign(bot, NULL);
	return true;
}

static void look_again(struct timer *timer)
{
	pump(container_of(timer, struct bot, left));
}

static void give_status(struct bot *bot)
{
	struct urb *urb = take_urb(&bot->in);
	enum bot_status status;

	if (urb->len < BOT_CSW_SIZE) {
		end_urb(urb, -EOVERFLOW, 0);
		return;
	}
	urb->buf = bufpool_get(bot->pool, BOT_CSW_SIZE);
	if (!urb->buf) {
		end_urb(urb, -ENOMEM, 0);
		return;
	}
	urb->off = 0;
	/* All data has left by now: see all_left(). Perhaps it was another
	 * disk's that was torn. */
	if (bot->lent && bot->torn != bot->pool->torn)
		scsi_data_lost(&bot->cmd);
	status = bot->phase_error  ? BOT_PHASE_ERROR
		 : bot->cmd.status ? BOT_FAILED
				   : BOT_PASSED;
	bot_encode_csw(urb->buf->data, bot->cbw.tag, residue(bot), status);
	end_urb(urb, 0, BOT_CSW_SIZE);
	bot->state = BOT_COMMAND;
}

/* --- The machine --------------------------------------------------------------------- */

static void stall_halted(struct bot *bot)
{
	struct urb *urb;

	while (bot->halted_in && (urb = take_urb(&bot->in)))
		end_urb(urb, -EPIPE, 0);
	while (bot->halted_out && (urb = take_out(bot)))
		end_urb(urb, -EPIPE, 0);
}

/* One thing that can be done now; false when there is none. */
static bool advance(struct bot *bot)
{
	bool in = !list_empty(&bot->in), out = !list_empty(&bot->out);

	switch (bot->state) {
	case BOT_COMMAND:
		/* One that is still arriving is no command, but say so when
		 * it is whole. */
		out = out && is_whole(first_urb(&bot->out));
		if (out)
			take_command(bot);
		return out;
	case BOT_DATA_IN:
		if (bot->data_ended)
			data_over(bot);
		else if (!bot->pull_active && in)
			give_data(bot);
		else
			return false;
		return true;
	case BOT_DATA_OUT:
		if (bot->throttled)
			return false;
		if (!bot->data_ended)
			return out && take_data(bot);
		data_over(bot);
		return true;
	case BOT_STATUS:
		in = in && all_left(bot);
		if (in)
			give_status(bot);
		return in;
	default:
		return false;
	}
}

/* What advance() calls may call back here; a loop replaces the recursion. */
static void pump(struct bot *bot)
{
	bot->again = true;
	if (bot->running)
		return;
	bot->running = true;
	while (bot->again) {
		bot->again = false;
		do
			stall_halted(bot);
		while (advance(bot));
	}
	bot->running = false;
}

static const struct scsi_cmd_ops cmd_ops = {
	.pulled = pulled,
	.drained = drained,
	.done = done,
};

void bot_init(struct bot *bot, struct bufpool *pool, struct scsi_disk *luns,
	      unsigned int n_luns, void (*idle)(struct bot *))
{
	*bot = (struct bot){
		.pool = pool,
		.luns = luns,
		.n_luns = n_luns,
		.absent = { .kind = &scsi_kind_absent,
			    .pool = pool,
			    .n_luns = n_luns },
		.idle = idle,
	};
	list_init(&bot->in);
	list_init(&bot->out);
	bot->cmd.ops = &cmd_ops;
	timer_init(&bot->left, look_again);
}

void bot_submit(struct bot *bot, struct urb *urb)
{
	list_append(urb->ep & USB_DIR_IN ? &bot->in : &bot->out,
		    &urb->backend_node);
	pump(bot);
}

void bot_cancel(struct bot *bot, struct urb *urb)
{
	if (urb == bot->pulling)
		bot->pulling = NULL;
	else if (urb == bot->pushing)
		return; /* its bytes are taken; it ends when they are written */
	else if (list_empty(&urb->backend_node) || urb->status || urb->actual)
		return; /* ended; on its way back */
	if (!list_empty(&bot->out) && urb == first_urb(&bot->out))
		bot->taken = 0;
	list_remove(&urb->backend_node);
	end_urb(urb, -ECANCELED, 0);
}

void bot_arrived(struct bot *bot)
{
	pump(bot);
}

bool bot_halted(const struct bot *bot, uint8_t ep)
{
	return ep & USB_DIR_IN ? bot->halted_in : bot->halted_out;
}

void bot_set_halt(struct bot *bot, uint8_t ep, bool halt)
{
	/* Section 6.6.1: stays halted until the reset. */
	if (bot->state == BOT_DEAD)
		return;
	if (ep & USB_DIR_IN)
		bot->halted_in = halt;
	else
		bot->halted_out = halt;
	pump(bot);
}

void bot_reset(struct bot *bot)
{
	timer_stop(&bot->left);
	hold_foreign(bot, NULL);
	switch (bot->state) {
	case BOT_DATA_IN:
	case BOT_DATA_OUT:
	case BOT_RUNNING:
		if (bot->pulling)
			end_urb(bot->pulling, -ECANCELED, 0);
		if (bot->pushing)
			end_urb(bot->pushing, -ECANCELED, 0);
		bot->pulling = bot->pushing = NULL;
		bot->pull_active = bot->throttled = false;
		bot->taken = 0;
		bot->state = BOT_ABORTING;
		/* Runs done(), now or when the image has answered. */
		scsi_abort(&bot->cmd);
		break;
	case BOT_ABORTING:
		break;
	default:
		bot->state = BOT_COMMAND;
		bot->idle(bot);
		pump(bot); /* a CBW may wait already */
	}
}

void bot_stop(struct bot *bot, int status)
{
	struct urb *urb;

	bot->halted_in = bot->halted_out = false;
	while ((urb = take_urb(&bot->in)))
		end_urb(urb, status, 0);
	while ((urb = take_out(bot)))
		end_urb(urb, status, 0);
	bot_reset(bot);
}
