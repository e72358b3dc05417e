#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Which device is meant, which may be given away and which cannot be: in one
# guest with two disks of the same numbers, and the log as witness.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"
! is_usbredirect || skip "it has no such options"

# wrong OPTION ARGUMENT: exit status 2, and one line that names the argument
wrong() {
	timeout 10 "$BRIDGE" "$@" --listen "unix:$tmp/s" 2>"$tmp/out"
	[ $? = 2 ] && [ "$(wc -l <"$tmp/out")" = 1 ] &&
		grep -qF -- "$2" "$tmp/out" && return 0
	cat "$tmp/out"
	return 1
}

for text in frob 1209: 12090:1 "1209:0010," noreset serial= class=xyz class=100 \
	port=1 1-4. 1-2-3 1209:0010,frob; do
	check "no device: $text" wrong --usb-device "$text"
done
for text in 1,2,3 x,-1,-1,-1,1 "0x03,-1,-1,-1,0|-1"; do
	check "no filter: $text" wrong --usb-filter "$text" --usb-device 1209:0010
done
for text in error=x seed= delay=5 "short=1," frob=1; do
	check "no fault: $text" wrong --fault "$text" --usb-device 1209:0010
done

A_PROGRAMS="$O/tests/bench/usbload socat" \
	need "a guest boots" real_start_alone -m 512
# What the rest has in the guest: bridges with the log /tmp/log and a socket, and
# programs that play the guest.
need "devices" a '
mkdir -p /etc && echo "nobody:x:65534:65534::/:/bin/sh" >/etc/passwd

# bridge OPTION...
bridge() {
	rm -f /tmp/s
	: >/tmp/log # what the last one said is not what this one says
	ryll-bridge --listen unix:/tmp/s "$@" >/tmp/log 2>&1 &
	bridge=$!
	try "a bridge" grep -q "listening on" /tmp/log
}

# Takes a device and keeps it.
guest() {
	usbload ${1:-/tmp/s} bulk 81 512 1 1 >/tmp/guest.log 2>&1 &
	guests="$guests $!"
}

logged() {
	try "\"$1\"" grep -qE -- "$1" ${2:-/tmp/log} || {
		cat ${2:-/tmp/log}
		return 1
	}
}

# Once, and no other such line
once() {
	logged "$1" && [ "$(grep -cE -- "$1" /tmp/log)" = 1 ] || {
		cat /tmp/log
		return 1
	}
}

# All have their drivers again.
end() {
	kill $guests 2>/dev/null
	guests=
	kill $bridge
	wait $bridge || return 1
	for port in $one $two; do
		try "the driver of $port" \
			[ -e /sys/bus/usb/devices/$port:1.0/driver ] || return 1
	done
}

# takes PORT OPTION...: this one and no other
takes() {
	port=$1
	shift
	bridge "$@" && guest && once "attached" && logged "attached .*\($port\)"
	status=$?
	end && return $status
}

# refused TEXT OPTION...: one line with the text, and nothing attached
refused() {
	text=$1
	shift
	bridge "$@" && guest && once "cannot be attached: .*$text" &&
		! grep -q "attached " /tmp/log
	status=$?
	end && return $status
}

# The port of the gadget of this serial number
port_of() {
	for dir in /sys/bus/usb/devices/*; do
		[ "$(cat $dir/serial 2>/dev/null)" != "$1" ] || echo ${dir##*/}
	done
}

disk_of() {
	ls -d /sys/bus/usb/devices/$1/$1:1.0/host*/target*/*/block/sd* |
		sed "s,.*/,/dev/,"
}

number_of() {
	echo $(cat /sys/bus/usb/devices/$1/busnum)-$(cat /sys/bus/usb/devices/$1/devnum)
}

list() {
	ryll-bridge --list | tr -s " "
}

truncate -s 8M /tmp/1 /tmp/2 && mkfs.ext4 -Fq /tmp/1 &&
gadget_storage /tmp/1 "" one && gadget_storage /tmp/2 "" two && gadget_hid &&
wait_disk 2 && wait_drivers 1209:0011 1.0=usbhid &&
one=$(port_of one-1) && two=$(port_of two-1) && [ -n "$one" -a -n "$two" ]'

check "--list shows them" a '
	list >/tmp/list
	grep -qxF "$(number_of $one) $one 1209:0010 5000 one-1 one usb-storage ready" /tmp/list &&
	grep -qxF "$(number_of $two) $two 1209:0010 5000 two-1 two usb-storage ready" /tmp/list &&
	grep -q " 1209:0011 5000 keyboard-1 keyboard usbhid ready" /tmp/list &&
	grep -q "a hub: it stays here" /tmp/list || { cat /tmp/list; false; }'
check "and who may not have them" a '
	su nobody -s /bin/sh -c "ryll-bridge --list" | tr -s " " |
		grep "^$(number_of $one) $one .*no permission for /dev/bus/usb/"'

check "VID:PID is the first that fits" a '
	bridge --usb-device 1209:0010 && guest && once "attached .*1209:0010"
	status=$?
	end && [ $status = 0 ]'
for which in one two; do
	check "BUS-DEV, $which" a "takes \$$which --usb-device \$(number_of \$$which)"
	check "port=, $which" a "takes \$$which --usb-device port=\$$which"
	check "serial=, $which" a "takes \$$which --usb-device serial=$which-1"
	check "two conditions, $which" a "takes \$$which \
		--usb-device 1209:0010,serial=$which-1"
done
check "class=03 is the keyboard" a '
	takes $(port_of keyboard-1) --usb-device class=03'
check "conditions of two devices" a '
	bridge --usb-device class=03,serial=one-1 && guest &&
	logged "class=03,serial=one-1: not plugged in; waiting for it" &&
	logged "waits for a device" && ! grep "attached " /tmp/log && end'
check "two of the same take one each" a '
	bridge --usb-device 1209:0010 --usb-device 1209:0010 && guest && guest &&
	logged "attached .*\($one\)" && logged "attached .*\($two\)"
	status=$?
	end && [ $status = 0 ]'
check "class=08 twice, too" a '
	bridge --usb-device class=08 --usb-device class=08 && guest && guest &&
	logged "attached .*\($one\)" && logged "attached .*\($two\)"
	status=$?
	end && [ $status = 0 ]'

check "absent, it is waited for" a '
	bridge --usb-device 1209:0012 && guest &&
	logged "1209:0012: not plugged in; waiting for it" &&
	logged "waits for a device" && ! grep "attached " /tmp/log'
check "and attached when it comes" a '
	gadget_acm && logged "attached 1209:0012"'
check "unplugged and plugged, again" a '
	gadget_unplug acm && wait_no_device 1209:0012 && gadget_plug acm &&
	guest && try "twice" eval "[ \$(grep -c \"attached 1209:0012\" /tmp/log) = 2 ]" &&
	end && gadget_remove acm && wait_no_device 1209:0012'
# socat waits for the bridge, and then for the guest.
check "the same with --connect" a '
	socat unix-listen:/tmp/c unix-listen:/tmp/s2 &
	: >/tmp/log
	ryll-bridge --connect unix:/tmp/c --usb-device 1209:0012 >/tmp/log 2>&1 &
	bridge=$!
	logged "1209:0012: not plugged in; waiting for it" &&
	try "a guest can come" [ -S /tmp/s2 ] && guest /tmp/s2 && gadget_acm &&
	logged "attached 1209:0012" && end && gadget_remove acm'

check "--usb-filter keeps one back, by a line, and gives the other" a '
	bridge --usb-device class=03 --usb-device class=08,serial=one-1 \
		--usb-filter "0x03,-1,-1,-1,0|-1,-1,-1,-1,1" && guest && guest &&
	logged "attached .*\($one\)" && once "stays here, by --usb-filter" &&
	[ $(grep -c "attached " /tmp/log) = 1 ]
	status=$?
	end && [ $status = 0 ]'

check "no permission: what to do" a '
	su nobody -s /bin/sh -c "exec ryll-bridge --listen unix:/tmp/s3 \
		--usb-device class=03" >/tmp/log3 2>&1 &
	bridge3=$!
	try "it listens" [ -S /tmp/s3 ] && guest /tmp/s3 && guest3=$! guests= &&
	logged "no permission for /dev/bus/usb/.*see" /tmp/log3
	status=$?
	lines=$(wc -l </tmp/log3) since=$(cut -d . -f 1 /proc/uptime)
	[ $status = 0 ]'
check "a mounted disk is refused" a '
	mkdir -p /mnt/"a disk" && mount -o ro $(disk_of $one) /mnt/"a disk" &&
	refused "$(disk_of $one) is mounted on /mnt/a disk .*--force" \
		--usb-device serial=one-1'
check "--list says it" a '
	list | grep " one-1 one usb-storage $(disk_of $one) is mounted on /mnt/a disk"'
check "the other is given meanwhile" a '
	takes $two --usb-device serial=two-1'
check "--force takes it" a '
	takes $one --force --usb-device serial=one-1 --usb-device serial=none'
a 'umount -l /mnt/*; rmdir /mnt/*; try "a disk" [ -b "$(disk_of $one)" ]' >/dev/null
check "a disk with swap is refused" a '
	mkswap $(disk_of $two) >/dev/null && swapon $(disk_of $two) &&
	refused "$(disk_of $two) is in use as swap" --usb-device serial=two-1 &&
	swapoff $(disk_of $two)'

check "a disk mounted out of sight, and an interface of another program" a '
	unshare -m sh -c "mount -o ro $(disk_of $one) /mnt && : >/tmp/mounted
		exec sleep 1000" &
	holder=$!
	vhci_attach streams && wait_device 1209:0001 && guest-usb wait 1209:0001
	guest-usb bulk-in 1209:0001 83 512 512 1 >/tmp/claim 2>&1 &
	claim=$!
	try "the mount" [ -e /tmp/mounted ] &&
	try "a claim" eval "drivers_of 1209:0001 | grep -q usbfs" &&
	bridge --usb-device serial=one-1 --usb-device 1209:0001 &&
	guest && guest &&
	once "cannot be attached: $(disk_of $one) is in use .*--force" &&
	once "cannot be attached: interface . is in use by another program"'
check "are taken when those have ended" a '
	kill $holder $claim # the second may have given up by itself
	logged "attached .*\($one\)" &&
	logged "attached .*1209:0001" &&
	[ $(grep -c "cannot be attached" /tmp/log) = 2 ]
	status=$?
	end; vhci_detach; [ $status = 0 ]'

# Meanwhile it has tried again, at least twice.
check "no permission: no line more in ten seconds" a '
	try "the time" eval "[ \$((\$(cut -d . -f 1 /proc/uptime) - $since)) -gt 10 ]"
	[ $(wc -l </tmp/log3) = $lines ] || { cat /tmp/log3; false; }'
check "when there is permission it is taken" a '
	chmod 666 $(grep -o "/dev/bus/usb/[0-9/]*" /tmp/log3) &&
	logged "attached 1209:0011" /tmp/log3
	status=$?
	kill $guest3 $bridge3; wait $bridge3 && [ $status = 0 ]'
check "the kernel is well" a "! dmesg | grep -E 'BUG:|Oops|Call Trace'"
finish
