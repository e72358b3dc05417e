// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/lz4.h"

#include <lz4.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"

/* So much of the middle of a message says whether the rest will shrink, ... */
#define SAMPLE 4096
/* ... if it becomes smaller than 7/8. */
#define SHRINKS(packed, len) ((packed) < (len) / 8 * 7)
/* From so many bytes on, the time that they take says something of the link. */
#define MEASURED 16384
/* Messages that are not looked at after some that did not shrink. */
#define MAX_PENALTY 256u
/* How much the last message counts in an average. */
#define WEIGHT 0.25

int spice_lz4_unpack(const void *packed, size_t len, void *out, size_t size)
{
	int ret;

	if (len > LZ4_MAX_INPUT_SIZE || size > LZ4_MAX_INPUT_SIZE)
		return -EPROTO;
	ret = LZ4_decompress_safe(packed, out, (int)len, (int)size);
	return ret > 0 && (size_t)ret == size ? 0 : -EPROTO;
}

void spice_lz4_init(struct spice_lz4 *lz4, enum spice_lz4_mode mode,
		    struct bufpool *pool)
{
	*lz4 = (struct spice_lz4){ .mode = mode, .pool = pool, .penalty = 1 };
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* What is not known is tried: the link after a message, packing by packing. */
static bool pays(const struct spice_lz4 *lz4)
{
	double link_ns;

	if (!lz4->sent)
		return false;
	if (!lz4->pack_ns)
		return true;
	link_ns = lz4->silent_ns / lz4->sent;
	return lz4->pack_ns + lz4->shrinks * link_ns < link_ns;
}

void spice_lz4_sent(struct spice_lz4 *lz4, size_t len)
{
	/* A short one says little: what takes time is the peer, not the link. */
	if (lz4->mode != SPICE_LZ4_AUTO || len < MEASURED)
		return;
	if (!lz4->waiting) {
		lz4->waiting = true;
		lz4->since = now_ns();
		lz4->bytes = 0;
	}
	lz4->bytes += len;
}

void spice_lz4_heard(struct spice_lz4 *lz4)
{
	if (!lz4->waiting)
		return;
	lz4->waiting = false;
	lz4->sent = (1 - WEIGHT) * lz4->sent + (double)lz4->bytes;
	lz4->silent_ns =
		(1 - WEIGHT) * lz4->silent_ns + (double)(now_ns() - lz4->since);
}

static void punish(struct spice_lz4 *lz4)
{
	lz4->skip = lz4->penalty;
	lz4->penalty = MIN(lz4->penalty * 2, MAX_PENALTY);
}

/* Does the middle of it shrink? -EFAULT: it is not there any more. */
static int sample(const struct iovec *iov, unsigned int n, size_t len)
{
	char in[SAMPLE], out[LZ4_COMPRESSBOUND(SAMPLE)];
	size_t size = MIN(len, sizeof(in));
	int ret = memory_copy_iov(in, size, iov, n, (len - size) / 2);

	if (ret < 0)
		return ret;
	ret = LZ4_compress_default(in, out, (int)size, sizeof(out));
	return ret > 0 && SHRINKS((size_t)ret, size);
}

static void learn(struct spice_lz4 *lz4, size_t len, size_t packed, int64_t ns)
{
	double pack_ns = (double)MAX(ns, 1) / (double)len;
	double shrinks = (double)packed / (double)len;
	double weight = lz4->pack_ns ? WEIGHT : 1;

	lz4->pack_ns += weight * (pack_ns - lz4->pack_ns);
	lz4->shrinks += weight * (shrinks - lz4->shrinks);
}

/* A buffer with *packed bytes, or NULL: it does not shrink, or no memory. */
static struct buf *pack(struct spice_lz4 *lz4, const struct iovec *iov,
			unsigned int n, size_t len, size_t *packed, int *error)
{
	struct buf *in = bufpool_get(lz4->pool, len);
	struct buf *out = in ? bufpool_get(lz4->pool, len) : NULL;
	int64_t start = now_ns();
	int ret = 0;

	if (out) {
		*error = memory_copy_iov(in->data, len, iov, n, 0);
		if (!*error)
			ret = LZ4_compress_default((char *)in->data,
						   (char *)out->data, (int)len,
						   (int)len - 1);
	}
	buf_put(in);
	if (ret <= 0) {
		buf_put(out);
		return NULL;
	}
	*packed = (size_t)ret;
	learn(lz4, len, *packed, now_ns() - start);
	return out;
}

/* Is it worth trying? *error as spice_lz4_pack() has it. */
static bool promises(struct spice_lz4 *lz4, const struct iovec *iov,
		     unsigned int n, size_t len, int *error)
{
	int ret;

	if (lz4->mode == SPICE_LZ4_ALWAYS)
		return true;
	if (!lz4->sent)
		return false;
	if (lz4->skip) {
		lz4->skip--;
		return false;
	}
	ret = sample(iov, n, len);
	*error = MIN(ret, 0);
	if (ret <= 0)
		punish(lz4);
	return ret > 0;
}

struct buf *spice_lz4_pack(struct spice_lz4 *lz4, const struct iovec *iov,
			   unsigned int n, size_t len, size_t *packed,
			   int *error)
{
	struct buf *out;

	*error = 0;
	if (lz4->mode == SPICE_LZ4_NEVER || len < SPICE_LZ4_MIN ||
	    len > LZ4_MAX_INPUT_SIZE || !promises(lz4, iov, n, len, error))
		return NULL;
	out = pack(lz4, iov, n, len, packed, error);
	/* It may be that this one did not pay; it was needed to know. */
	if (out && (lz4->mode == SPICE_LZ4_ALWAYS || pays(lz4)))
		lz4->penalty = 1;
	else
		punish(lz4);
	return out;
}
