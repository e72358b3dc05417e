#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A Linux guest with a CD-ROM and a DVD-ROM: it sees drives and not disks,
# mounts them, reads what is on them; eject and load; nothing can be written.
. "$(dirname "$0")/../lib/e2e.sh"

mkdir "$tmp/cd" "$tmp/dvd"
head -c 3000001 /dev/urandom >"$tmp/cd/data"
echo small >"$tmp/cd/a file with a long name.txt"
# More than a CD can have.
truncate -s 1000M "$tmp/dvd/zeros"
head -c 1000000 /dev/urandom >>"$tmp/dvd/zeros"
iso() {
	genisoimage -quiet -R -J -V "RYLL_${1^^}" -o "$tmp/$1.iso" "$tmp/$1"
}
need "an ISO image of a CD" iso cd
need "an ISO image of a DVD" iso dvd
cd_sum=$(sha256sum <"$tmp/cd/data" | cut -c 1-64)
dvd_sum=$(tail -c 1000000 "$tmp/dvd/zeros" | sha256sum | cut -c 1-64)
iso_sum=$(sha256sum <"$tmp/cd.iso" | cut -c 1-64)

GUEST_MODULES="cdrom sr_mod isofs" guest_initrd "$tmp/initrd" "$(guest_io)" \
	<<'SCRIPT'
. /lib.sh
wait_file /dev/sr0 && wait_file /dev/sr1 || exit 1
# Whichever came first
by_size() {
	for d in sr0 sr1; do
		[ "$(cat /sys/block/$d/size)" "$1" 1000000 ] && echo /dev/$d
	done
}
# What sr knows of the medium it learns when somebody opens the device.
: </dev/sr0
: </dev/sr1
cd=$(by_size -lt) dvd=$(by_size -gt)
say "drives $cd $dvd"
say "model $(cat /sys/block/${cd##*/}/device/model)"
# profile SERIAL-DEVICE: the current one
profile() {
	guest-io sgcmd $1 46000000000000000800 in 8 | sed 's/.*data=//' |
		cut -c 13-16
}
say "profiles $(profile $cd) $(profile $dvd)"
grep -E '^(drive name|drive speed|Can close|Can read DVD|Can write|Can lock)' \
	/proc/sys/dev/cdrom/info | tr -s '\t' ' ' | sed 's/^/GUEST: info /'

[ "$(cat /sys/block/${cd##*/}/queue/logical_block_size)" = 2048 ] &&
	say "2048 bytes"
mount -t iso9660 -o ro $cd /mnt &&
	say "data $(sha256sum </mnt/data)" && ls /mnt | sed 's/^/GUEST: file /'
say "whole $(dd if=$cd bs=2048 count=$(($(cat /sys/block/${cd##*/}/size) / 4)) \
	2>/dev/null | sha256sum)"
# A mounted one is locked.
guest-io sgcmd $cd 1b0000000200 none | grep -qi 'sense=05/53/02' && say "locked"
umount /mnt
mount -t iso9660 -o ro $dvd /mnt &&
	say "dvd $(tail -c 1000000 /mnt/zeros | sha256sum)" && umount /mnt

# WRITE(10), UNMAP: not of a CD-ROM
guest-io sgcmd $cd 2a000000000000000100 out $(head -c 2048 /dev/zero |
	hexdump -v -e '1/1 "%02x"') | grep -qi 'sense=05/20/00' && say "no write"
dd if=/dev/zero of=$cd bs=2048 count=1 2>/dev/null || say "not writable"

guest-io eject $cd && say "eject"
guest-io sgcmd $cd 000000000000 none | grep -qi 'sense=02/3a/02' &&
	say "tray open"
guest-io sgcmd $cd 1b0000000300 none >/dev/null
mount -t iso9660 -o ro $cd /mnt &&
	say "again $(sha256sum </mnt/data)" && umount /mnt
# Linux closes an open tray when somebody opens the device; who opens it next
# sees the disc. (mount(8) opens it twice, that of busybox once.)
guest-io eject $cd && : <$cd && mount -t iso9660 -o ro $cd /mnt &&
	say "closed $(sha256sum </mnt/data)" && umount /mnt
dmesg | grep -E "I/O error.*sr[01]" && exit 1
exit 0
SCRIPT

serve "$tmp/s" --usb-cdrom "$tmp/cd.iso" --usb-cdrom "$tmp/dvd.iso,serial=DVD"
# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" $(redir "$tmp/s" "$tmp/s")
guest_wait 90
check "the guest ends without errors" [ $? = 0 ]
says() {
	grep -aq "^GUEST: $1" "$tmp/guest.log"
}
check "it has two drives" says "drives /dev/sr. /dev/sr."
check "of this name" says "model bridge CD-ROM"
check "one with a CD, one with a DVD" says "profiles 0008 0010"
check "sectors of 2048 bytes" says "2048 bytes"
check "they can be locked" says "info Can lock tray: 1"
check "they cannot write" says "info Can write CD-R: 0"
check "a file on the CD is what it was" says "data $cd_sum"
check "a long name" says "file a file with a long name.txt"
check "the whole CD is what it was" says "whole $iso_sum"
check "a file on the DVD is what it was" says "dvd $dvd_sum"
check "a mounted CD is locked" says "locked"
check "WRITE(10) is no command of it" says "no write"
check "nor can the guest write by itself" says "not writable"
check "eject" says "eject"
check "an open tray has no medium" says "tray open"
check "load: it is back" says "again $cd_sum"
check "the guest closes the tray by itself" says "closed $cd_sum"
bridge_stop
check "the image is untouched" \
	[ "$(sha256sum <"$tmp/cd.iso" | cut -c 1-64)" = "$iso_sum" ]
finish
