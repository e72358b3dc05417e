#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Devices for this machine's own kernel, by --attach: a disk, and devices that
# others offer, by usbredir (stock usbredirect) and by usbip (stock usbipd, and
# ours). All of it in one guest; the disks of the others are here or there.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/usbip.sh"

new_ports USBIP REDIR
head -c 32M /dev/urandom >"$tmp/b"
cp "$tmp/b" "$tmp/c"
b_sum=$(sha256sum <"$tmp/b" | cut -c 1-64)
bridge_start --usb-disk "$tmp/b" --usbip-listen "$USBIP"
usbip_bridge=$BRIDGE_PID
bridge_start --usb-disk "$tmp/c" --listen "tcp:127.0.0.1:$REDIR"
A_PROGRAMS="$(command -v usbredirect) $(guest_io)" need "a guest boots" usbip_start
need "functions" a '
# attaches N OPTION...: /tmp/bridgeN.log, $bridge
attaches() {
	log=/tmp/bridge$1.log
	shift
	: >$log
	ryll-bridge --attach "$@" >$log 2>&1 &
	bridge=$!
	try "it says so" grep -q "is on port" $log || {
		cat $log
		return 1
	}
}
ends() {
	kill ${1:-$bridge}
	wait ${1:-$bridge}
	status=$?
	[ $status = 0 ] || cat $log
	return $status
}'

check "a disk is attached" a 'truncate -s 48M /tmp/disk &&
	attaches 1 --usb-disk /tmp/disk && wait_disk 1'
check "at super speed" a '[ "$(cat $(device_of 1209:0001)/speed)" = 5000 ]'
check "--list shows it" a '
	ryll-bridge --list | grep "1209:0001.*attached here by vhci_hcd"'
check "it is written and read" a '
	guest-io pattern-write /dev/sda 0 48m 3 && guest-io pattern-check /dev/sda 0 48m 3'
check "it ends in order" a 'ends && wait_no_disk'
check "and the image has it" a 'guest-io pattern-check /tmp/disk 0 48m 3'
check "usbip detach ends it, with status 0" a 'attaches 1 --usb-disk /tmp/disk &&
	wait_disk 1 && detaches && wait $bridge && wait_no_disk &&
	grep -q "not attached to this machine any more" /tmp/bridge1.log'
check "kill -9: the kernel lets go of it" a 'attaches 1 --usb-disk /tmp/disk &&
	wait_disk 1 && kill -9 $bridge && wait_no_disk && try "no port" eval "[ \$(ports_in_use) = 0 ]"'

for from in "b usbip://$GUEST_HOST:$USBIP/ryll-1-1" "c tcp:$GUEST_HOST:$REDIR"; do
	check "another ryll-bridge's disk, ${from#* }" a "
		attaches 2 --usb-remote ${from#* } && wait_disk 1 &&
		[ \"\$(sha256sum </dev/sda | cut -c 1-64)\" = $b_sum ]"
	check "is written" a 'guest-io pattern-write /dev/sda 1m 8m 5 && sync &&
		guest-io pattern-check /dev/sda 1m 8m 5'
	check "it ends in order" a 'ends && wait_no_disk'
	check "the image there has it" "$(guest_io)" pattern-check \
		"$tmp/${from%% *}" 1m 8m 5
done

need "a gadget" a 'truncate -s 32M /tmp/gadget && gadget_storage /tmp/gadget && wait_disk 1'
check "a disk of stock usbredirect" a '
	usbredirect --device 1209:0010 --as 127.0.0.1:4000 >/tmp/redirect.log 2>&1 &
	redirect=$!
	try "a port" listens 4000 && attaches 3 --usb-remote tcp:127.0.0.1:4000'
vhci_disk='$(ls -d /sys/devices/platform/vhci_hcd.0/usb*/*/*/host*/target*/*/block/* 2>/dev/null | sed "s,.*/,/dev/,")'
check "is there" a "try 'the disk' eval '[ -b \"$vhci_disk\" ]'"
check "is written and read" a "disk=$vhci_disk
	guest-io pattern-write \$disk 0 32m 4 && guest-io pattern-check \$disk 0 32m 4"
check "it ends in order" a 'ends && try "no disk" eval "[ \$(ports_in_use) = 0 ]"'
check "the gadget has it" a 'guest-io pattern-check /tmp/gadget 0 32m 4'
a 'kill $redirect; wait $redirect' >/dev/null 2>&1

check "a disk of stock usbipd" a '
	busid=$(basename $(device_of 1209:0010)) &&
	usbip bind -b $busid >/tmp/usbip.log 2>&1 && usbipd -D >/tmp/usbipd.log 2>&1 &&
	try "usbipd" listens 3240 &&
	attaches 4 --usb-remote usbip://127.0.0.1/$busid || { cat /tmp/usbip.log /tmp/usbipd.log; false; }'
check "is there" a "try 'the disk' eval '[ -b \"$vhci_disk\" ]'"
check "is written and read" a "disk=$vhci_disk
	guest-io pattern-write \$disk 0 32m 6 && guest-io pattern-check \$disk 0 32m 6"
check "it ends in order" a 'ends && try "no port" eval "[ \$(ports_in_use) = 0 ]"'
check "the gadget has it" a 'guest-io pattern-check /tmp/gadget 0 32m 6'
check "one that usbipd does not have: one line" a '
	usbip unbind -b $busid >/dev/null 2>&1
	log=/tmp/log
	ryll-bridge --attach --usb-remote usbip://127.0.0.1/$busid >$log 2>&1 &
	bridge=$!
	try "a line" grep -q "has no such device" $log
	sleep 2
	[ $(wc -l <$log) = 1 ] || { cat $log; false; }'
check "it is tried again, and there" a 'usbip bind -b $busid >/dev/null 2>&1 &&
	try "it" grep -q "is on port" $log && ends || { cat $log; false; }'
check "without vhci_hcd it says what to do" a '
	rmmod vhci_hcd || return 1
	truncate -s 1M /tmp/small
	ryll-bridge --attach --usb-disk /tmp/small >/tmp/out 2>&1
	status=$?
	cat /tmp/out
	[ $status = 1 ] && [ $(wc -l </tmp/out) = 1 ] && grep -q "modprobe vhci-hcd" /tmp/out'
check "the kernel is well" a "! dmesg | grep -E 'BUG:|Oops|Call Trace'"
kill "$usbip_bridge"
wait "$usbip_bridge"
check "the bridge there ends with status 0" [ $? = 0 ]
bridge_stop
check "and the other" [ $? = 0 ]
finish
