#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One guest, four disks: fstrim frees blocks of the image; the last block of a
# sparse 3 TiB image; a read-only disk refuses writes; 4096-byte sectors. Then
# eject, and attaching again.
. "$(dirname "$0")/../lib/e2e.sh"

truncate -s 128M "$tmp/trim"
truncate -s 3T "$tmp/huge"
head -c 1048576 /dev/urandom >"$tmp/ro"
truncate -s 64M "$tmp/4k"
ro_sum=$(sha256sum <"$tmp/ro" | cut -c 1-64)

guest_initrd "$tmp/initrd" mkfs.ext4 fstrim "$(guest_io)" <<'SCRIPT'
. /lib.sh
wait_disk 4
trim=$(disk_by TRIM) huge=$(disk_by HUGE) ro=$(disk_by READONLY) big=$(disk_by SECTOR4K)
say "disks $trim $huge $ro $big"

name=${trim##*/}
mkfs.ext4 -Fq $trim && mount $trim /mnt && cd /mnt || exit 1
head -c 60000000 /dev/urandom >fill && sync
say filled
read -r go
rm fill && sync
for f in /sys/block/$name/device/scsi_disk/*/provisioning_mode; do
	echo unmap >$f
done
fstrim -v /mnt && say trimmed
cd / && umount /mnt
read -r go

size=$(blockdev --getsize64 $huge)
[ "$size" = 3298534883328 ] && say "huge size"
guest-io pattern-write $huge $((size - 65536)) 65536 11 &&
	echo 3 >/proc/sys/vm/drop_caches &&
	guest-io pattern-check $huge $((size - 65536)) 65536 11 && say "huge last"

[ "$(cat /sys/block/${ro##*/}/ro)" = 1 ] && say "ro marked"
sha256sum $ro | sed 's/^/GUEST: rosum /'
blockdev --setrw $ro
# WRITE(10) of one block at LBA 0, as a guest that does not care
guest-io sgcmd $ro 2a000000000000000100 out $(head -c 512 /dev/zero |
	hexdump -v -e '1/1 "%02x"') | grep -qi 'sense=07/27/00' && say "ro refused"

[ "$(cat /sys/block/${big##*/}/queue/logical_block_size)" = 4096 ] &&
	say "4k sectors"
guest-io pattern-write $big 0 1048576 3 && guest-io pattern-check $big 0 1048576 3 &&
	say "4k data"

# Eject: the kernel says that there is no medium; load: back.
# (An open file locks the medium, so a plain START STOP UNIT is refused.)
guest-io sgcmd $big 1b0000000200 none | grep -qi 'sense=05/53/02' && say "locked"
guest-io eject $big
dd if=$big of=/dev/null bs=4096 count=1 2>&1 | grep -q "No medium" && say "ejected"
guest-io sgcmd $big 1b0000000300 none >/dev/null
guest-io pattern-check $big 0 1048576 3 && say "loaded"
guest-io eject $big
say "last eject"
wait_no_disk
say "gone"
wait_disk 4
big=$(disk_by SECTOR4K)
guest-io pattern-check $big 0 1048576 3 && say "4k again"
dmesg | grep -E "I/O error.*(${trim##*/}|${huge##*/})" && exit 1
exit 0
SCRIPT

disks() {
	serve "$tmp/s" --usb-disk "$tmp/trim,serial=TRIM" \
		--usb-disk "$tmp/huge,serial=HUGE" \
		--usb-disk-ro "$tmp/ro,serial=READONLY" \
		--usb-disk "$tmp/4k,serial=SECTOR4K,sector=4096"
}
says() {
	grep -aq "^GUEST: $1" "$tmp/guest.log"
}

disks
# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" \
	$(redir "$tmp/s" "$tmp/s" "$tmp/s" "$tmp/s")
need "four connections take four disks" guest_wait_line 'GUEST: disks /dev' 60
need "the guest fills one" guest_wait_line 'GUEST: filled' 60
full=$(used "$tmp/trim")
guest_send go
need "the guest trims it" guest_wait_line 'GUEST: trimmed' 30
check "fstrim frees blocks of the image ($full KiB, then $(used "$tmp/trim"))" \
	[ "$(used "$tmp/trim")" -lt $((full - 50000)) ]
guest_send go
guest_wait_line 'GUEST: last eject' 60
check "a 3 TiB disk has its size" says "huge size"
check "its last blocks are written and read" says "huge last"
check "and the image stays sparse" [ "$(used "$tmp/huge")" -lt 1024 ]
check "a read-only disk is marked so" says "ro marked"
check "a read-only disk is read right" says "rosum $ro_sum"
check "a read-only disk refuses a write by 07/27/00" says "ro refused"
check "sectors of 4096 bytes are seen" says "4k sectors"
check "and written and read" says "4k data"
check "a medium in use cannot be ejected" says "locked"
check "eject: the guest finds no medium" says "ejected"
check "load: it is back" says "loaded"
bridge_stop
guest_wait_line 'GUEST: gone' 30
disks
guest_wait 60
check "the guest ends without errors" [ $? = 0 ]
check "an ejected disk is there again when attached again" says "4k again"
bridge_stop
check "the read-only image is untouched" \
	[ "$(sha256sum <"$tmp/ro" | cut -c 1-64)" = "$ro_sum" ]
finish
