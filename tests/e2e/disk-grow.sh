#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Images that grow while a guest has them: an idle disk, one that is mounted
# and has unwritten data, one that is fixed, one with a snapshot over it (which
# cannot grow).
. "$(dirname "$0")/../lib/e2e.sh"

truncate -s 64M "$tmp/idle" "$tmp/busy" "$tmp/fixed" "$tmp/over"

guest_initrd "$tmp/initrd" mkfs.ext4 "$(guest_io)" <<'SCRIPT'
. /lib.sh
wait_disk 4
lun() {
	basename /sys/bus/scsi/devices/*:$1/block/sd*
}
idle=$(lun 0) busy=$(lun 1) fixed=$(lun 2) over=$(lun 3)
# The kernel writes nothing by itself.
echo 90000 >/proc/sys/vm/dirty_expire_centisecs
echo 90000 >/proc/sys/vm/dirty_writeback_centisecs
mkfs.ext4 -Fq /dev/$busy && mount /dev/$busy /mnt && cd /mnt || exit 1
for i in 1 2 3 4 5 6 7 8; do
	head -c 1000000 /dev/urandom >$i
done
sha256sum * >/tmp/sums
say ready
read -r go
# size NAME: in MiB
size() {
	echo $(($(cat /sys/block/$1/size) / 2048))
}
rescan() {
	echo 1 >/sys/block/$1/device/rescan
}
say "idle before $(size $idle)"
rescan $idle
say "idle after $(size $idle) told $(dmesg |
	grep -c '0:0:0:0: Capacity data has changed')"
guest-io pattern-write /dev/$idle $((96 * 1048576 - 4096)) 4096 5 &&
	say "idle written"

# Opening one in use must not make the kernel forget what is not written yet.
for i in 1 2 3; do
	dd if=/dev/$busy of=/dev/null bs=512 count=1 2>/dev/null
done
say "busy opened $(size $busy)"
rescan $busy
for i in 1 2 3; do
	dd if=/dev/$busy of=/dev/null bs=512 count=1 2>/dev/null
done
say "busy after $(size $busy)"
cd / && umount /mnt && echo 3 >/proc/sys/vm/drop_caches
mount /dev/$busy /mnt && cd /mnt && sha256sum -c /tmp/sums >/dev/null &&
	say "busy kept"
cd / && umount /mnt
guest-io pattern-write /dev/$busy $((96 * 1048576 - 4096)) 4096 6 &&
	say "busy written"

rescan $fixed
say "fixed after $(size $fixed)"
rescan $over
say "over after $(size $over)"
dmesg | grep -E "I/O error|busy inodes" && exit 1
exit 0
SCRIPT

serve "$tmp/s" --usb-disk \
	"$tmp/idle+$tmp/busy+$tmp/fixed,fixed+$tmp/over,snapshot"
# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" $(redir "$tmp/s")
need "the guest has them" guest_wait_line 'GUEST: ready' 60
truncate -s 96M "$tmp/idle" "$tmp/busy" "$tmp/fixed" "$tmp/over"
guest_send go
guest_wait 60
check "the guest ends without errors" [ $? = 0 ]
says() {
	grep -aq "^GUEST: $1" "$tmp/guest.log"
}
check "nothing is pushed at the guest" says "idle before 64"
check "a rescan sees it, and the kernel says why" says "idle after 96 told 1"
check "the new last block is written" says "idle written"
check "and has arrived here" "$(guest_io)" pattern-check "$tmp/idle" \
	$((96 * 1048576 - 4096)) 4096 5
check "opening a mounted disk does not show it" says "busy opened 64"
check "a rescan does" says "busy after 96"
check "and what was not written yet is not lost" says "busy kept"
check "nor is what comes behind" says "busy written"
check "a fixed disk grows" says "fixed after 96"
check "one below a snapshot does not" says "over after 64"
check "one line of the log for each" \
	[ "$(grep -c 'has grown to 100663296 bytes' "$BRIDGE_LOG")" = 3 ]
bridge_stop
check "the new last block of the mounted one has arrived, too" \
	"$(guest_io)" pattern-check "$tmp/busy" $((96 * 1048576 - 4096)) 4096 6
finish
