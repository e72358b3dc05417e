#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# However it ends, the drivers of the interfaces are back.
#
# usbredirect 0.13 passes but for SIGKILL, after which the interfaces are
# left without drivers (not asked of it here).
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

disk="1209:0010 1.0=usb-storage"
keyboard="1209:0011 1.0=usbhid"
serial="1209:0012 '1.0=cdc_acm 1.1=cdc_acm'"
need "two guests boot" real_start
need "devices" a "truncate -s 8M /tmp/disk && gadget_storage /tmp/disk &&
	gadget_hid && gadget_acm && wait_drivers $disk &&
	wait_drivers $keyboard && wait_drivers $serial && wait_disk"

# attached VID:PID: served, and with the other guest
attached() {
	serve "$1" && plug && b "guest-usb wait $1"
}

for device in "$disk" "$keyboard" "$serial"; do
	id=${device%% *}
	need "$id is with the other guest" attached $id
	check "$id: without its drivers in A" a "! drivers_of $id | grep -qE \
		'=(usb-storage|usbhid|cdc_acm)'"
	unplug
	check "$id: the peer is gone" a "wait_drivers $device"
	serve_stop >/dev/null
	need "$id again" attached $id
	serve_stop 0 TERM
	check "$id: SIGTERM" a "wait_drivers $device"
	unplug
	need "$id again" attached $id
	serve_stop 0 KILL
	# usbdevfs has let go, which leaves the interfaces without a driver:
	# nobody is left who could have asked for one.
	check "$id: after SIGKILL the device is free" a "
		guest-usb reset $id && try 'drivers' eval '! drivers_of $id |
			grep -q usbfs'"
	is_usbredirect || check "$id: and has its drivers" a "wait_drivers $device"
	unplug
	a "for i in \$(device_of $id)/*:1.*; do
		echo \${i##*/} >/sys/bus/usb/drivers_probe; done; wait_drivers $device"
done
need "a disk" attached ${disk%% *}
a "gadget_unplug storage && wait_no_device ${disk%% *}"
check "the other guest saw it go" b "wait_no_device ${disk%% *}"
a "gadget_plug storage"
is_usbredirect || serve_stop >/dev/null
check "plugged in again, it has its driver" a "wait_drivers $disk"
finish
