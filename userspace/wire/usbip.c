// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/usbip.h"

#include <errno.h>

#define VERSION 0x0111

#define NOT_ISO 0xffffffff

static bool printable(uint8_t c)
{
	return c > ' ' && c < 0x7f;
}

int usbip_decode_op(struct span in, struct usbip_op *op)
{
	op->version = (uint16_t)span_be(&in, 2);
	op->code = (uint16_t)span_be(&in, 2);
	op->status = (uint32_t)span_be(&in, 4);
	return span_ok(&in) && op->version == VERSION ? 0 : -EPROTO;
}

void usbip_encode_op(struct span_writer *w, uint16_t code, uint32_t status)
{
	span_put_be(w, VERSION, 2);
	span_put_be(w, code, 2);
	span_put_be(w, status, 4);
}

/* A terminated string in a field of size bytes. */
static void put_text(struct span_writer *w, const char *text, size_t size)
{
	size_t len = strnlen(text, size - 1);

	span_put(w, text, len);
	span_put_zero(w, size - len);
}

int usbip_decode_busid(struct span in, char out[USBIP_BUSID_SIZE])
{
	const uint8_t *p = span_take(&in, USBIP_BUSID_SIZE);
	size_t len = 0;

	out[0] = '\0';
	if (!p)
		return -EPROTO;
	while (len < USBIP_BUSID_SIZE && printable(p[len]))
		len++;
	if (!len || len == USBIP_BUSID_SIZE || p[len])
		return -EPROTO;
	memcpy(out, p, len);
	out[len] = '\0';
	return 0;
}

void usbip_encode_busid(struct span_writer *w, const char *busid)
{
	put_text(w, busid, USBIP_BUSID_SIZE);
}

int usbip_decode_device(struct span in, struct usbip_device *device)
{
	const uint8_t *path = span_take(&in, USBIP_PATH_SIZE);
	int ret;

	memset(device, 0, sizeof(*device));
	if (!path)
		return -EPROTO;
	for (size_t i = 0; i < USBIP_PATH_SIZE - 1 && path[i]; i++)
		device->path[i] = printable(path[i]) || path[i] == ' '
					  ? (char)path[i]
					  : '?';
	ret = usbip_decode_busid(in, device->busid);
	span_take(&in, USBIP_BUSID_SIZE);
	device->busnum = (uint32_t)span_be(&in, 4);
	device->devnum = (uint32_t)span_be(&in, 4);
	device->speed = (uint32_t)span_be(&in, 4);
	device->vendor = (uint16_t)span_be(&in, 2);
	device->product = (uint16_t)span_be(&in, 2);
	device->bcd_device = (uint16_t)span_be(&in, 2);
	device->class = span_u8(&in);
	device->subclass = span_u8(&in);
	device->protocol = span_u8(&in);
	device->configuration = span_u8(&in);
	device->n_configurations = span_u8(&in);
	device->n_interfaces = span_u8(&in);
	return span_ok(&in) ? ret : -EPROTO;
}

void usbip_encode_device(struct span_writer *w,
			 const struct usbip_device *device)
{
	put_text(w, device->path, USBIP_PATH_SIZE);
	usbip_encode_busid(w, device->busid);
	span_put_be(w, device->busnum, 4);
	span_put_be(w, device->devnum, 4);
	span_put_be(w, device->speed, 4);
	span_put_be(w, device->vendor, 2);
	span_put_be(w, device->product, 2);
	span_put_be(w, device->bcd_device, 2);
	span_put_be(w, device->class, 1);
	span_put_be(w, device->subclass, 1);
	span_put_be(w, device->protocol, 1);
	span_put_be(w, device->configuration, 1);
	span_put_be(w, device->n_configurations, 1);
	span_put_be(w, device->n_interfaces, 1);
}

void usbip_encode_interface(struct span_writer *w,
			    const struct usbip_interface *interface)
{
	span_put_be(w, interface->class, 1);
	span_put_be(w, interface->subclass, 1);
	span_put_be(w, interface->protocol, 1);
	span_put_zero(w, 1);
}

/* --- URBs --------------------------------------------------------------------- */

#define DIR_IN 0x80
#define MAX_EP 15

static uint32_t packets_of(uint64_t wire)
{
	return wire == NOT_ISO ? 0 : (uint32_t)wire;
}

static void decode_submit(struct span *in, struct usbip_submit *submit)
{
	const uint8_t *setup;

	submit->flags = (uint32_t)span_be(in, 4);
	submit->length = (uint32_t)span_be(in, 4);
	submit->start_frame = (uint32_t)span_be(in, 4);
	submit->packets = packets_of(span_be(in, 4));
	submit->interval = (uint32_t)span_be(in, 4);
	setup = span_take(in, sizeof(submit->setup));
	if (setup)
		memcpy(submit->setup, setup, sizeof(submit->setup));
}

static void decode_ret_submit(struct span *in, struct usbip_ret_submit *ret)
{
	ret->status = (int32_t)span_be(in, 4);
	ret->actual = (uint32_t)span_be(in, 4);
	ret->start_frame = (uint32_t)span_be(in, 4);
	ret->packets = packets_of(span_be(in, 4));
	ret->errors = (uint32_t)span_be(in, 4);
}

int usbip_decode(struct span in, struct usbip_msg *msg)
{
	uint32_t in_direction, ep;

	memset(msg, 0, sizeof(*msg));
	if (in.len < USBIP_HEADER_SIZE)
		return -EPROTO;
	msg->command = (uint32_t)span_be(&in, 4);
	msg->seqnum = (uint32_t)span_be(&in, 4);
	msg->devid = (uint32_t)span_be(&in, 4);
	in_direction = (uint32_t)span_be(&in, 4);
	ep = (uint32_t)span_be(&in, 4);
	switch ((enum usbip_command)msg->command) {
	case USBIP_CMD_SUBMIT:
		if (in_direction > 1 || ep > MAX_EP)
			return -EPROTO;
		msg->ep = (uint8_t)(ep | (in_direction ? DIR_IN : 0));
		decode_submit(&in, &msg->submit);
		return 0;
	case USBIP_CMD_UNLINK:
		msg->unlink_seqnum = (uint32_t)span_be(&in, 4);
		return 0;
	case USBIP_RET_SUBMIT:
		decode_ret_submit(&in, &msg->ret_submit);
		return 0;
	case USBIP_RET_UNLINK:
		msg->unlink_status = (int32_t)span_be(&in, 4);
		return 0;
	}
	return -EPROTO;
}

void usbip_encode(const struct usbip_msg *msg, uint8_t *out)
{
	const struct usbip_submit *submit = &msg->submit;
	const struct usbip_ret_submit *ret = &msg->ret_submit;
	struct span_writer w = span_writer_of(out, USBIP_HEADER_SIZE);

	span_put_be(&w, msg->command, 4);
	span_put_be(&w, msg->seqnum, 4);
	span_put_be(&w, msg->devid, 4);
	span_put_be(&w, msg->ep & DIR_IN ? 1 : 0, 4);
	span_put_be(&w, msg->ep & MAX_EP, 4);
	switch ((enum usbip_command)msg->command) {
	case USBIP_CMD_SUBMIT:
		span_put_be(&w, submit->flags, 4);
		span_put_be(&w, submit->length, 4);
		span_put_be(&w, submit->start_frame, 4);
		span_put_be(&w, submit->packets, 4);
		span_put_be(&w, submit->interval, 4);
		span_put(&w, submit->setup, sizeof(submit->setup));
		break;
	case USBIP_CMD_UNLINK:
		span_put_be(&w, msg->unlink_seqnum, 4);
		break;
	case USBIP_RET_SUBMIT:
		span_put_be(&w, (uint32_t)ret->status, 4);
		span_put_be(&w, ret->actual, 4);
		span_put_be(&w, ret->start_frame, 4);
		span_put_be(&w, ret->packets, 4);
		span_put_be(&w, ret->errors, 4);
		break;
	case USBIP_RET_UNLINK:
		span_put_be(&w, (uint32_t)msg->unlink_status, 4);
		break;
	}
	span_put_zero(&w, w.size - w.len);
}

int32_t usbip_status(int error)
{
	switch (error) {
	case -ECANCELED:
		return -ECONNRESET;
	case -EIO:
		return -EPROTO;
	case -ENOENT: /* to a driver: killed */
	case -EMSGSIZE:
		return -EINVAL;
	case -ENOBUFS:
		return -ENOMEM;
	default:
		return error;
	}
}

int usbip_error(int32_t status)
{
	switch (status) {
	case 0:
	case -EPIPE:
	case -EINVAL:
	case -EOVERFLOW:
	case -ETIMEDOUT:
		return status;
	case -ENOENT:
	case -ECONNRESET:
		return -ECANCELED;
	case -ESHUTDOWN:
	case -ENODEV:
		return -ESHUTDOWN;
	case -EREMOTEIO: /* a short packet, which nobody has forbidden */
		return 0;
	default:
		return -EIO;
	}
}

void usbip_decode_iso(struct span *in, struct usbip_iso *iso)
{
	iso->offset = (uint32_t)span_be(in, 4);
	iso->length = (uint32_t)span_be(in, 4);
	iso->actual = (uint32_t)span_be(in, 4);
	iso->status = (int32_t)span_be(in, 4);
}

void usbip_encode_iso(struct span_writer *w, const struct usbip_iso *iso)
{
	span_put_be(w, iso->offset, 4);
	span_put_be(w, iso->length, 4);
	span_put_be(w, iso->actual, 4);
	span_put_be(w, (uint32_t)iso->status, 4);
}
