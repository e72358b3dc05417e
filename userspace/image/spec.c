// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/spec.h"

#include <stdlib.h>
#include <string.h>

#include "image/mem.h"
#include "image/raw.h"

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

int image_spec_option(struct image_spec *spec, const char *option,
		      const char **why)
{
	(void)why;
	if (!strcmp(option, "ro")) {
		spec->read_only = true;
		return 1;
	}
	return 0;
}

void image_spec_fini(struct image_spec *spec)
{
	free(spec->path);
}

/* What IMAGE may begin with; everything else is the path of a raw image. */
static const struct {
	const char *prefix;
	int (*open)(struct loop *loop, const char *path, bool read_only,
		    struct image **image, const char **why);
} kinds[] = {
	{ "mem:", mem_open },
};

int image_open(struct loop *loop, const struct image_spec *spec,
	       struct image **image, const char **why)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(spec->path, kinds[i].prefix,
			     strlen(kinds[i].prefix)))
			return kinds[i].open(loop, spec->path, spec->read_only,
					     image, why);
	return raw_open(loop, spec->path, spec->read_only, image, why);
}
