#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real guest kernel partitions the disk, makes ext4 and vfat, copies a tree,
# unmounts; the disk is detached and attached again; every checksum holds, in
# the guest and on the host.
. "$(dirname "$0")/../lib/e2e.sh"

truncate -s 192M "$tmp/disk"
guest_initrd "$tmp/initrd" mkfs.ext4 mkfs.vfat sfdisk <<'SCRIPT'
. /lib.sh
set -e
wait_disk 1
printf ',96M,L\n,,c\n' | sfdisk -q /dev/sda
wait_file /dev/sda2
mkfs.ext4 -Fq /dev/sda1
mkfs.vfat /dev/sda2 >/dev/null
mkdir /a /b
mount /dev/sda1 /a
mount /dev/sda2 /b
cp -r /bin/busybox /modules /a
cp -r /bin/busybox /modules /b
i=0
while [ $i -lt 200 ]; do echo "file $i" >/a/file$i; i=$((i + 1)); done
(cd /a && find . -type f | sort | xargs sha256sum) >/a.sums
(cd /b && find . -type f | sort | xargs sha256sum) >/b.sums
sync
umount /a /b
say "written"
# The host takes the disk away and gives it back.
wait_no_disk
say "detached"
wait_disk 1
wait_file /dev/sda2
mount /dev/sda1 /a
mount /dev/sda2 /b
(cd /a && sha256sum -c -s /a.sums)
(cd /b && sha256sum -c -s /b.sums)
say "verified $(cat /a.sums /b.sums | wc -l) files"
sha256sum /bin/busybox | cut -c 1-64 | sed 's/^/GUEST: sum /'
umount /a /b
dmesg | grep -E "I/O error|EXT4-fs error" && exit 1
exit 0
SCRIPT

serve "$tmp/s" --usb-disk "$tmp/disk"
# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" $(redir "$tmp/s")
need "the guest writes both file systems" guest_wait_line 'GUEST: written' 90
bridge_stop
check "the bridge leaves with status 0" [ $? = 0 ]
check "the guest sees the disk go" guest_wait_line 'GUEST: detached' 30
e2fsck -fn "$tmp/disk?offset=1048576" >"$tmp/fsck.log" 2>&1
check "e2fsck on the host finds nothing" [ $? = 0 ]
serve "$tmp/s" --usb-disk "$tmp/disk"
guest_wait 90
check "attached again, every checksum holds" [ $? = 0 ]
check "there were files" grep -q 'GUEST: verified [0-9]\{3\}' "$tmp/guest.log"
bridge_stop

# The host reads what the guest wrote.
sum=$(sed -n 's/^GUEST: sum //p' "$tmp/guest.log" | tr -d '\r')
debugfs -R "dump /busybox $tmp/busybox" "$tmp/disk?offset=1048576" 2>/dev/null
check "the host reads the guest's file" \
	[ "$(sha256sum "$tmp/busybox" | cut -c 1-64)" = "$sum" ]
finish
