// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a mount: from the folder to the threads, and back.
 */
#include "fuse/export.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "fuse/session.h"

/* --- Threads -------------------------------------------------------------------- */

#define MAX_THREADS 4

/* Wakes a thread that waits for a request. */
#define WAKE_SIGNAL SIGUSR1

static void woken(int signo)
{
	(void)signo;
}

static void *thread_main(void *arg)
{
	struct export *export = arg;
	struct fuse_buf buf = { 0 };

	while (!fuse_session_exited(export->session)) {
		int n = fuse_session_receive_buf(export->session, &buf);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break; /* unmounted by somebody else */
		fuse_session_process_buf(export->session, &buf);
	}
	free(buf.mem);
	if (!__atomic_sub_fetch(&export->n_running, 1, __ATOMIC_ACQ_REL))
		mailbox_send(&export->mailbox, &export->ended);
	return NULL;
}

static int start_threads(struct export *export)
{
	struct sigaction wake = { .sa_handler = woken };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int n = (unsigned int)MAX(2, MIN(cpus, MAX_THREADS));
	sigset_t most, old;
	int ret = 0;

	export->threads = calloc(n, sizeof(*export->threads));
	if (!export->threads)
		return -ENOMEM;
	sigaction(WAKE_SIGNAL, &wake, NULL);
	/* Signals are the loop's, but for this one. */
	sigfillset(&most);
	sigdelset(&most, WAKE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &most, &old);
	/* One for this function, so that they cannot all have ended yet. */
	export->n_running = 1;
	while (!ret && export->n_threads < n) {
		__atomic_add_fetch(&export->n_running, 1, __ATOMIC_RELAXED);
		ret = pthread_create(&export->threads[export->n_threads], NULL,
				     thread_main, export);
		if (ret)
			__atomic_sub_fetch(&export->n_running, 1,
					   __ATOMIC_RELAXED);
		else
			export->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!__atomic_sub_fetch(&export->n_running, 1, __ATOMIC_ACQ_REL) &&
	    export->n_threads)
		mailbox_send(&export->mailbox, &export->ended);
	return export->n_threads ? 0 : -ret;
}

/* --- The end ---------------------------------------------------------------------- */

#define STOP_POLL_MS 5

static void unmount(struct export *export)
{
	if (export->mounted)
		fuse_session_unmount(export->session);
	export->mounted = false;
}

static void stopped(struct export *export)
{
	unmount(export);
	export->options.stopped(export->options.arg);
}

static void flushed(struct image_request *request, int res)
{
	struct export_disk *disk =
		container_of(request, struct export_disk, flush);
	struct export *export = disk->export;

	if (res < 0)
		log_err("%s.img: flushing the image failed: %s; the last writes may be lost",
			disk->name, strerror(-res));
	if (!--export->flushing)
		stopped(export);
}

/* What was written through the files is to last, as after an unmount. */
static void flush(struct export *export)
{
	export->flushing = 1;
	for (unsigned int i = 0; i < export->n_disks; i++) {
		struct export_disk *disk = &export->disks[i];

		if (!export_writable(export, disk))
			continue;
		disk->export = export;
		disk->flush = (struct image_request){ .type = IMAGE_FLUSH,
						      .done = flushed };
		export->flushing++;
		image_submit(disk->image, &disk->flush);
	}
	if (!--export->flushing)
		stopped(export);
}

/* First the threads, then what they have asked the loop for, then the mount. */
static void stop_poll(struct timer *timer)
{
	struct export *export = container_of(timer, struct export, stop_poll);

	if (__atomic_load_n(&export->n_running, __ATOMIC_ACQUIRE)) {
		/* Again and again: it may have been about to wait. */
		for (unsigned int i = 0; i < export->n_threads; i++)
			pthread_kill(export->threads[i], WAKE_SIGNAL);
	} else if (!__atomic_load_n(&export->calls, __ATOMIC_RELAXED)) {
		for (unsigned int i = 0; i < export->n_threads; i++)
			pthread_join(export->threads[i], NULL);
		export->n_threads = 0;
		flush(export);
		return;
	}
	timer_start(export->loop, timer, STOP_POLL_MS);
}

void export_stop(struct export *export)
{
	if (export->stopping)
		return;
	export->stopping = true;
	fuse_session_exit(export->session);
	timer_start(export->loop, &export->stop_poll, 0);
}

static void ended(struct mail *mail)
{
	struct export *export = container_of(mail, struct export, ended);

	if (!export->stopping)
		log_info("%s: has been unmounted", export->options.folder);
	export_stop(export);
}

/* --- The beginning ------------------------------------------------------------------ */

int export_create(struct loop *loop, const struct export_options *options,
		  struct export **export)
{
	struct export *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return -ENOMEM;
	e->loop = loop;
	e->options = *options;
	e->ended.run = ended;
	timer_init(&e->stop_poll, stop_poll);
	clock_gettime(CLOCK_REALTIME, &e->started);
	ret = mailbox_init(&e->mailbox, loop);
	if (ret < 0) {
		free(e);
		return ret;
	}
	*export = e;
	return 0;
}

static bool taken(const struct export *export, const char *name)
{
	for (unsigned int i = 0; i < export->n_disks; i++)
		if (!strcmp(export->disks[i].name, name))
			return true;
	return false;
}

/* Room for "-1024" and ".json" within NAME_MAX. */
#define NAME_LEN 240

int export_add(struct export *export, const char *name, struct image *image,
	       void (*state)(void *arg, struct export_state *state), void *arg)
{
	struct export_disk *disks =
		realloc(export->disks, (export->n_disks + 1) * sizeof(*disks));
	char unique[NAME_LEN + 12];

	if (!disks)
		return -ENOMEM;
	export->disks = disks;
	snprintf(unique, sizeof(unique), "%.*s", NAME_LEN, name);
	for (unsigned int i = 2; taken(export, unique); i++)
		snprintf(unique, sizeof(unique), "%.*s-%u", NAME_LEN, name, i);
	disks[export->n_disks] = (struct export_disk){
		.name = strdup(unique),
		.image = image,
		.state = state,
		.arg = arg,
	};
	if (!disks[export->n_disks].name)
		return -ENOMEM;
	export->n_disks++;
	return 0;
}

/* Not to be waited for: nobody serves it any more. */
static void unmount_stale(const char *folder)
{
	char *argv[] = {
		"fusermount3", "-u", "-z", "--", (char *)folder, NULL
	};
	pid_t pid;

	log_info("%s: unmounting what a killed process has left", folder);
	if (umount2(folder, MNT_DETACH) == 0 || errno != EPERM)
		return;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0)
		waitpid(pid, NULL, 0);
}

static int check_folder(const char *folder, const char **why)
{
	struct dirent *entry;
	unsigned int n = 0;
	struct stat st;
	DIR *dir;

	if (stat(folder, &st) < 0 && errno == ENOTCONN)
		unmount_stale(folder);
	dir = opendir(folder);
	if (!dir) {
		*why = errno == ENOENT ? "does not exist; make the folder first"
		       : errno == ENOTDIR ? "is not a folder"
					  : strerror(errno);
		return -errno;
	}
	while ((entry = readdir(dir)))
		n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(dir);
	if (!n)
		return 0;
	*why = "is not empty; mount on an empty folder (is another ryll-bridge there?)";
	return -ENOTEMPTY;
}

/* The library's last words, which are better than ours. */
static char last_words[256];

static void remember(enum fuse_log_level level, const char *fmt, va_list args)
{
	size_t len;

	if (level > FUSE_LOG_ERR)
		return;
	vsnprintf(last_words, sizeof(last_words), fmt, args);
	len = strlen(last_words);
	if (len && last_words[len - 1] == '\n')
		last_words[len - 1] = '\0';
	log_debug("%s", last_words);
}

int export_start(struct export *export, const char **why)
{
	const struct export_options *o = &export->options;
	char options[160];
	char *argv[] = { "ryll", "-o", options };
	struct fuse_args args = FUSE_ARGS_INIT(ARRAY_SIZE(argv), argv);
	int ret = check_folder(o->folder, why);

	if (ret < 0)
		return ret;
	snprintf(
		options, sizeof(options),
		"fsname=ryll-bridge,subtype=ryll,default_permissions,max_read=%u%s%s",
		EXPORT_MAX_READ, o->writable ? "" : ",ro",
		o->allow_other ? ",allow_other" : "");
	fuse_set_log_func(remember);
	last_words[0] = '\0';
	export->session = fuse_session_new(&args, &export_ops,
					   sizeof(export_ops), export);
	fuse_opt_free_args(&args);
	if (!export->session ||
	    fuse_session_mount(export->session, o->folder) < 0) {
		/* fusermount3 has said something, too, on standard error. */
		*why = last_words[0] ? last_words
		       : o->allow_other && geteuid()
			       ? "cannot be mounted for other users (is user_allow_other in /etc/fuse.conf?)"
			       : "cannot be mounted (is fuse3 installed, and /dev/fuse there?)";
		return -EIO;
	}
	export->mounted = true;
	ret = start_threads(export);
	if (ret < 0)
		*why = strerror(-ret);
	return ret;
}

bool export_destroy(struct export *export)
{
	if (!export)
		return true;
	unmount(export);
	if (export->n_threads)
		return false;
	if (export->session)
		fuse_session_destroy(export->session);
	mailbox_fini(&export->mailbox);
	for (unsigned int i = 0; i < export->n_disks; i++)
		free(export->disks[i].name);
	free(export->disks);
	free(export->threads);
	free(export);
	return true;
}
