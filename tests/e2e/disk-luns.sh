#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Three images on one device: the guest sees three disks, writes two of them at
# the same time and reads the third, which is read-only. One is ejected, the
# others go on.
. "$(dirname "$0")/../lib/e2e.sh"

truncate -s 64M "$tmp/a" "$tmp/b+c"
head -c 3000320 /dev/urandom >"$tmp/ro" # 5860 blocks
ro_sum=$(sha256sum <"$tmp/ro" | cut -c 1-64)

guest_initrd "$tmp/initrd" "$(guest_io)" <<'SCRIPT'
. /lib.sh
wait_disk 3
a=/dev/$(lun 0) b=/dev/$(lun 1) ro=/dev/$(lun 2)
say "hosts $(ls -d /sys/class/scsi_host/host* | wc -l) luns $(ls -d \
	/sys/bus/scsi/devices/*:*:*:* | wc -l)"
[ "$(cat /sys/block/$(lun 1)/queue/logical_block_size)" = 4096 ] && say "4096"
[ "$(cat /sys/block/$(lun 0)/ro /sys/block/$(lun 2)/ro | tr -d '\n')" = 01 ] &&
	say "one is read-only"
guest-io pattern-write $a 0 64m 1 >/tmp/a &
first=$!
guest-io pattern-write $b 0 64m 2 >/tmp/b &
second=$!
sha256sum $ro | sed 's/^/GUEST: rosum /'
wait $first && wait $second && say "written"
guest-io pattern-check $a 0 64m 1 >/tmp/a &
first=$!
guest-io pattern-check $b 0 64m 2 >/tmp/b &
second=$!
wait $first && wait $second && say "checked"
guest-io eject $a
dd if=$a of=/dev/null bs=4096 count=1 2>&1 | grep -q "No medium" && say "ejected"
guest-io pattern-check $b 0 1m 2 && say "the other goes on"
dmesg | grep -E "I/O error.*(${b##*/}|${ro##*/})" && exit 1
exit 0
SCRIPT

mkdir "$tmp/mnt"
serve "$tmp/s" --mount "$tmp/mnt" --usb-disk \
	"$tmp/a,serial=A+$tmp/b++c,sector=4096,name=second+$tmp/ro,ro"
check "--mount shows each image" [ "$(cd "$tmp/mnt" && echo *.img)" = \
	"a.img ro.img second.img" ]
# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" $(redir "$tmp/s")
guest_wait_line 'GUEST: 4096' 60
check "all of them are attached" [ "$(cat "$tmp"/mnt/*.json |
	grep -c '"attached": *true')" = 3 ]
guest_wait 90
check "the guest ends without errors" [ $? = 0 ]
says() {
	grep -aq "^GUEST: $1" "$tmp/guest.log"
}
check "one device, three disks" says "hosts [0-9]* luns 3"
check "with options of their own" says "4096"
check "the third is read-only" says "one is read-only"
check "two are written at the same time" says "written"
check "and are what they should be" says "checked"
check "the third is read meanwhile" says "rosum $ro_sum"
check "one is ejected" says "ejected"
check "the other goes on" says "the other goes on"
bridge_stop
check "SIGTERM ends it with status 0" [ $? = 0 ]
check "the images here are what the guest wrote" "$(guest_io)" pattern-check \
	"$tmp/a" 0 64m 1
check "both of them" "$(guest_io)" pattern-check "$tmp/b+c" 0 64m 2
"$BRIDGE" --list --usb-disk "$tmp/a+$tmp/b++c+$tmp/none" >"$tmp/list"
check "--list lists each" \
	[ "$(grep -cE "^$tmp/(a|b\+c) .*ready|^$tmp/none .*\+\+" "$tmp/list")" = 3 ]
finish
