// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/dir.h"
#include "image/mem.h"
#include "image/nbd.h"
#include "image/overlay.h"
#include "image/overlay_file.h"
#include "image/raw.h"

/* The length of the scheme that text begins with if it has a plus sign; 0. */
static size_t plus_scheme(const char *text)
{
	static const char *const schemes[] = { "nbd+unix://", "nbds+unix://" };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (!strncmp(text, schemes[i], strlen(schemes[i])))
			return strlen(schemes[i]);
	return 0;
}

char *image_spec_split(const char **list)
{
	const char *p = *list;
	size_t len;
	char *text;

	if (!p)
		return NULL;
	text = strdup(p);
	if (!text)
		return NULL;
	len = plus_scheme(p);
	for (p += len; *p && (*p != '+' || p[1] == '+'); p++) {
		text[len++] = *p;
		if (*p == '+')
			p++;
	}
	text[len] = '\0';
	*list = *p ? p + 1 : NULL;
	return text;
}

char *image_spec_next(const char **list)
{
	const char *p = *list;
	size_t len = 0;
	char *element;

	if (!p)
		return NULL;
	element = malloc(strlen(p) + 1);
	if (!element)
		return NULL;
	for (; *p && (*p != ',' || p[1] == ','); p++) {
		element[len++] = *p;
		if (*p == ',')
			p++;
	}
	element[len] = '\0';
	*list = *p ? p + 1 : NULL;
	return element;
}

int image_spec_parse(struct image_spec *spec, const char **list,
		     const char **why)
{
	*spec = (struct image_spec){ .path = image_spec_next(list) };
	if (!spec->path) {
		*why = strerror(ENOMEM);
		return -ENOMEM;
	}
	if (!*spec->path) {
		*why = "has no path of an image";
		return -EINVAL;
	}
	return 0;
}

static int set(char **field, const char *value, const char **why)
{
	free(*field);
	*field = strdup(value);
	if (*field)
		return 1;
	*why = strerror(ENOMEM);
	return -ENOMEM;
}

int image_spec_option(struct image_spec *spec, const char *option,
		      const char **why)
{
	if (!strcmp(option, "ro")) {
		spec->read_only = true;
		return 1;
	}
	if (!strcmp(option, "snapshot")) {
		spec->snapshot = true;
		return 1;
	}
	if (!strncmp(option, "overlay=", 8)) {
		if (option[8])
			return set(&spec->overlay, option + 8, why);
		*why = "names no file";
		return -EINVAL;
	}
	if (!strncmp(option, "name=", 5)) {
		if (option[5] && !strchr(option, '/'))
			return set(&spec->name, option + 5, why);
		*why = "is not a name of a file";
		return -EINVAL;
	}
	return 0;
}

/* The last part of a path or a URI; of a path without its suffix. */
static size_t stem(const char *path, const char **start)
{
	bool uri = strstr(path, "://");
	size_t len = uri ? strcspn(path, "?") : strlen(path), from;
	size_t end;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (from = len; from && path[from - 1] != '/'; from--)
		;
	if (!from && !strncmp(path, "dir:", 4))
		from = 4;
	*start = path + from;
	for (end = len; end > from + 1 && !uri; end--)
		if (path[end - 1] == '.')
			return end - 1 - from;
	return len - from;
}

void image_spec_name(const struct image_spec *spec, char *name, size_t size)
{
	const char *start = spec->name;
	size_t len = start ? strlen(start) : stem(spec->path, &start);

	snprintf(name, size, "%.*s", (int)MIN(len, size), start);
	/* JSON and terminals want no bytes that are not characters. */
	for (char *p = name; *p; p++)
		if ((unsigned char)*p < ' ' || *p == '/' || *p == 0x7f)
			*p = '_';
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		snprintf(name, size, "disk");
}

void image_spec_fini(struct image_spec *spec)
{
	free(spec->path);
	free(spec->name);
	free(spec->overlay);
}

/* What IMAGE may begin with; everything else is the path of a raw image. */
static const struct {
	const char *prefix;
	int (*open)(struct loop *loop, const char *path, bool read_only,
		    struct image **image, const char **why);
} kinds[] = {
	{ "dir:", dir_open },	     { "mem:", mem_open },
	{ "nbd://", nbd_open },	     { "nbds://", nbd_open },
	{ "nbd+unix://", nbd_open }, { "nbds+unix://", nbd_open },
};

static int open_base(struct loop *loop, const char *path, bool read_only,
		     struct image **image, const char **why)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(path, kinds[i].prefix, strlen(kinds[i].prefix)))
			return kinds[i].open(loop, path, read_only, image, why);
	return raw_open(loop, path, read_only, image, why);
}

/* For the overlay to remember: a relative path is of use here and now only. */
static char *lasting_name(const char *path)
{
	size_t prefix = strncmp(path, "dir:", 4) ? 0 : 4;
	char *real cleanup_free = realpath(path + prefix, NULL), *name;

	return asprintf(&name, "%.*s%s", (int)prefix, path,
			real ? real : path + prefix) < 0
		       ? NULL
		       : name;
}

int image_open(struct loop *loop, const struct image_spec *spec,
	       struct image **image, const char **why)
{
	char *name cleanup_free = NULL;
	static char text[512];
	struct image *base;
	int ret;

	if (spec->overlay && spec->snapshot) {
		*why = "cannot have both overlay= and snapshot";
		return -EINVAL;
	}
	if (!spec->overlay && !spec->snapshot)
		return open_base(loop, spec->path, spec->read_only, image, why);
	ret = open_base(loop, spec->path, true, &base, why);
	if (ret < 0)
		return ret;
	name = lasting_name(spec->path);
	if (!name) {
		image_destroy(base);
		*why = strerror(ENOMEM);
		return -ENOMEM;
	}
	ret = overlay_open(loop, base, name, spec->overlay, spec->read_only,
			   image, why);
	if (ret < 0 && spec->overlay) {
		snprintf(text, sizeof(text),
			 "cannot use its overlay %s, which %s", spec->overlay,
			 *why);
		*why = text;
	}
	return ret;
}

int image_commit(struct loop *loop, const char *path, const char **why)
{
	static char text[sizeof(((struct overlay_file *)0)->base) + 200];
	struct overlay_file file;
	struct image *base;
	int ret = overlay_file_read(loop, path, &file, why);

	if (ret < 0)
		return ret;
	ret = open_base(loop, file.base, false, &base, why);
	if (!ret && base->read_only) {
		image_destroy(base);
		*why = "can only be read";
		ret = -EROFS;
	}
	if (ret < 0) {
		snprintf(text, sizeof(text), "lies over %s, which %s",
			 file.base, *why);
		*why = text;
	} else {
		ret = overlay_commit(&file, base, why);
		image_destroy(base);
	}
	overlay_file_close(&file);
	return ret;
}
