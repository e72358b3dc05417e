/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A channel after its link: messages in and out, acknowledgements, pings. It is
 * part of what the channel is for, main_channel or vmc.
 *
 * It keeps reading while it writes, and what it has to say for itself goes
 * ahead of any data that has not begun to leave.
 */
#ifndef SPICE_CHANNEL_H
#define SPICE_CHANNEL_H

#include "base/log.h"
#include "core/outq.h"
#include "transport/transport.h"
#include "wire/spice.h"

/* Messages pass through this, large bodies beside it. */
#define SPICE_STAGING 65536
/* A body of which less is missing goes through staging with the rest. */
#define SPICE_DIRECT_MIN 4096
/* What a server makes us say and does not take: more ends the channel. */
#define SPICE_MAX_ANSWERS (4u << 20)
/* Of one message of ours. */
#define SPICE_MAX_DATA (2u << 20)

struct spice_channel;

struct spice_channel_ops {
	/* A message that is decoded. May be NULL. */
	void (*message)(struct spice_channel *c, const struct spice_msg *msg);
	/*
	 * One with a payload begins (VMC_DATA, ...): size bytes come by room
	 * and arrived. May be NULL where there are none.
	 */
	void (*payload)(struct spice_channel *c, uint16_t type, uint32_t size);
	/* Where the next bytes of it go, *len > 0 of them; NULL: nowhere now,
	 * until spice_channel_resume(). Lent until arrived. */
	void *(*room)(struct spice_channel *c, size_t *len);
	void (*arrived)(struct spice_channel *c, size_t n);
	/* All bytes that were there have been looked at. May be NULL. */
	void (*rested)(struct spice_channel *c);
	/* See spice_channel_write(). */
	void (*written)(struct spice_channel *c, int res);
	/* Nothing waits to be sent any more. May be NULL. */
	void (*drained)(struct spice_channel *c);
	/* It cannot go on: why in words, status as received() has it, 0 the
	 * server has closed it. The owner calls spice_channel_close(). */
	void (*ended)(struct spice_channel *c, int status, const char *why);
	/* After spice_channel_close(): nothing is lent any more. */
	void (*closed)(struct spice_channel *c);
};

struct spice_channel {
	const struct spice_channel_ops *ops;
	struct transport *transport; /* owned; NULL after it closed */
	struct loop *loop;	     /* borrows */
	uint8_t type, id;
	bool mini;	/* both sides use mini headers */
	uint32_t caps;	/* the server's, for this type of channel */
	char name[160]; /* for log lines: where, and which channel */
	struct log_limit complaints;
	struct task pump; /* looks at what staging holds */
	struct task fail; /* tells ended */
	struct task flush;
	int status;	 /* for ended */
	const char *why; /* for ended; NULL: all is well */
	bool told;	 /* ended has run */
	bool closing;

	/* Receiving */
	enum {
		SPICE_WANT_HEADER,
		SPICE_WANT_KEPT,    /* the bytes that are decoded */
		SPICE_WANT_PAYLOAD, /* the rest of a message */
		SPICE_SKIP,
	} want;
	struct spice_header header;
	struct spice_layout layout;
	uint32_t left; /* bytes of payload, or to skip */
	void *lent;    /* room that the transport is filling */
	bool receiving;
	bool pumping;
	uint32_t window; /* messages to each ACK; 0: none are wanted */
	uint32_t unacked;

	/* Sending */
	struct outq out;
	uint64_t serial; /* of full headers */
	bool sending;
	bool hurry;	  /* somebody waits for the end of what is sent next */
	bool put_off;	  /* flush has been, in this turn */
	size_t ahead;	  /* bytes of out that leave before the body */
	size_t announced; /* bytes of the body that are still to leave */
	struct iovec iov[TRANSPORT_IOV];
	unsigned int n_iov; /* what of it is there; 0: nothing to write */
	size_t body;	    /* bytes of it in the send that is in flight */

	uint32_t start, end;		/* of what staging holds */
	uint8_t staging[SPICE_STAGING]; /* not initialised: touched when used */
};

/* What a finished link says of a channel. */
struct spice_channel_link {
	uint8_t type, id;
	bool mini;
	uint32_t caps;
};

/*
 * Takes t. c is not cleared by the caller. Ends with ops->ended, never from
 * within.
 */
void spice_channel_init(struct spice_channel *c,
			const struct spice_channel_ops *ops,
			struct transport *t,
			const struct spice_channel_link *link);

/* A message with a small body, at most SPICE_MAX_BODY bytes, copied. */
void spice_channel_send(struct spice_channel *c, uint16_t type,
			const void *body, size_t len);

/*
 * A message with a body that begins with head (at most SPICE_PACKED_HEAD
 * bytes) and goes on with len bytes of buf, whose reference is taken.
 */
void spice_channel_send_buf(struct spice_channel *c, uint16_t type,
			    const void *head, size_t head_len, struct buf *buf,
			    uint32_t len);

/*
 * A message whose body is in iov (at most TRANSPORT_IOV entries), which is lent
 * until ops->written: res > 0 bytes have left, or -errno. After fewer than all,
 * the next spice_channel_write() goes on with that body; its first bytes are
 * what was missing, and only they are sent. One at a time.
 */
void spice_channel_write(struct spice_channel *c, uint16_t type,
			 const struct iovec *iov, unsigned int n);

/* ops->room() has an answer again. */
void spice_channel_resume(struct spice_channel *c);

/* What came cannot be what was meant: it ends, with why as the reason. */
void spice_channel_broken(struct spice_channel *c, const char *why);

/* Ends with closed; nothing else runs any more. */
void spice_channel_close(struct spice_channel *c);

#endif
