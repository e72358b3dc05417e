/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB descriptors and standard requests (USB 2.0 chapter 9, USB 3.2
 * chapter 9): their numbers, and a reader for the descriptors of a device that
 * nobody has to trust.
 */
#ifndef WIRE_USBDESC_H
#define WIRE_USBDESC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* bmRequestType */
#define USBDESC_IN 0x80
#define USBDESC_TYPE_MASK 0x60
#define USBDESC_TYPE_CLASS 0x20
#define USBDESC_TO_DEVICE 0x00
#define USBDESC_TO_INTERFACE 0x01
#define USBDESC_TO_ENDPOINT 0x02

/* bRequest, table 9-4 */
#define USBDESC_GET_STATUS 0x00
#define USBDESC_CLEAR_FEATURE 0x01
#define USBDESC_SET_FEATURE 0x03
#define USBDESC_SET_ADDRESS 0x05
#define USBDESC_GET_DESCRIPTOR 0x06
#define USBDESC_GET_CONFIGURATION 0x08
#define USBDESC_GET_INTERFACE 0x0a
#define USBDESC_SET_SEL 0x30
#define USBDESC_SET_ISOCH_DELAY 0x31

/* wValue of the feature requests */
#define USBDESC_ENDPOINT_HALT 0

/* bDescriptorType, table 9-5 */
#define USBDESC_DEVICE 0x01
#define USBDESC_CONFIGURATION 0x02
#define USBDESC_STRING 0x03
#define USBDESC_INTERFACE 0x04
#define USBDESC_ENDPOINT 0x05
#define USBDESC_DEVICE_QUALIFIER 0x06
#define USBDESC_BOS 0x0f
#define USBDESC_DEVICE_CAPABILITY 0x10
#define USBDESC_SS_COMPANION 0x30

/* bDevCapabilityType, USB 3.2 table 9-14 */
#define USBDESC_CAP_USB2_EXTENSION 0x02
#define USBDESC_CAP_SUPERSPEED 0x03

/* Classes */
#define USBDESC_CLASS_HUB 0x09

/* Mass storage class */
#define USBDESC_CLASS_MASS_STORAGE 0x08
#define USBDESC_SUBCLASS_SCSI 0x06
#define USBDESC_PROTOCOL_BOT 0x50

#define USBDESC_DEVICE_SIZE 18
#define USBDESC_MAX_INTERFACES 32 /* usbredir has room for no more */
#define USBDESC_ENDPOINTS 32	  /* OUT 0..15, IN 16..31 */

/* Index of an endpoint address in usbdesc_config.endpoint. */
static inline unsigned int usbdesc_slot(uint8_t address)
{
	return (unsigned int)((address & USBDESC_IN) >> 3) | (address & 0x0f);
}

enum usbdesc_speed { USBDESC_FULL, USBDESC_HIGH, USBDESC_SUPER };

struct usbdesc_device {
	uint16_t usb; /* bcdUSB */
	uint8_t class, subclass, protocol;
	uint16_t vendor, product, release;
	uint8_t n_configurations;
};

struct usbdesc_interface {
	uint8_t number, alt;
	uint8_t class, subclass, protocol;
};

struct usbdesc_endpoint {
	bool present;
	uint8_t type; /* bits 0 and 1 of bmAttributes */
	uint8_t interval;
	uint8_t interface;
	uint16_t max_packet;	 /* wMaxPacketSize as it is */
	uint32_t interval_bytes; /* periodic: the most in an interval, else 0 */
	uint32_t max_streams;	 /* bulk at super speed, else 0 */
};

/* A configuration, as far as its current alternate settings show it. */
struct usbdesc_config {
	uint8_t value;
	uint8_t n_interfaces;
	struct usbdesc_interface interface[USBDESC_MAX_INTERFACES];
	struct usbdesc_endpoint endpoint[USBDESC_ENDPOINTS]; /* by slot */
	/* What was skipped since it contradicts itself, or NULL: none. */
	const char *flaw;
};

/*
 * Descriptors, everywhere: what Linux has in the file "descriptors" of a
 * device in sysfs, the device descriptor and each configuration with all that
 * belongs to it. -EPROTO: it does not begin with a device descriptor.
 */
int must_check usbdesc_read_device(struct span descriptors,
				   struct usbdesc_device *device);

/*
 * Describes the configuration of this value. alts: the current alternate
 * setting by interface number. What contradicts itself - lengths, numbers,
 * endpoints that are there twice - is skipped and named in config->flaw.
 * -ENOENT: no such configuration. -EPROTO: it cannot be made sense of.
 */
int must_check usbdesc_read_config(struct span descriptors, uint8_t value,
				   const uint8_t alts[USBDESC_MAX_INTERFACES],
				   enum usbdesc_speed speed,
				   struct usbdesc_config *config);

/* Has this configuration such an alternate setting of such an interface? */
bool usbdesc_has_alt(struct span descriptors, uint8_t value, uint8_t interface,
		     uint8_t alt);

#endif
