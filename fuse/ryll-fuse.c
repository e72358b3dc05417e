// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ryll-fuse: images as files in a folder, without any guest. In the foreground,
 * until a signal or until somebody unmounts.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/signal.h"
#include "fuse/export.h"
#include "image/spec.h"

#define EXIT_USAGE 2

static const char help[] =
	"Usage: ryll-fuse [OPTION]... IMAGE... DIR\n"
	"Shows disk images as files DIR/NAME.img, until it is ended or unmounted.\n"
	"\n"
	"IMAGE is what ryll-bridge takes for a disk, and may be followed by\n"
	",name=NAME ,ro\n"
	"\n"
	"  --mount-rw            the files may be written\n"
	"  --mount-allow-other   other users may read them\n"
	"  --verbose             say more\n"
	"  --version             print the version\n"
	"  --help                print this\n"
	"\n"
	"See ryll-fuse(1).\n";

struct entry {
	struct image_spec spec;
	struct image *image; /* owned */
};

struct program {
	struct loop *loop;
	struct export *export;
	struct export_options options;
	struct signals signals;
	struct entry *entries; /* owned */
	unsigned int n_entries;
};

#define complain(...) (fprintf(stderr, "ryll-fuse: " __VA_ARGS__), -EINVAL)

static int parse_image(struct entry *entry, const char *text, bool writable)
{
	const char *rest = text, *why;
	char *element;
	int ret = image_spec_parse(&entry->spec, &rest, &why);

	if (ret < 0)
		return complain("\"%s\" %s\n", text, why);
	entry->spec.read_only = !writable;
	while (ret >= 0 && (element = image_spec_next(&rest))) {
		ret = image_spec_option(&entry->spec, element, &why);
		if (ret < 0)
			ret = complain("%s: \"%s\" %s\n", text, element, why);
		else if (!ret)
			ret = complain(
				"%s: unknown option \"%s\" (a comma in the path is written ,,)\n",
				text, element);
		free(element);
	}
	return MIN(ret, 0);
}

enum { OPT_RW = 256, OPT_ALLOW_OTHER, OPT_VERBOSE, OPT_VERSION, OPT_HELP };

static const struct option longs[] = {
	{ "mount-rw", no_argument, NULL, OPT_RW },
	{ "mount-allow-other", no_argument, NULL, OPT_ALLOW_OTHER },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* 1: there is nothing left to do. */
static int parse(struct program *p, int argc, char **argv)
{
	int option, ret = 0;

	while ((option = getopt_long(argc, argv, ":", longs, NULL)) >= 0) {
		switch (option) {
		case OPT_RW:
			p->options.writable = true;
			break;
		case OPT_ALLOW_OTHER:
			p->options.allow_other = true;
			break;
		case OPT_VERBOSE:
			log_level = LOG_LEVEL_DEBUG;
			break;
		case OPT_VERSION:
			puts("ryll-fuse " RYLL_VERSION);
			return 1;
		case OPT_HELP:
			fputs(help, stdout);
			return 1;
		default:
			return complain("unknown option %s (see --help)\n",
					argv[optind - 1]);
		}
	}
	if (argc - optind < 2)
		return complain("IMAGE... and DIR are needed (see --help)\n");
	p->options.folder = argv[argc - 1];
	p->entries = calloc((size_t)(argc - optind - 1), sizeof(*p->entries));
	if (!p->entries)
		return complain("out of memory\n");
	while (!ret && optind < argc - 1)
		ret = parse_image(&p->entries[p->n_entries++], argv[optind++],
				  p->options.writable);
	return ret;
}

static void state_of(void *arg, struct export_state *state)
{
	state->source = ((const struct entry *)arg)->spec.path;
}

static void stopped(void *arg)
{
	loop_stop(((struct program *)arg)->loop);
}

static void caught(struct signals *signals, int signo)
{
	struct program *p = container_of(signals, struct program, signals);

	log_info("%s: unmounting", strsignal(signo));
	export_stop(p->export);
}

static int open_images(struct program *p)
{
	char name[256];
	int ret = 0;

	for (unsigned int i = 0; !ret && i < p->n_entries; i++) {
		struct entry *entry = &p->entries[i];
		const char *why;

		ret = image_open(p->loop, &entry->spec, &entry->image, &why);
		if (ret < 0) {
			log_err("%s %s", entry->spec.path, why);
			return ret;
		}
		image_spec_name(&entry->spec, name, sizeof(name));
		ret = export_add(p->export, name, entry->image, state_of,
				 entry);
	}
	return ret;
}

static int serve(struct program *p)
{
	const char *why;
	sigset_t set;
	int ret = loop_create(&p->loop);

	if (ret < 0) {
		log_err("io_uring is not available: %s", strerror(-ret));
		return ret;
	}
	/* Whoever changes the images does it through these files. */
	p->options.exclusive = true;
	p->options.stopped = stopped;
	p->options.arg = p;
	p->signals.fd = -1;
	/* Who read the log may be gone. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	ret = signals_init(&p->signals, p->loop, &set, caught);
	if (!ret)
		ret = export_create(p->loop, &p->options, &p->export);
	if (!ret)
		ret = open_images(p);
	if (ret < 0)
		return ret;
	ret = export_start(p->export, &why);
	if (ret < 0) {
		log_err("%s %s", p->options.folder, why);
		return ret;
	}
	log_info("mounted on %s", p->options.folder);
	return loop_run(p->loop);
}

static void release(struct program *p)
{
	if (!export_destroy(p->export))
		return; /* failed half-way: the end of the process does it */
	for (unsigned int i = 0; i < p->n_entries; i++) {
		image_destroy(p->entries[i].image);
		image_spec_fini(&p->entries[i].spec);
	}
	free(p->entries);
	if (!p->loop)
		return;
	signals_fini(&p->signals);
	loop_destroy(p->loop);
}

int main(int argc, char **argv)
{
	struct program p = { 0 };
	int ret = parse(&p, argc, argv);
	int status = ret < 0 ? EXIT_USAGE : EXIT_SUCCESS;

	if (!ret && serve(&p) < 0)
		status = EXIT_FAILURE;
	release(&p);
	return status;
}
