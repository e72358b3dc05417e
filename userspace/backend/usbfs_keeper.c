// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbfs_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

#define MAX_INTERFACES 32
#define MAX_HELD 256

void usbfs_give_back(int fd, const struct usbfs_former *former)
{
	unsigned int value = former->configuration;

	for (unsigned int i = 0; i < MAX_INTERFACES; i++)
		ioctl(fd, USBDEVFS_RELEASEINTERFACE, &i);
	if (!former->no_reset)
		ioctl(fd, USBDEVFS_RESET, NULL);
	/* Only when it is another one: that starts the drivers anew. */
	if (value) {
		uint8_t now = 0;
		struct usbdevfs_ctrltransfer get = {
			.bRequestType = 0x80,
			.bRequest = 8, /* GET_CONFIGURATION */
			.wLength = 1,
			.timeout = 1000,
			.data = &now,
		};

		if (ioctl(fd, USBDEVFS_CONTROL, &get) == 1 && now != value)
			ioctl(fd, USBDEVFS_SETCONFIGURATION, &value);
	}
	for (int i = 0; i < MAX_INTERFACES; i++) {
		struct usbdevfs_ioctl connect = {
			.ifno = i,
			.ioctl_code = USBDEVFS_CONNECT,
		};

		/* Of a driver that takes several the first is enough. */
		if (former->drivers >> i & 1)
			ioctl(fd, USBDEVFS_IOCTL, &connect);
	}
}

/* --- The process ------------------------------------------------------------------ */

struct held {
	uint32_t id;
	int fd; /* -1: unused */
	struct usbfs_former former;
};

/* The message, with the descriptor; without one it means: drop. */
struct message {
	uint32_t id;
	struct usbfs_former former;
};

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static void take(struct held *held, const struct message *message, int fd)
{
	for (size_t i = 0; i < MAX_HELD; i++) {
		struct held *h = &held[i];

		if (fd < 0 && h->fd >= 0 && h->id == message->id) {
			close(h->fd);
			h->fd = -1;
			return;
		}
		if (fd >= 0 && h->fd < 0) {
			*h = (struct held){ message->id, fd, message->former };
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static bool receive(int socket, struct held *held)
{
	struct message message;
	struct iovec iov = { &message, sizeof(message) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	int fd = -1;
	ssize_t n;

	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(message))
		return false; /* the end of the program */
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	take(held, &message, fd);
	return true;
}

static _Noreturn void keep(int socket)
{
	static struct held held[MAX_HELD];
	int null;

	/* Out of the way of those three: they may have been closed. */
	socket = fcntl(socket, F_DUPFD, 3);
	null = open("/dev/null", O_RDWR);
	/* The session on standard input and output is not its own, and who
	 * waits for the end of a pipe does not wait for this. */
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (socket != 3)
		dup2(socket, 3);
	close_range(4, ~0u, 0);
	socket = 3;
	/* A terminal's ^C is for the program, which ends this. */
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "ryll-keeper");
	for (size_t i = 0; i < MAX_HELD; i++)
		held[i].fd = -1;
	while (receive(socket, held))
		;
	for (size_t i = 0; i < MAX_HELD; i++)
		if (held[i].fd >= 0)
			usbfs_give_back(held[i].fd, &held[i].former);
	_exit(0);
}

/* --- The program's side ---------------------------------------------------------------- */

void usbfs_keeper_start(struct usbfs_keeper *keeper)
{
	int pair[2];
	pid_t pid;

	keeper->socket = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		log_warn("no keeper of USB devices: %s", strerror(errno));
		return;
	}
	/* Twice, so that it is nobody's child to be waited for. */
	pid = fork();
	if (!pid) {
		close(pair[0]);
		if (fork())
			_exit(0);
		keep(pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		log_warn("no keeper of USB devices: %s", strerror(errno));
		close(pair[0]);
		return;
	}
	waitpid(pid, NULL, 0);
	keeper->socket = pair[0];
}

void usbfs_keeper_stop(struct usbfs_keeper *keeper)
{
	if (keeper->socket >= 0)
		close(keeper->socket);
	keeper->socket = -1;
}

static void tell(struct usbfs_keeper *keeper, const struct message *message,
		 int fd)
{
	struct iovec iov = { (void *)message, sizeof(*message) };
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (keeper->socket < 0)
		return;
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	/* Never waits for it: it is there for the worst case only. */
	if (sendmsg(keeper->socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    !atomic_flag_test_and_set(&keeper->told))
		log_warn(
			"the keeper of USB devices does not answer: %s; after a kill they would be left without drivers",
			strerror(errno));
}

void usbfs_keeper_hold(struct usbfs_keeper *keeper, uint32_t id, int fd,
		       const struct usbfs_former *former)
{
	const struct message message = { .id = id, .former = *former };

	tell(keeper, &message, fd);
}

void usbfs_keeper_drop(struct usbfs_keeper *keeper, uint32_t id)
{
	const struct message message = { .id = id };

	tell(keeper, &message, -1);
}
