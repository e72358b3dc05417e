#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A disk with bulk streams, which QEMU emulates for one guest: the other drives
# it by uas, reads and writes it.
#
# usbredirect 0.13 passes all.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

id=46f4:0003
truncate -s 64M "$tmp/disk"
mkfs.ext4 -Fq "$tmp/disk"
"$(guest_io)" pattern-write "$tmp/raw" 0 8m 1 >/dev/null

need "two guests boot" real_start -device qemu-xhci,p2=4,p3=4,id=x \
	-drive "if=none,id=d0,format=raw,file=$tmp/disk" \
	-drive "if=none,id=d1,format=raw,file=$tmp/raw" \
	-device usb-uas,id=uas,bus=x.0 \
	-device scsi-hd,bus=uas.0,scsi-id=0,lun=0,drive=d0 \
	-device scsi-hd,bus=uas.0,scsi-id=0,lun=1,drive=d1
need "A drives it by uas" a "wait_drivers $id 1.0=uas && wait_disk 2"
need "the usb-host starts" serve $id
plug
need "two disks arrive" b "wait_disk 2"
check "by uas" b "wait_drivers $id 1.0=uas"
check "at super speed" [ "$(b "cat \$(device_of $id)/speed")" = 5000 ]
# Which of the two is sda is chance: they are probed at the same time.
sdb="/dev/\$(lun 1)" sda="/dev/\$(lun 0)"
check "one is what it should be" b "guest-io pattern-check $sdb 0 8m 1"
check "many requests at a time" b "guest-io randread $sdb 4k 400 16"
check "the other is mounted and written" b "
	mount $sda /mnt && head -c 4m /dev/urandom >/mnt/data && sync &&
	sha256sum /mnt/data >/mnt/sum && umount /mnt &&
	mount $sda /mnt && sha256sum -c /mnt/sum && umount /mnt"
check "both at the same time" b "
	guest-io pattern-check $sdb 0 8m 1 >/tmp/1 & one=\$!
	guest-io seqread $sda 128k 8m && wait \$one"
check "without an error" b "! dmesg | grep -iE 'I/O error|uas_eh|abort'"
unplug
check "it goes" b wait_no_disk
serve_stop >/dev/null
check "A has it back" a "wait_drivers $id 1.0=uas && wait_disk 2 &&
	mount $sda /mnt &&
	(cd / && sha256sum -c /mnt/sum)"
finish
