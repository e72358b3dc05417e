// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/signal.h"

#include <unistd.h>

static void signal_read(struct op *op, int res)
{
	struct signals *s = container_of(op, struct signals, op);

	if (s->fd < 0)
		return;
	if (res == (int)sizeof(s->info))
		s->caught(s, (int)s->info.ssi_signo);
	if (s->fd >= 0)
		op_read(s->loop, &s->op, s->fd, &s->info, sizeof(s->info));
}

int signals_init(struct signals *s, struct loop *loop, const sigset_t *set,
		 void (*caught)(struct signals *, int))
{
	s->loop = loop;
	s->caught = caught;
	op_init(&s->op, signal_read);
	if (sigprocmask(SIG_BLOCK, set, NULL) < 0)
		return -errno;
	/* Blocking: a non-blocking fd would make the ring's read fail. */
	s->fd = signalfd(-1, set, SFD_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	op_read(loop, &s->op, s->fd, &s->info, sizeof(s->info));
	return 0;
}

void signals_fini(struct signals *s)
{
	int fd = s->fd;

	if (fd < 0)
		return;
	s->fd = -1;
	op_cancel(s->loop, &s->op);
	close(fd);
}

void signals_unblock(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
