/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A SpiceVMC channel as a transport: DATA and COMPRESSED_DATA messages carry a
 * byte pipe, whose records are nobody's business.
 */
#ifndef SPICE_VMC_H
#define SPICE_VMC_H

#include "spice/channel.h"
#include "spice/lz4.h"

/*
 * Takes t on success; it is that of a finished link. Borrows pool. The
 * transport's receive yields 0 when the server has closed the channel, with a
 * line about it if that was not orderly. -ENOMEM.
 */
int must_check vmc_create(struct transport *t,
			  const struct spice_channel_link *link,
			  enum spice_lz4_mode lz4, struct bufpool *pool,
			  struct transport **vmc);

#endif
