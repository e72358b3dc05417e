#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A Linux guest with a USB 2 controller, as libvirt gives it by default, cannot
# enumerate a super-speed device: it gets a high-speed one without being asked.
. "$(dirname "$0")/../lib/e2e.sh"

truncate -s 32M "$tmp/disk"
guest_initrd "$tmp/initrd" "$(guest_io)" <<'SCRIPT'
. /lib.sh
wait_disk 1 || exit 1
cat /sys/bus/usb/devices/1-1/speed | sed 's/^/GUEST: speed /'
guest-io pattern-write /dev/sda 1048576 4194304 5 &&
	echo 3 >/proc/sys/vm/drop_caches &&
	guest-io pattern-check /dev/sda 1048576 4194304 5
SCRIPT

# with_usb2 DISK-OPTIONS CONTROLLER
with_usb2() {
	serve "$tmp/s" --usb-disk "$tmp/disk$1"
	guest_run "$tmp/initrd" "$tmp/guest.log" -device "$2" \
		-chardev "socket,id=r,path=$tmp/s,reconnect=1" \
		-device usb-redir,chardev=r
}

with_usb2 "" ich9-usb-ehci1
check "the guest writes and reads" [ $? = 0 ]
check "at high speed" grep -q 'GUEST: speed 480' "$tmp/guest.log"
check "the log says why" logged "attaching it at high speed"
bridge_stop
check "and ends with status 0" [ $? = 0 ]

with_usb2 ",speed=high" usb-ehci
check "speed=high: the guest writes and reads" [ $? = 0 ]
check "without an attempt at super speed" \
	bash -c "! grep -q 'attaching it at high speed' '$BRIDGE_LOG'"
bridge_stop
finish
