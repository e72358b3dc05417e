// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

static struct mail *next(struct mailbox *box)
{
	struct list *node;

	pthread_mutex_lock(&box->lock);
	node = list_pop(&box->mails);
	pthread_mutex_unlock(&box->lock);
	return node ? list_entry(node, struct mail, node) : NULL;
}

static void event_read(struct op *op, int res)
{
	struct mailbox *box = container_of(op, struct mailbox, op);
	struct mail *mail;

	if (res == -ECANCELED)
		return; /* the loop ends */
	while ((mail = next(box)))
		mail->run(mail);
	op_read(box->loop, &box->op, box->event, &box->count,
		sizeof(box->count));
}

int mailbox_init(struct mailbox *box, struct loop *loop)
{
	*box = (struct mailbox){ .loop = loop };
	box->event = eventfd(0, EFD_CLOEXEC);
	if (box->event < 0)
		return -errno;
	list_init(&box->mails);
	pthread_mutex_init(&box->lock, NULL);
	op_init(&box->op, event_read);
	op_read(loop, &box->op, box->event, &box->count, sizeof(box->count));
	return 0;
}

void mailbox_fini(struct mailbox *box)
{
	if (!box || !box->loop)
		return;
	close(box->event);
	pthread_mutex_destroy(&box->lock);
	box->loop = NULL;
}

void mailbox_send(struct mailbox *box, struct mail *mail)
{
	uint64_t one = 1;
	bool first;

	pthread_mutex_lock(&box->lock);
	first = list_empty(&box->mails);
	list_init(&mail->node);
	list_append(&box->mails, &mail->node);
	pthread_mutex_unlock(&box->lock);
	/* The loop takes all that is there: only the first has to wake it. A
	 * full eventfd has an event to be seen already. */
	if (first && write(box->event, &one, sizeof(one)) < 0)
		return;
}
