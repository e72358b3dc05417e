// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NAME.json: how a disk is, at the moment at which the file is opened.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/session.h"

static json_int_t moved(const uint64_t *direct, uint64_t requested)
{
	return (json_int_t)(__atomic_load_n(direct, __ATOMIC_RELAXED) +
			    requested);
}

/* Paths are bytes, JSON is UTF-8. */
static json_t *string_of(const char *text)
{
	json_t *string = json_string(text);
	char *copy;

	if (string)
		return string;
	copy = strdup(text);
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

char *export_state_text(const struct export *export,
			const struct export_disk *disk)
{
	struct image *image = disk->image;
	const uint64_t *n = image->stats.requests;
	struct export_state state = { .source = disk->name };
	char *text = NULL, *lines = NULL;
	json_t *json;

	if (disk->state)
		disk->state(disk->arg, &state);
	image_refresh(image);
	json = json_pack(
		"{s:o, s:o, s:s, s:I, s:I, s:b, s:b, s:b,"
		" s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I}}",
		"name", string_of(disk->name), "source",
		string_of(state.source), "kind", image->ops->name, "size",
		(json_int_t)image->size, "used", (json_int_t)image_used(image),
		"read_only", image->read_only, "file_writable",
		export_writable(export, disk), "attached", state.attached,
		"bytes_read", moved(&disk->bytes_read, image->stats.bytes_read),
		"bytes_written",
		moved(&disk->bytes_written, image->stats.bytes_written),
		"requests", "read", (json_int_t)n[IMAGE_READ], "write",
		(json_int_t)n[IMAGE_WRITE], "flush", (json_int_t)n[IMAGE_FLUSH],
		"discard", (json_int_t)n[IMAGE_DISCARD], "zero",
		(json_int_t)n[IMAGE_ZERO], "failed",
		(json_int_t)image->stats.errors);
	if (json)
		text = json_dumps(json, JSON_INDENT(2));
	if (text && asprintf(&lines, "%s\n", text) < 0)
		lines = NULL;
	free(text);
	json_decref(json);
	return lines;
}
