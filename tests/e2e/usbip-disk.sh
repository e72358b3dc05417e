#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Disks for stock usbip clients: Debian's usbip in a guest lists them, attaches
# them to its kernel and detaches them.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/usbip.sh"

new_ports PORT
truncate -s 64M "$tmp/a"
head -c 32M /dev/urandom >"$tmp/b"
b_sum=$(sha256sum <"$tmp/b" | cut -c 1-64)
A_PROGRAMS="mkfs.ext4 e2fsck $(guest_io)" need "a guest boots" usbip_start
bridge_start --usb-disk "$tmp/a" --usb-disk "$tmp/b,speed=high" --usbip-listen "$PORT"

check "usbip list shows them" a "usbip --tcp-port $PORT list -r $GUEST_HOST >/tmp/list 2>&1
	grep -q 'ryll-1-1: .*1209:0001' /tmp/list &&
	grep -q ': $tmp/a\$' /tmp/list &&
	grep -q 'ryll-1-2: .*1209:0001' /tmp/list &&
	[ \$(grep -c ':  0 - .*(08/06/50)' /tmp/list) = 2 ] || { cat /tmp/list; false; }"
check "usbip attach" a "imports ryll-1-1 $GUEST_HOST $PORT && wait_disk 1"
check "it is a super-speed device there" a '
	[ "$(cat $(device_of 1209:0001)/speed)" = 5000 ] ||
		{ cat $(device_of 1209:0001)/speed; false; }'
check "a second client gets the right answer" a "
	usbip --tcp-port $PORT attach -r $GUEST_HOST -b ryll-1-1 >/tmp/second 2>&1
	status=\$?
	grep -qi 'busy' /tmp/second && [ \$status != 0 ] || { cat /tmp/second; false; }"
check "and so does one that asks for what is not there" a "
	usbip --tcp-port $PORT attach -r $GUEST_HOST -b ryll-1-9 >/tmp/second 2>&1
	status=\$?
	grep -qi 'not found\|no such\|device' /tmp/second && [ \$status != 0 ] || { cat /tmp/second; false; }"
check "the other is attached beside it" a "imports ryll-1-2 $GUEST_HOST $PORT && wait_disk 2"
check "what is read is what is there" a "
	[ \"\$(sha256sum </dev/sdb | cut -c 1-64)\" = $b_sum ]"
check "patterns are written and read" a '
	guest-io pattern-write /dev/sda 0 64m 7 && guest-io pattern-check /dev/sda 0 64m 7'
check "they are in the image" "$(guest_io)" pattern-check "$tmp/a" 0 64m 7
check "a file system is made, used and checked" a '
	mkfs.ext4 -Fq /dev/sda && mkdir -p /mnt && mount /dev/sda /mnt &&
	dd if=/dev/sdb of=/mnt/file bs=1M 2>/dev/null && sync &&
	umount /mnt && e2fsck -fn /dev/sda >/tmp/fsck 2>&1 || { cat /tmp/fsck; false; }'
check "usbip detach" a 'detaches && detaches && wait_no_disk'
check "the bridge knows" eventually 10 eval "[ \$(grep -c detached '$BRIDGE_LOG') = 2 ]"
check "the file is in the image's file system" eval \
	"[ \"\$(debugfs -R 'cat /file' '$tmp/a' 2>/dev/null | sha256sum | cut -c 1-64)\" = $b_sum ]"
rounds=${ROUNDS:-25}
memory() {
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$BRIDGE_PID/status"
}
memory=$(memory)
REAL_TIMEOUT=$((20 + 3 * rounds)) check "$rounds rounds" a "
	for i in \$(seq $rounds); do
		imports ryll-1-2 $GUEST_HOST $PORT && try 'a disk' [ -b /dev/sda ] &&
		detaches && try 'no disk' [ ! -b /dev/sda ] &&
		try 'no port' eval '[ \$(ports_in_use) = 0 ]' || { echo round \$i; false; break; }
	done"
fds=$(ls "/proc/$BRIDGE_PID/fd" | wc -l)
check "without a leak of files ($fds are open)" [ "$fds" -lt 40 ]
memory=$(($(memory) - memory))
check "nor of memory ($memory KiB more)" [ $memory -lt 1024 ]
check "attached again" a "imports ryll-1-2 $GUEST_HOST $PORT && wait_disk 1"
kill -KILL "$BRIDGE_PID"
check "kill -9: the disk goes" a "wait_no_disk && try 'no port' eval '[ \$(ports_in_use) = 0 ]'"
bridge_start --usb-disk "$tmp/a" --usb-disk "$tmp/b,speed=high" --usbip-listen "$PORT"
check "attached once more" a "imports ryll-1-2 $GUEST_HOST $PORT && wait_disk 1"
check "the kernel is well" a "! dmesg | grep -E 'BUG:|Oops|Call Trace'"
as_a && guest_stop KILL
check "kill -9 of the client's machine: the disk is free again" eventually 10 \
	logged "detached $tmp/b"
bridge_stop
check "SIGTERM ends it with status 0" [ $? = 0 ]
finish
