// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/usbdesc.h"

#include <errno.h>
#include <string.h>

#define CONFIG_SIZE 9
#define INTERFACE_SIZE 9
#define ENDPOINT_SIZE 7
#define COMPANION_SIZE 6

/* bmAttributes of an endpoint, USB 2.0 table 9-13 */
#define TYPE_MASK 3
#define TYPE_CONTROL 0
#define TYPE_ISO 1
#define TYPE_BULK 2

/* Of a bulk endpoint's companion: 2^n streams, at most; USB 3.2, 9.6.7 */
#define STREAMS_MASK 0x1f
#define STREAMS_MAX_SHIFT 16

/*
 * The next descriptor, its two first bytes included. False at the end, and
 * where a length says what cannot be.
 */
static bool next(struct span *set, struct span *descriptor)
{
	uint8_t len;

	if (set->len < 2)
		return false;
	len = set->p[0];
	if (len < 2 || len > set->len)
		return false;
	*descriptor = span_of(span_take(set, len), len);
	return true;
}

static uint8_t type_of(const struct span *descriptor)
{
	return descriptor->p[1];
}

int usbdesc_read_device(struct span descriptors, struct usbdesc_device *device)
{
	struct span d;

	memset(device, 0, sizeof(*device));
	if (!next(&descriptors, &d) || type_of(&d) != USBDESC_DEVICE ||
	    d.len < USBDESC_DEVICE_SIZE)
		return -EPROTO;
	span_take(&d, 2);
	device->usb = (uint16_t)span_le(&d, 2);
	device->class = span_u8(&d);
	device->subclass = span_u8(&d);
	device->protocol = span_u8(&d);
	span_take(&d, 1); /* bMaxPacketSize0 */
	device->vendor = (uint16_t)span_le(&d, 2);
	device->product = (uint16_t)span_le(&d, 2);
	device->release = (uint16_t)span_le(&d, 2);
	span_take(&d, 3); /* numbers of strings */
	device->n_configurations = span_u8(&d);
	return span_ok(&d) ? 0 : -EPROTO;
}

/*
 * What follows the header of the configuration of this value, up to the next
 * one. wTotalLength is not asked: a configuration ends where the next begins.
 */
static bool find_config(struct span descriptors, uint8_t value,
			struct span *config)
{
	struct span d;
	bool found = false;

	*config = span_of(NULL, 0);
	while (next(&descriptors, &d)) {
		bool header = type_of(&d) == USBDESC_CONFIGURATION;

		if (found && header)
			break;
		if (found)
			config->len += d.len;
		else if (header && d.len >= CONFIG_SIZE && d.p[5] == value) {
			found = true;
			*config = span_of(descriptors.p, 0);
		}
	}
	return found;
}

/* The reader's place while it walks through a configuration. */
struct walk {
	struct usbdesc_config *config;
	const uint8_t *alts;
	enum usbdesc_speed speed;
	bool current;		       /* in a current alternate setting */
	uint8_t interface;	       /* of number */
	struct usbdesc_endpoint *last; /* the companion's; NULL: none */
};

static void skip(struct walk *w, const char *flaw)
{
	w->current = false;
	w->config->flaw = flaw;
}

static void read_interface(struct walk *w, struct span d)
{
	struct usbdesc_config *config = w->config;
	struct usbdesc_interface intf;

	w->last = NULL;
	w->current = false;
	if (d.len < INTERFACE_SIZE) {
		skip(w, "an interface descriptor is too short");
		return;
	}
	span_take(&d, 2);
	intf.number = span_u8(&d);
	intf.alt = span_u8(&d);
	span_take(&d, 1); /* bNumEndpoints: they are counted */
	intf.class = span_u8(&d);
	intf.subclass = span_u8(&d);
	intf.protocol = span_u8(&d);
	if (intf.number >= USBDESC_MAX_INTERFACES) {
		skip(w, "an interface has a number above 31");
		return;
	}
	if (intf.alt != w->alts[intf.number])
		return;
	for (unsigned int i = 0; i < config->n_interfaces; i++)
		if (config->interface[i].number == intf.number) {
			skip(w, "an interface is there twice");
			return;
		}
	/* Their numbers differ, so there is room. */
	config->interface[config->n_interfaces++] = intf;
	w->interface = intf.number;
	w->current = true;
}

/* USB 2.0, 9.6.6: bits 11 and 12 count additional packets a microframe. */
static uint32_t interval_bytes(uint16_t max_packet, enum usbdesc_speed speed)
{
	uint32_t bytes = max_packet & 0x7ff;
	uint32_t packets = 1 + (max_packet >> 11 & 3);

	return speed == USBDESC_HIGH ? bytes * packets : bytes;
}

static void read_endpoint(struct walk *w, struct span d)
{
	struct usbdesc_endpoint *slot, ep = { .present = true };
	uint8_t address;

	w->last = NULL;
	if (!w->current)
		return;
	if (d.len < ENDPOINT_SIZE) {
		w->config->flaw = "an endpoint descriptor is too short";
		return;
	}
	span_take(&d, 2);
	address = span_u8(&d);
	ep.type = span_u8(&d) & TYPE_MASK;
	ep.max_packet = (uint16_t)span_le(&d, 2);
	ep.interval = span_u8(&d);
	ep.interface = w->interface;
	slot = &w->config->endpoint[usbdesc_slot(address)];
	if (!(address & 0x0f) || slot->present) {
		w->config->flaw = "an endpoint is there twice";
		return;
	}
	if (ep.type == TYPE_ISO || ep.type == (TYPE_BULK | TYPE_ISO)) {
		ep.interval_bytes = interval_bytes(ep.max_packet, w->speed);
		/* Linux takes them for 1; QEMU refuses the device. */
		if (!ep.interval)
			ep.interval = 1;
	}
	*slot = ep;
	w->last = slot;
}

/* USB 3.2, 9.6.7 */
static void read_companion(struct walk *w, struct span d)
{
	struct usbdesc_endpoint *ep = w->last;
	uint8_t burst, attributes;
	uint32_t bytes;

	w->last = NULL;
	if (!ep || w->speed != USBDESC_SUPER)
		return;
	if (d.len < COMPANION_SIZE) {
		w->config->flaw = "an endpoint companion is too short";
		return;
	}
	span_take(&d, 2);
	burst = span_u8(&d);
	attributes = span_u8(&d);
	bytes = (uint32_t)span_le(&d, 2);
	if (ep->type == TYPE_BULK) {
		uint8_t shift = attributes & STREAMS_MASK;

		if (shift && shift <= STREAMS_MAX_SHIFT)
			ep->max_streams = 1u << shift;
	} else if (ep->type != TYPE_CONTROL) {
		uint32_t most = (ep->max_packet & 0x7ffu) * (burst + 1u) *
				((attributes & 3u) + 1u);

		ep->interval_bytes = bytes && bytes < most ? bytes : most;
	}
}

int usbdesc_read_config(struct span descriptors, uint8_t value,
			const uint8_t alts[USBDESC_MAX_INTERFACES],
			enum usbdesc_speed speed, struct usbdesc_config *config)
{
	struct walk w = { .config = config, .alts = alts, .speed = speed };
	struct span set, d;

	memset(config, 0, sizeof(*config));
	config->value = value;
	if (!find_config(descriptors, value, &set))
		return -ENOENT;
	while (next(&set, &d)) {
		switch (type_of(&d)) {
		case USBDESC_INTERFACE:
			read_interface(&w, d);
			break;
		case USBDESC_ENDPOINT:
			read_endpoint(&w, d);
			break;
		case USBDESC_SS_COMPANION:
			read_companion(&w, d);
			break;
		default: /* of a class or a vendor, or not for us */
			break;
		}
	}
	return config->n_interfaces ? 0 : -EPROTO;
}

bool usbdesc_has_alt(struct span descriptors, uint8_t value, uint8_t interface,
		     uint8_t alt)
{
	struct span set, d;

	if (!find_config(descriptors, value, &set))
		return false;
	while (next(&set, &d))
		if (type_of(&d) == USBDESC_INTERFACE &&
		    d.len >= INTERFACE_SIZE && d.p[2] == interface &&
		    d.p[3] == alt)
			return true;
	return false;
}
