#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The ends of sessions, with a real guest: SIGTERM unplugs the disk and flushes
# the image; a guest that goes leaves the listener up; --connect connects again.
. "$(dirname "$0")/../lib/e2e.sh"

truncate -s 32M "$tmp/disk"
guest_initrd "$tmp/initrd" "$(guest_io)" <<'SCRIPT'
. /lib.sh
n=1
while [ $n -le 3 ]; do
	wait_disk 1 || exit 1
	say "attached $n"
	for d in /sys/block/sd*; do dev=/dev/${d##*/}; done
	guest-io pattern-write $dev $((n * 1048576)) 262144 $n || exit 1
	say "written $n"
	wait_no_disk || exit 1
	say "detached $n"
	n=$((n + 1))
done
dmesg | grep -i "I/O error" && exit 1
exit 0
SCRIPT

export GUEST_MONITOR=$tmp/monitor
serve "$tmp/s" --usb-disk "$tmp/disk"
# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" $(redir "$tmp/s") \
	-chardev "socket,id=c,path=$tmp/q,server=on,wait=off"
need "attached over --listen" guest_wait_line 'GUEST: written 1' 60

bridge_stop TERM
check "SIGTERM ends it with status 0" [ $? = 0 ]
check "the guest sees the disk unplugged" \
	guest_wait_line 'GUEST: detached 1' 30
check "in time: the log says so" logged "detached $tmp/disk"

# The other way round: QEMU listens. The device comes and goes on a chardev.
bridge_start --usb-disk "$tmp/disk" --connect "unix:$tmp/q"
hmp "device_add usb-redir,chardev=c,id=uc" >"$tmp/hmp.log"
check "attached over --connect" guest_wait_line 'GUEST: written 2' 60
bridge=$BRIDGE_PID
hmp "device_del uc" >>"$tmp/hmp.log"
check "the guest's side is removed" guest_wait_line 'GUEST: detached 2' 30
hmp "chardev-add socket,id=d,path=$tmp/q,server=on,wait=off" >>"$tmp/hmp.log"
hmp "device_add usb-redir,chardev=d,id=ud" >>"$tmp/hmp.log"
check "connected again, attached again" guest_wait_line 'GUEST: written 3' 60
check "by the same bridge" kill -0 "$bridge"
bridge_stop INT
check "SIGINT ends it with status 0" [ $? = 0 ]
guest_wait 60
check "the guest ends without I/O errors" [ $? = 0 ]
"$(guest_io)" pattern-check "$tmp/disk" 1048576 262144 1 >/dev/null &&
	"$(guest_io)" pattern-check "$tmp/disk" 2097152 262144 2 >/dev/null &&
	"$(guest_io)" pattern-check "$tmp/disk" 3145728 262144 3 >/dev/null
check "all that was written is in the image" [ $? = 0 ]
finish
