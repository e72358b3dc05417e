#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The device is pulled out during I/O of the other guest and plugged in again,
# more than once; the other guest resets it.
#
# usbredirect 0.13 passes when it is started again for each plug: it neither
# waits for a device nor takes one back.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

need "two guests boot" real_start
need "a disk" a "truncate -s 32M /tmp/disk && gadget_storage /tmp/disk &&
	wait_disk && wait_drivers 1209:0010 1.0=usb-storage"
need "the usb-host starts" serve 1209:0010
plug
need "it arrives" b wait_disk
for round in 1 2; do
	b "dd if=/dev/sda of=/dev/null bs=128k iflag=direct >/tmp/dd 2>&1 &
		usleep 200000"
	check "pulled out during I/O it goes, $round" a "gadget_unplug storage &&
		wait_no_device 1209:0010"
	check "in the other guest as well, $round" b wait_no_disk
	is_usbredirect || check "the usb-host stays, $round" a \
		"kill -0 \$(cat /tmp/host0.pid)"
	check "plugged in again, $round" a "gadget_plug storage &&
		try 'it' has_device 1209:0010"
	# It ends with its device.
	if is_usbredirect; then
		serve_stop 0 KILL >/dev/null
		a wait_disk && serve 1209:0010
	fi
	check "it comes back, $round" b "wait_disk &&
		dd if=/dev/sda of=/dev/null bs=128k count=16 iflag=direct"
done
check "reset by the other guest" b "guest-usb reset 1209:0010 && wait_disk &&
	dd if=/dev/sda of=/dev/null bs=128k count=16 iflag=direct"
check "reset during I/O" b "
	dd if=/dev/sda of=/dev/null bs=128k count=64 iflag=direct >/tmp/dd 2>&1 &
	usleep 200000; guest-usb reset 1209:0010; wait; wait_disk &&
	dd if=/dev/sda of=/dev/null bs=128k count=16 iflag=direct"
# A device that goes with the Nth URB, wherever that is.
serve_stop >/dev/null
unplug
for n in 100 300; do
	a "vhci_attach streams --unplug-after $n && wait_device 1209:0001"
	serve 1209:0001 && plug
	b "guest-usb interrupt-in 1209:0001 81 1000 >/tmp/out 2>&1"
	check "gone with URB $n" a "
		try 'the end' grep -q UNPLUGGED /tmp/vhci.log && wait_no_device 1209:0001"
	check "for the other guest, too, $n" b "wait_no_device 1209:0001"
	unplug
	serve_stop >/dev/null
done
finish
