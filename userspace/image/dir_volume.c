// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/dir_volume.h"

#include <string.h>

#include "base/span.h"

/* Sectors of the disk, and of the volume (FAT specification, section 3). */
#define PARTITION 2048u /* where the volume is: 1 MiB */
#define VOLUME_FSINFO 1u
#define VOLUME_BACKUP 6u
#define RESERVED 32u
#define FATS 2u

/* Fewer clusters would make it FAT16; some count wrong by a few. */
#define CLUSTERS_MIN (65525u + 75u)
#define CLUSTERS_MAX 0x0ffffff0u
#define SECTORS_MAX UINT32_MAX
#define END_OF_CHAIN 0x0fffffffu

/* Free space, for an overlay that takes writes. It costs nothing. */
#define SPARE (4ull << 30)

/* --- The layout ---------------------------------------------------------------- */

static uint32_t clusters_of(const struct dir_node *node, uint32_t cluster_size)
{
	uint64_t n = ((uint64_t)node->size + cluster_size - 1) / cluster_size;

	/* A file may have none, a folder may not. */
	return node->folder ? MAX((uint32_t)n, 1) : (uint32_t)n;
}

/* False when the tree, and spare bytes, do not fit with clusters of this size. */
static bool measure(struct dir_volume *v, uint32_t cluster_size, uint64_t spare,
		    uint64_t clusters_max)
{
	uint64_t used = 0, sectors;

	for (uint32_t i = 0; i < v->tree->n; i++)
		used += clusters_of(&v->tree->nodes[i], cluster_size);
	spare /= cluster_size;
	if (used + spare > clusters_max)
		return false;
	v->cluster_size = cluster_size;
	v->used = (uint32_t)used + 2;
	v->clusters = MAX((uint32_t)(used + spare), CLUSTERS_MIN);
	/* A multiple of 8, so that files begin where pages do. */
	v->fat_sectors = (v->clusters + 2 + 127) / 128;
	v->fat_sectors = (v->fat_sectors + 7) & ~7u;
	sectors = PARTITION + RESERVED + FATS * (uint64_t)v->fat_sectors;
	v->data = sectors * DIR_SECTOR;
	sectors += (uint64_t)v->clusters * (cluster_size / DIR_SECTOR);
	v->size = sectors * DIR_SECTOR;
	return sectors <= SECTORS_MAX;
}

/*
 * Small clusters as long as the FAT stays below 8 MiB, which guests read;
 * beyond, large ones, unless these waste so much that it gets too large.
 */
static bool choose_clusters(struct dir_volume *v, uint64_t spare)
{
	for (uint32_t size = 4096; size <= 32768; size *= 2)
		if (measure(v, size, spare, 2u << 20))
			return true;
	for (uint32_t size = 32768; size >= 4096; size /= 2)
		if (measure(v, size, spare, CLUSTERS_MAX))
			return true;
	return false;
}

static void make_label(struct dir_volume *v, const char *text)
{
	struct dir_name name = { .n = 0 };
	unsigned int n = 0;
	const char *why;

	memset(v->label, ' ', sizeof(v->label));
	if (dir_name_decode(&name, text, &why) < 0)
		name.n = 0;
	for (unsigned int i = 0; i < name.n && n < sizeof(v->label); i++) {
		unsigned int c = name.units[i];

		if (c >= 'a' && c <= 'z')
			c -= 'a' - 'A';
		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    c != '-' && (c != ' ' || !n))
			c = '_';
		v->label[n++] = (uint8_t)c;
	}
	if (!n)
		memcpy(v->label, "FOLDER", 6);
}

int dir_volume_init(struct dir_volume *v, struct dir_tree *tree,
		    const char *name, uint32_t serial)
{
	uint32_t next = 2;

	*v = (struct dir_volume){ .tree = tree, .serial = serial };
	make_label(v, name);
	if (!choose_clusters(v, SPARE) && !choose_clusters(v, 0))
		return -EFBIG;
	for (uint32_t i = 0; i < tree->n; i++) {
		tree->nodes[i].start = next;
		next += clusters_of(&tree->nodes[i], v->cluster_size);
	}
	return 0;
}

/* The node that a cluster in use belongs to: the last one that starts there or
 * before, for those without clusters start where the next one does. */
static uint32_t owner(const struct dir_volume *v, uint32_t cluster)
{
	uint32_t low = 0, high = v->tree->n;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (v->tree->nodes[middle].start <= cluster)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static uint32_t end_of(const struct dir_volume *v, uint32_t node)
{
	return node + 1 < v->tree->n ? v->tree->nodes[node + 1].start : v->used;
}

/* --- Sectors: the start of the disk and of the volume --------------------------------- */

/*
 * What a BIOS gets that tries to boot from it: the text, on the screen, then
 * on to the next disk.
 *   call over; text; over: pop si
 *   next: lodsb; test al,al; jz out; mov ah,0eh; mov bx,7; int 10h; jmp next
 *   out: int 18h; stop: hlt; jmp stop
 * Wherever it runs, DS is made that of the code.
 */
static void put_boot_code(struct span_writer *w)
{
	static const char text[] =
		"This disk is a folder: nothing to boot from.\r\n";
	static const uint8_t print[] = { 0x0e, 0x1f, 0xfc, 0x5e, 0xac, 0x84,
					 0xc0, 0x74, 0x09, 0xb4, 0x0e, 0xbb,
					 0x07, 0x00, 0xcd, 0x10, 0xeb, 0xf2,
					 0xcd, 0x18, 0xf4, 0xeb, 0xfd };

	span_put_le(w, 0xe8, 1);
	span_put_le(w, sizeof(text), 2);
	span_put(w, text, sizeof(text));
	span_put(w, print, sizeof(print));
}

static uint32_t volume_sectors(const struct dir_volume *v)
{
	return (uint32_t)(v->size / DIR_SECTOR) - PARTITION;
}

static void put_signature(struct span_writer *w)
{
	span_put_zero(w, 510 - w->len);
	span_put_le(w, 0xaa55, 2);
}

static void put_mbr(const struct dir_volume *v, struct span_writer *w)
{
	put_boot_code(w);
	span_put_zero(w, 440 - w->len);
	span_put_le(w, v->serial, 4);
	span_put_zero(w, 2);
	/* Not active; from there on, FAT32 by LBA: what CHS cannot say. */
	span_put_le(w, 0xfffffe00, 4);
	span_put_le(w, 0xfffffe0c, 4);
	span_put_le(w, PARTITION, 4);
	span_put_le(w, volume_sectors(v), 4);
	put_signature(w);
}

static void put_boot_sector(const struct dir_volume *v, struct span_writer *w)
{
	span_put(w, "\xeb\x58\x90MSWIN4.1", 11);
	span_put_le(w, DIR_SECTOR, 2);
	span_put_le(w, v->cluster_size / DIR_SECTOR, 1);
	span_put_le(w, RESERVED, 2);
	span_put_le(w, FATS, 1);
	span_put_zero(w, 4);	 /* the root's entries, sectors: of FAT16 */
	span_put_le(w, 0xf8, 1); /* a hard disk */
	span_put_zero(w, 2);
	span_put_le(w, 63, 2);	/* sectors a track */
	span_put_le(w, 255, 2); /* heads */
	span_put_le(w, PARTITION, 4);
	span_put_le(w, volume_sectors(v), 4);
	span_put_le(w, v->fat_sectors, 4);
	span_put_zero(w, 4);  /* mirrored FATs; version */
	span_put_le(w, 2, 4); /* the root's cluster */
	span_put_le(w, VOLUME_FSINFO, 2);
	span_put_le(w, VOLUME_BACKUP, 2);
	span_put_zero(w, 12);
	span_put_le(w, 0x80, 1);
	span_put_zero(w, 1);
	span_put_le(w, 0x29, 1); /* the next three are there */
	span_put_le(w, v->serial, 4);
	span_put(w, v->label, sizeof(v->label));
	span_put(w, "FAT32   ", 8);
	put_boot_code(w);
	put_signature(w);
}

static void put_fsinfo(const struct dir_volume *v, struct span_writer *w)
{
	span_put_le(w, 0x41615252, 4);
	span_put_zero(w, 480);
	span_put_le(w, 0x61417272, 4);
	span_put_le(w, v->clusters + 2 - v->used, 4);
	span_put_le(w, v->used, 4); /* where to look for free ones */
	put_signature(w);
}

static void put_reserved(const struct dir_volume *v, uint64_t sector,
			 struct span_writer *w)
{
	switch (sector % VOLUME_BACKUP) {
	case 0:
		put_boot_sector(v, w);
		break;
	case VOLUME_FSINFO:
		put_fsinfo(v, w);
		break;
	case 2:
		put_signature(w);
		break;
	}
}

/* --- Sectors of the FAT -------------------------------------------------------------------- */

static void put_fat(const struct dir_volume *v, uint64_t sector,
		    struct span_writer *w)
{
	uint32_t cluster = (uint32_t)sector * 128, last = cluster + 128;
	uint32_t node;

	if (!cluster) {
		span_put_le(w, 0x0ffffff8, 4);
		span_put_le(w, END_OF_CHAIN, 4);
		cluster = 2;
	}
	node = owner(v, cluster);
	for (; cluster < MIN(last, v->used); cluster++) {
		while (end_of(v, node) <= cluster)
			node++;
		span_put_le(w,
			    cluster + 1 == end_of(v, node) ? END_OF_CHAIN
							   : cluster + 1,
			    4);
	}
}

/* --- Sectors of folders ---------------------------------------------------------------------- */

static void put_entry(struct span_writer *w, const uint8_t *brief,
		      uint8_t attributes, uint32_t time, uint32_t start,
		      uint32_t size)
{
	span_put(w, brief, DIR_SHORT_SIZE);
	span_put_le(w, attributes, 1);
	span_put_zero(w, 2);
	span_put_le(w, time, 4);       /* made */
	span_put_le(w, time >> 16, 2); /* looked at */
	span_put_le(w, start >> 16, 2);
	span_put_le(w, time, 4);
	span_put_le(w, start & 0xffff, 2);
	span_put_le(w, size, 4);
}

#define LABEL 0x08
#define FOLDER 0x10
#define ARCHIVE 0x20

/* Those before the first child. */
static void put_first_slot(const struct dir_volume *v, uint32_t node,
			   uint32_t slot, struct span_writer *w)
{
	const struct dir_node *folder = &v->tree->nodes[node];
	const struct dir_node *parent = &v->tree->nodes[folder->parent];

	if (!node)
		put_entry(w, v->label, LABEL, folder->time, 0, 0);
	else if (!slot)
		put_entry(w, (const uint8_t *)".          ", FOLDER,
			  folder->time, folder->start, 0);
	else /* The root as a parent is called 0. */
		put_entry(w, (const uint8_t *)"..         ", FOLDER,
			  parent->time, folder->parent ? parent->start : 0, 0);
}

static void put_child_slot(const struct dir_volume *v,
			   const struct dir_node *child, uint32_t slot,
			   struct span_writer *w)
{
	struct dir_name name;
	const char *why;
	uint8_t part[DIR_SLOT_SIZE] = { 0 };

	if (slot == child->slot + child->long_slots) {
		bool none = !child->folder && !child->size;

		put_entry(w, child->brief, child->folder ? FOLDER : ARCHIVE,
			  child->time, none ? 0 : child->start,
			  child->folder ? 0 : child->size);
		return;
	}
	if (!dir_name_decode(&name, v->tree->names + child->name, &why))
		dir_name_slot(&name, child->long_slots - (slot - child->slot),
			      child->brief, part);
	span_put(w, part, sizeof(part));
}

/* The last child whose slots begin there or before. */
static uint32_t child_at(const struct dir_volume *v,
			 const struct dir_node *folder, uint32_t slot)
{
	uint32_t low = folder->first, high = folder->first + folder->n;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (v->tree->nodes[middle].slot <= slot)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void put_folder(const struct dir_volume *v, uint32_t node, uint32_t slot,
		       struct span_writer *w)
{
	const struct dir_node *folder = &v->tree->nodes[node];
	uint32_t first = node ? DIR_SUB_SLOTS : DIR_ROOT_SLOTS;
	uint32_t end = folder->size / DIR_SLOT_SIZE;
	uint32_t last = MIN(slot + DIR_SECTOR / DIR_SLOT_SIZE, end);
	uint32_t child = child_at(v, folder, slot);

	for (; slot < last; slot++) {
		const struct dir_node *c = &v->tree->nodes[child];

		if (slot < first) {
			put_first_slot(v, node, slot, w);
			continue;
		}
		put_child_slot(v, c, slot, w);
		if (slot == c->slot + c->long_slots)
			child++;
	}
}

/* --- Finding and making --------------------------------------------------------------------------- */

static uint64_t fat_start(void)
{
	return (uint64_t)(PARTITION + RESERVED) * DIR_SECTOR;
}

static struct dir_part part(enum dir_part_kind kind, uint64_t off, uint64_t end)
{
	return (struct dir_part){ .kind = kind, .len = end - off };
}

static struct dir_part find_in_clusters(const struct dir_volume *v,
					uint64_t off)
{
	uint64_t at = off - v->data, end;
	uint32_t cluster = (uint32_t)(at / v->cluster_size) + 2, node;
	const struct dir_node *n;

	if (cluster >= v->used)
		return part(DIR_PART_ZERO, off, v->size);
	node = owner(v, cluster);
	n = &v->tree->nodes[node];
	at -= (uint64_t)(n->start - 2) * v->cluster_size;
	end = (uint64_t)(end_of(v, node) - n->start) * v->cluster_size;
	if (n->folder)
		return part(DIR_PART_MADE, at, end);
	if (at >= n->size)
		return part(DIR_PART_ZERO, at, end);
	return (struct dir_part){ .kind = DIR_PART_FILE,
				  .len = n->size - at,
				  .node = node,
				  .at = at };
}

struct dir_part dir_volume_find(const struct dir_volume *v, uint64_t off)
{
	uint64_t volume = (uint64_t)PARTITION * DIR_SECTOR;
	uint64_t fat_size = (uint64_t)v->fat_sectors * DIR_SECTOR;
	uint64_t fat_used = ((uint64_t)v->used * 4 + DIR_SECTOR - 1) /
			    DIR_SECTOR * DIR_SECTOR;
	uint64_t at;

	if (off < DIR_SECTOR)
		return part(DIR_PART_MADE, off, DIR_SECTOR);
	if (off < volume)
		return part(DIR_PART_ZERO, off, volume);
	if (off < fat_start())
		return part(DIR_PART_MADE, off, fat_start());
	if (off >= v->data)
		return find_in_clusters(v, off);
	at = (off - fat_start()) % fat_size;
	return at < fat_used ? part(DIR_PART_MADE, at, fat_used)
			     : part(DIR_PART_ZERO, at, fat_size);
}

static void make_sector(const struct dir_volume *v, uint64_t sector,
			uint8_t into[DIR_SECTOR])
{
	struct span_writer w = span_writer_of(into, DIR_SECTOR);
	uint64_t off = sector * DIR_SECTOR;

	if (!sector) {
		put_mbr(v, &w);
	} else if (off < fat_start()) {
		/* Two copies of the first sectors, and nothing behind. */
		if (sector - PARTITION < 2 * VOLUME_BACKUP)
			put_reserved(v, sector - PARTITION, &w);
	} else if (off < v->data) {
		put_fat(v, (sector - PARTITION - RESERVED) % v->fat_sectors,
			&w);
	} else {
		uint64_t at = off - v->data;
		uint32_t node = owner(v, (uint32_t)(at / v->cluster_size) + 2);

		at -= (uint64_t)(v->tree->nodes[node].start - 2) *
		      v->cluster_size;
		put_folder(v, node, (uint32_t)(at / DIR_SLOT_SIZE), &w);
	}
	span_put_zero(&w, DIR_SECTOR - w.len);
}

void dir_volume_make(const struct dir_volume *v, uint64_t off, uint8_t *into,
		     uint64_t len)
{
	while (len) {
		uint8_t sector[DIR_SECTOR];
		uint32_t skip = off % DIR_SECTOR;
		uint32_t n = (uint32_t)MIN(len, DIR_SECTOR - skip);

		make_sector(v, off / DIR_SECTOR, sector);
		memcpy(into, sector + skip, n);
		off += n;
		into += n;
		len -= n;
	}
}
