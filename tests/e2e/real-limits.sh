#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kernel that has the devices allows 1 MB for all transfers together: what
# wants more waits for it and does not fail.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

A_APPEND="usbcore.usbfs_memory_mb=1" need "two guests boot" real_start
need "a disk and a SourceSink" a '
	[ $(cat /sys/module/usbcore/parameters/usbfs_memory_mb) = 1 ] &&
	head -c 24m /dev/urandom >/tmp/disk &&
	gadget_storage /tmp/disk && gadget_source_sink 1 &&
	wait_device 1209:0010 && wait_device 1209:0013'
check "(more than that is refused to others here)" a '
	guest-usb bulk-in 1209:0013 81 2m 2m 1 mod63 | grep "Cannot allocate memory"'
need "the usb-host starts" serve 1209:0010 0
need "and for the other" serve 1209:0013 1
plug 0
plug 1
need "both arrive" b "wait_disk && guest-usb wait 1209:0013"
sum=$(a 'sha256sum /tmp/disk | cut -c 1-64')
for size in 1M 128k; do
	check "the disk is read right by $size" [ "$(b "
		dd if=/dev/sda bs=$size iflag=direct 2>/dev/null |
			sha256sum | cut -c 1-64")" = "$sum" ]
done
check "read while the other is in use" b "
	dd if=/dev/sda bs=1M iflag=direct 2>/dev/null | sha256sum >/tmp/sum &
	disk=\$!
	guest-usb bulk-in 1209:0013 81 1m 16m 4 mod63 &&
	guest-usb bulk-out 1209:0013 02 1m 16m 4 mod63 || return 1
	wait \$disk && [ \$(cut -c 1-64 /tmp/sum) = $sum ]"
check "written while the other is in use" b '
	head -c 8m /dev/urandom >/tmp/data
	dd if=/tmp/data of=/dev/sda bs=1M oflag=direct 2>/dev/null &
	disk=$!
	guest-usb bulk-out 1209:0013 02 128k 8m 8 mod63 &&
	guest-usb bulk-in 1209:0013 81 128k 8m 8 mod63 || return 1
	wait $disk'
check "and right" b "
	dd if=/dev/sda bs=128k count=64 iflag=direct 2>/dev/null | cmp - /tmp/data"
for size in 5001 65537 131071 1048577; do
	check "OUT of $size bytes" b "
		guest-usb bulk-out 1209:0013 02 $size $((4 * size)) 4 mod63"
done
check "15 MB in one transfer, the most that the other kernel allows" b "
	guest-usb bulk-in 1209:0013 81 15m 30m 1 mod63 &&
	guest-usb bulk-out 1209:0013 02 15m 30m 1 mod63"
check "without an error" b "
	! dmesg | grep -E 'I/O error|reset .*speed|BUG:|Oops|Call Trace'"
check "the usb-host complains of nothing" a '
	! grep -iE "error|fail|cannot" /tmp/host0.log /tmp/host1.log'
unplug 0
unplug 1
check "the disk has what was written" [ "$(a '
	wait_drivers 1209:0010 1.0=usb-storage && gadget_unplug storage &&
	head -c 8m /tmp/disk | sha256sum | cut -c 1-64' 2>/dev/null |
	grep -xE '[0-9a-f]{64}')" = "$(b 'sha256sum /tmp/data | cut -c 1-64')" ]
check "A's kernel is well" a "! dmesg | grep -E 'BUG:|Oops|Call Trace'"
finish
