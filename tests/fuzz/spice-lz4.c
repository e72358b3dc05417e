// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks of any bytes, which say any size, and data of any kind packed: it
 * comes out as it went in.
 */
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "spice/lz4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* repeat: so that it is long enough, and shrinks. */
static void there_and_back(const uint8_t *data, size_t size, size_t repeat)
{
	struct spice_lz4 lz4;
	struct bufpool pool;
	struct buf *buf;
	size_t len = size * repeat, packed = 0;
	uint8_t *in = malloc(len + 1), *back = malloc(len + 1);
	struct iovec iov[2];
	int error;

	require(in && back);
	for (size_t i = 0; i < repeat; i++)
		memcpy(in + i * size, data, size);
	iov[0] = (struct iovec){ in, len / 3 };
	iov[1] = (struct iovec){ in + len / 3, len - len / 3 };
	bufpool_init(&pool);
	spice_lz4_init(&lz4, SPICE_LZ4_ALWAYS, &pool);
	buf = spice_lz4_pack(&lz4, iov, 2, len, &packed, &error);
	require(!error);
	if (buf) {
		require(packed < len);
		require(!spice_lz4_unpack(buf->data, packed, back, len));
		require(!memcmp(in, back, len));
	}
	buf_put(buf);
	bufpool_fini(&pool);
	free(in);
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span span = span_of(data, size);
	size_t says = (size_t)span_le(&span, 3);
	uint8_t *out;

	if (!span_ok(&span))
		return 0;
	out = malloc(says + 1);
	require(out);
	if (span.len && says)
		/* Either is right. */
		(void)!spice_lz4_unpack(span.p, span.len, out, says);
	free(out);
	if (span.len && span.len < 65536)
		there_and_back(span.p, span.len, says % 64 + 1);
	return 0;
}
