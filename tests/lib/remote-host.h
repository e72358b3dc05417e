/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hosts of a remote device, for tests of those who use one: what a usbredir
 * host and a usbip server say until the device is there. It has configuration
 * 1 with interface 0: bulk 81 and 02, interrupt 83 and 04, and interface 1,
 * whose alternate setting 1 has isochronous 85 and 06.
 */
#ifndef TESTS_REMOTE_HOST_H
#define TESTS_REMOTE_HOST_H

#include <assert.h>
#include <string.h>

#include "wire/usbip.h"
#include "wire/usbredir.h"

#define HOST_IN 0x81
#define HOST_OUT 0x02
#define HOST_INT_IN 0x83
#define HOST_INT_OUT 0x04
#define HOST_ISO_IN 0x85
#define HOST_ISO_OUT 0x06

static const uint8_t host_device[18] = { 18,   1,    0,	   2,	 0,    0,
					 0,    64,   0x09, 0x12, 0x34, 0x12,
					 0x02, 0x01, 0,	   0,	 0,    1 };

#define HOST_ENDPOINT(address, type, size, interval)                           \
	7, 5, address, type, (size)&0xff, (size) >> 8, interval

static const uint8_t host_config[] = { 9, 2, 9 + 9 + 4 * 7 + 9 + 9 + 2 * 7, 0,
				       2, 1, 0, 0x80, 50,
				       /* */
				       9, 4, 0, 0, 4, 0xff, 0x11, 0x22, 0,
				       /* */
				       HOST_ENDPOINT(HOST_IN, 2, 512, 0),
				       HOST_ENDPOINT(HOST_OUT, 2, 512, 0),
				       HOST_ENDPOINT(HOST_INT_IN, 3, 16, 4),
				       HOST_ENDPOINT(HOST_INT_OUT, 3, 16, 4),
				       /* */
				       9, 4, 1, 0, 0, 1, 2, 0, 0,
				       /* */
				       9, 4, 1, 1, 2, 1, 2, 0, 0,
				       /* */
				       HOST_ENDPOINT(HOST_ISO_IN, 5, 100, 4),
				       HOST_ENDPOINT(HOST_ISO_OUT, 5, 100, 4) };

/* RET_SUBMIT with IN data. */
static inline void host_put_ret(struct span_writer *w, uint32_t seqnum,
				int status, const void *data, size_t len)
{
	struct usbip_msg msg = { .command = USBIP_RET_SUBMIT,
				 .seqnum = seqnum,
				 .ret_submit = { .status = status,
						 .actual = (uint32_t)len } };
	uint8_t head[USBIP_HEADER_SIZE];

	usbip_encode(&msg, head);
	span_put(w, head, sizeof(head));
	if (len)
		span_put(w, data, len);
}

/* A server's part, up to the third answer: seqnums are 1 to 3. */
static inline void host_put_usbip(struct span_writer *w)
{
	static const struct usbip_device device = {
		.path = "/test",
		.busid = "1-1",
		.busnum = 1,
		.devnum = 2,
		.speed = USBIP_SPEED_HIGH,
		.vendor = 0x1209,
		.product = 0x1234,
		.configuration = 1,
		.n_configurations = 1,
		.n_interfaces = 2,
	};

	usbip_encode_op(w, USBIP_REP_IMPORT, USBIP_OK);
	usbip_encode_device(w, &device);
	host_put_ret(w, 1, 0, host_device, sizeof(host_device));
	host_put_ret(w, 2, 0, host_config, 9);
	host_put_ret(w, 3, 0, host_config, sizeof(host_config));
	assert(!w->bad);
}

static inline void host_put_redir(struct span_writer *w,
				  struct usbredir_msg *msg, uint32_t caps,
				  const void *data)
{
	uint8_t head[USBREDIR_MAX_HEAD];

	span_put(w, head, usbredir_encode(msg, caps, head));
	if (data)
		span_put(w, data, msg->data_len);
}

static inline struct usbredir_msg host_endpoints(void)
{
	struct usbredir_msg msg = { .type = USBREDIR_EP_INFO };
	static const struct {
		uint8_t ep, type, interface;
		uint16_t size;
	} eps[] = { { 0x00, 0, 0, 64 },		{ 0x80, 0, 0, 64 },
		    { HOST_IN, 2, 0, 512 },	{ HOST_OUT, 2, 0, 512 },
		    { HOST_INT_IN, 3, 0, 16 },	{ HOST_INT_OUT, 3, 0, 16 },
		    { HOST_ISO_IN, 1, 1, 100 }, { HOST_ISO_OUT, 1, 1, 100 } };

	memset(msg.ep_info.type, 255, sizeof(msg.ep_info.type));
	for (size_t i = 0; i < sizeof(eps) / sizeof(*eps); i++) {
		unsigned int slot = usbredir_ep_slot(eps[i].ep);

		msg.ep_info.type[slot] = eps[i].type;
		msg.ep_info.interface[slot] = eps[i].interface;
		msg.ep_info.interval[slot] = 4;
		msg.ep_info.max_packet_size[slot] = eps[i].size;
	}
	return msg;
}

/* A usbredir host's part, with these capabilities of its own. */
static inline void host_put_usbredir(struct span_writer *w, uint32_t theirs,
				     uint32_t both)
{
	struct usbredir_msg endpoints = host_endpoints();
	struct usbredir_msg interfaces = {
		.type = USBREDIR_INTERFACE_INFO,
		.interface_info = { .count = 2,
				    .interface = { 0, 1 },
				    .interface_class = { 0xff, 1 },
				    .interface_subclass = { 0x11, 2 } },
	};
	struct usbredir_msg connect = {
		.type = USBREDIR_DEVICE_CONNECT,
		.device_connect = { .speed = USBREDIR_SPEED_HIGH,
				    .vendor_id = 0x1209,
				    .product_id = 0x1234,
				    .device_version_bcd = 0x0102 },
	};
	uint8_t hello[USBREDIR_HELLO_SIZE];

	span_put(w, hello, usbredir_encode_hello("host", theirs, hello));
	host_put_redir(w, &endpoints, both, NULL);
	host_put_redir(w, &interfaces, both, NULL);
	if (!(both & USBREDIR_CAP_CONNECT_DEVICE_VERSION))
		connect.device_connect.device_version_bcd = 0;
	host_put_redir(w, &connect, both, NULL);
	assert(!w->bad);
}

#endif
