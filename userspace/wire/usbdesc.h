/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of USB descriptors and standard requests (USB 2.0 chapter 9,
 * USB 3.2 chapter 9).
 */
#ifndef WIRE_USBDESC_H
#define WIRE_USBDESC_H

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

/* Mass storage class */
#define USBDESC_CLASS_MASS_STORAGE 0x08
#define USBDESC_SUBCLASS_SCSI 0x06
#define USBDESC_PROTOCOL_BOT 0x50

#endif
