/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The URBs of a usbip session: SUBMIT, UNLINK and what is answered.
 */
#ifndef FRONTEND_USBIP_TRANSFER_H
#define FRONTEND_USBIP_TRANSFER_H

#include "frontend/usbip.h"

/* A USBIP_HEADER_SIZE head: starts what it says, or has its payload come. */
void usbip_transfer_head(struct usbip_session *s, struct span head);
/* The payload of s->msg; takes it. */
void usbip_transfer_payload(struct usbip_session *s, struct buf *payload);
/* Of an early one have bytes are there. */
void usbip_transfer_arrived(struct usbip_session *s, uint32_t have);

/* Nobody waits for answers any more. */
void usbip_transfer_forget(struct usbip_session *s);

#endif
