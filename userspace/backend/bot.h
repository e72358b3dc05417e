/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bulk-Only Transport (USB Mass Storage Class, Bulk-Only Transport 1.0): the
 * state machine of the device. One command at a time: CBW, data, CSW.
 *
 * URBs wait in a queue an endpoint until the state wants them, as a device
 * answers NAK. The thirteen cases of section 6.7, where what the host expects
 * (H) and what the device intends (D) differ, end like this:
 *
 *   2, 3      no data stage; CSW phase error
 *   4, 5      what there is, a short packet; CSW with residue
 *   7         the first H bytes; CSW phase error
 *   8         a zero-length packet; CSW phase error
 *   9, 11     the surplus is taken and dropped; CSW with residue
 *   10, 13    the data is taken (13: used); CSW phase error
 *
 * A short packet where section 6.7 also allows STALL saves a round trip. Only
 * a CBW that is not valid halts both endpoints, until reset recovery (6.6.1).
 */
#ifndef BACKEND_BOT_H
#define BACKEND_BOT_H

#include "backend/scsi.h"
#include "base/log.h"
#include "usb/urb.h"
#include "wire/bot.h"

#define BOT_EP_IN 0x81
#define BOT_EP_OUT 0x02

enum bot_state {
	BOT_COMMAND, /* waits for a CBW */
	BOT_DATA_IN,
	BOT_DATA_OUT,
	BOT_RUNNING,  /* the data has moved, the command has not ended */
	BOT_STATUS,   /* waits for the host to fetch the CSW */
	BOT_ABORTING, /* reset came while a command was running */
	BOT_DEAD,     /* an invalid CBW came: only a reset helps */
};

struct bot {
	struct bufpool *pool;	/* borrows */
	struct scsi_disk *luns; /* borrows, n_luns of them */
	unsigned int n_luns;
	struct scsi_disk absent; /* takes the commands for others */
	enum bot_state state;
	struct list in, out; /* urb->backend_node, waiting */
	bool halted_in, halted_out;
	bool running; /* pump is on the stack */
	bool again;   /* something changed while it ran */
	struct bot_cbw cbw;
	struct scsi_cmd cmd;
	uint64_t asked;	 /* IN: sum of the lengths of the data URBs */
	uint64_t moved;	 /* bytes of the data stage so far */
	bool data_ended; /* a short packet has ended the data stage */
	bool phase_error;
	unsigned int torn; /* of pool, when the command began */
	bool lent;	   /* the command gave memory of somebody else */
	struct buf
		*foreign;  /* the last such data that was given; a reference */
	struct timer left; /* looks whether it has left */
	bool pull_active;  /* scsi_pull() was called, its answer is due */
	struct urb *pulling; /* the URB that it fills; NULL when cancelled */
	struct urb *pushing; /* OUT: taken, answered when there is room */
	bool throttled;	     /* the image takes no more now */
	uint32_t taken;	     /* bytes of the first OUT URB that were pushed */
	void (*idle)(struct bot *bot); /* see bot_reset() */
	struct log_limit complaints;
};

/* Borrows pool and luns, an array: 1 to SCSI_MAX_LUNS. */
void bot_init(struct bot *bot, struct bufpool *pool, struct scsi_disk *luns,
	      unsigned int n_luns, void (*idle)(struct bot *bot));

/* A bulk URB for BOT_EP_IN or BOT_EP_OUT; takes it. Completes it later. */
void bot_submit(struct bot *bot, struct urb *urb);

/* More data of an early URB is there. */
void bot_arrived(struct bot *bot);

/* Ends a taken URB with -ECANCELED, at once or later. */
void bot_cancel(struct bot *bot, struct urb *urb);

/* CLEAR_FEATURE and SET_FEATURE(ENDPOINT_HALT) on one of the two. */
void bot_set_halt(struct bot *bot, uint8_t ep, bool halt);
bool bot_halted(const struct bot *bot, uint8_t ep);

/*
 * Bulk-Only Mass Storage Reset (3.1): ready for the next CBW; halts and URBs
 * that wait stay. bot->idle runs when the command that was running has ended,
 * possibly from within this call; once for several resets in a row.
 */
void bot_reset(struct bot *bot);

/*
 * The end of a session or a USB reset: as bot_reset(), and all URBs complete
 * with status, and the halts are gone.
 */
void bot_stop(struct bot *bot, int status);

#endif
