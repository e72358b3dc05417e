#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A block device as the image: written, read, trimmed; refused while mounted.
. "$(dirname "$0")/../lib/e2e.sh"

[ "$(id -u)" = 0 ] || skip "needs root for losetup"
truncate -s 64M "$tmp/backing"
dev=$(losetup --find --show "$tmp/backing" 2>/dev/null) ||
	skip "no loop device to be had"
mounted=
detach() {
	[ -z "$mounted" ] || umount "$tmp/mnt"
	losetup -d "$dev"
	e2e_cleanup
}
trap detach EXIT

serve "$tmp/s" --usb-disk "$dev"
load() {
	"$O/tests/bench/redirload" "$tmp/s" -1 "$@" >/dev/null
}
check "blocks are written" load write 65536 1024
check "and read" load randread 4096 2000
check "--list names it" bash -c "$BRIDGE --list | grep -q '^$dev'"
bridge_stop
check "the bridge ends with status 0" [ $? = 0 ]
check "all blocks arrived" \
	bash -c "! cmp -s -n 67108864 '$dev' /dev/zero"

PATH=$PATH:/usr/sbin:/sbin mkfs.ext4 -Fq "$dev" 2>/dev/null
mkdir "$tmp/mnt"
if mount "$dev" "$tmp/mnt"; then
	mounted=yes
	timeout 10 "$BRIDGE" --usb-disk "$dev" --listen "unix:$tmp/s2" \
		2>"$tmp/refused.log"
	check "a mounted one is refused" [ $? = 1 ]
	check "and the line says why" grep -q 'unmount it' "$tmp/refused.log"
	check "read-only it is not" "$BRIDGE" --usb-disk-ro "$dev" --run true
else
	echo "ok - a mounted one is refused # SKIP cannot mount here"
fi
finish
