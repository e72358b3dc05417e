#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Devices with descriptors that lie, and any answer to any request: the usb-host
# says one line, two at most, and goes on, and is there for the next device.
#
# usbredirect 0.13 ended by an assertion (of libusb, when the device goes) with
# seeds 1, 6, 14, 15 and 20.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

# Which seeds: each is a few seconds.
SEEDS=${SEEDS:-$(seq 1 12)}
id=1209:0002
A_APPEND="usbcore.initial_descriptor_timeout=500" need "two guests boot" real_start
is_usbredirect || need "the usb-host starts" serve $id
is_usbredirect || plug
for seed in $SEEDS; do
	a "vhci_attach hostile $seed" >/dev/null
	lies=$(a "sed -n 's/.*lies: //p' /tmp/vhci.log")
	# With some of them, not even the kernel takes it.
	if a "end=\$((\$(cut -d . -f 1 /proc/uptime) + 3))
		until has_device $id || [ \$(cut -d . -f 1 /proc/uptime) -gt \$end ]
		do usleep 50000; done; has_device $id"; then
		if is_usbredirect; then
			serve $id >/dev/null && plug
		fi
		b "sleep 1; has_device $id && for i in 81 82 83 84 85; do
			timeout 1 guest-usb bulk-in $id \$i 512 4k 2; done" \
			>/dev/null 2>&1
		taken=taken
	else
		taken="not taken by the kernel"
	fi
	a "vhci_detach; wait_no_device $id" >/dev/null
	if is_usbredirect; then
		check "seed $seed: $lies: $taken" a "
			[ ! -e /tmp/host0.log ] || ! grep -iE 'abort|assert' /tmp/host0.log"
		serve_stop >/dev/null 2>&1
		unplug
	else
		check "seed $seed: $lies: $taken" a "
			kill -0 \$(cat /tmp/host0.pid) &&
			[ \$(wc -l </tmp/host0.log) -lt 10 ] &&
			[ \$(grep -cE 'error|warning' /tmp/host0.log) -le 3 ]; status=\$?
			cat /tmp/host0.log; : >/tmp/host0.log; [ \$status = 0 ]"
	fi
done
check "A's kernel is well" a "! dmesg | grep -E 'BUG|Oops|Call Trace'"
check "B's kernel is well" b "! dmesg | grep -E 'BUG|Oops|Call Trace'"
if ! is_usbredirect; then
	a "vhci_attach streams" >/dev/null
	check "it ends in order" serve_stop
fi
finish
