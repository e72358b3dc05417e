#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A mass-storage gadget: another guest mounts it, reads what is on it and writes
# to it. At super speed and at high speed.
#
# usbredirect 0.13 passes all.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

need "two guests boot" real_start

# with SPEED-NAME [high]
with() {
	check "$1: a gadget with a file system" a "
		truncate -s 48M /tmp/disk && mkfs.ext4 -Fq /tmp/disk &&
		mount -o loop /tmp/disk /mnt &&
		head -c 8m /dev/urandom >/mnt/data &&
		sha256sum /mnt/data | cut -c 1-64 >/tmp/sum &&
		umount /mnt && gadget_storage /tmp/disk $2 &&
		wait_disk && wait_drivers 1209:0010 1.0=usb-storage"
	need "$1: the usb-host starts" serve 1209:0010
	plug
	need "$1: the disk arrives" b "wait_disk && mount /dev/sda /mnt"
	check "$1: at its speed" [ "$(b '
		cat $(device_of 1209:0010)/speed')" = "$3" ]
	check "$1: what is on it is read" [ "$(b '
		sha256sum /mnt/data | cut -c 1-64')" = "$(a 'cat /tmp/sum')" ]
	check "$1: and written" b "
		cp /mnt/data /mnt/copy && sync && umount /mnt &&
		mount /dev/sda /mnt && cmp /mnt/data /mnt/copy && umount /mnt &&
		guest-io seqread /dev/sda 128k 16m &&
		guest-io seqread /dev/sda 1m 16m"
	check "$1: without an error" b "! dmesg | grep -iE 'I/O error|reset .*speed'"
	unplug
	check "$1: it goes" b wait_no_disk
	serve_stop >/dev/null
	check "$1: the gadget's file has it" a "
		wait_drivers 1209:0010 1.0=usb-storage && gadget_remove storage &&
		mount -o loop /tmp/disk /mnt &&
		[ \$(sha256sum /mnt/copy | cut -c 1-64) = \$(cat /tmp/sum) ] &&
		umount /mnt"
}

with "super speed" "" 5000
with "high speed" high 480
finish
