#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Real devices for a stock usbip client in another guest: a gadget of each kind,
# and one of which the test knows everything (guest-vhci). The latter comes to the
# bridge from others, too: stock usbredirect and another bridge have it, and the
# bridge between passes it on.
#
# alone: who is late with isochronous packets has lost them
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/usbip.sh"

# usbip_serve OPTION...: in A, on its port 4000
usbip_serve() {
	a ": >/tmp/host0.log; ryll-bridge --usbip-listen 0.0.0.0:4000 --insecure $* >>/tmp/host0.log 2>&1 &
	echo \$! >/tmp/host0.pid
	try 'a bridge' listens 4000" || {
		a "cat /tmp/host0.log"
		return 1
	}
}

A_PROGRAMS="$(guest_io) $(command -v usbredirect)" need "two guests boot" usbip_start_both
PORT=$(port_of 0)
new_ports NEXT
imports() {
	b "imports $1 $GUEST_HOST ${2:-$PORT}"
}

# The keyboard in B sends keys.
keyboard_works() {
	check "sends keys" b 'wait_drivers 1209:0011 1.0=usbhid
		input_of() {
			ls -d $(device_of 1209:0011)/*/*/input/input*/event* 2>/dev/null | sed "s,.*/,/dev/input/,"
		}
		try "its node" eval "[ -c \"\$(input_of)\" ]"
		cat $(input_of) >/tmp/keys & keys=$!
		try "a reader" eval "ls -l /proc/$keys/fd 2>/dev/null | grep -q /dev/input/event"'
	a 'for key in $(seq 4 13); do hid_key $key; usleep 20000; done' >/dev/null
	check "all of them" b '
		try "20 events" eval "[ \$(xxd -c 24 -p /tmp/keys | cut -c 33-36 | grep -c ^0100) = 20 ]"
		status=$?; kill $keys; [ $status = 0 ]'
}
loopback_works() {
	check "gives back what it gets" b '
		guest-usb wait 1209:0014 && guest-usb loop 1209:0014 02 81 16k 40'
	check "one that never answers is cancelled" b 'guest-usb cancel 1209:0014 81'
}

# ---- gadgets --------------------------------------------------------------------------

need "gadgets" a 'truncate -s 32M /tmp/disk && gadget_storage /tmp/disk && gadget_hid &&
	gadget_acm && gadget_loopback && wait_device 1209:0010 && wait_device 1209:0011 &&
	wait_device 1209:0012 && wait_device 1209:0014'
need "are served" usbip_serve --usb-device 1209:0010 --usb-device 1209:0011 \
	--usb-device 1209:0012 --usb-device 1209:0014
check "usbip list shows them" b "usbip --tcp-port $PORT list -r $GUEST_HOST >/tmp/list 2>&1
	for device in 1:.*1209:0010 2:.*1209:0011 3:.*1209:0012 4:.*1209:0014; do
		grep -q ryll-1-\$device /tmp/list || { cat /tmp/list; false; break; }
	done"
check "and what they are" b "grep -q '08/06/50' /tmp/list && grep -q '03/01/01' /tmp/list &&
	grep -q '02/02/01' /tmp/list || { cat /tmp/list; false; }"
check "a disk" imports ryll-1-1
check "is written and read" b 'wait_disk 1 && guest-io pattern-write /dev/sda 0 32m 1 &&
	guest-io pattern-check /dev/sda 0 32m 1'
check "the gadget has it" a 'guest-io pattern-check /tmp/disk 0 32m 1'
check "a keyboard" imports ryll-1-2
keyboard_works
check "a serial line" imports ryll-1-3
check "both ways" b 'wait_drivers 1209:0012 "1.0=cdc_acm 1.1=cdc_acm" &&
	try "ttyACM0" [ -c /dev/ttyACM0 ] && stty -F /dev/ttyACM0 raw -echo'
a 'stty -F /dev/ttyGS0 raw -echo; head -c 12 </dev/ttyGS0 >/tmp/gs & reader=$!' >/dev/null
check "to the gadget" b 'echo hello gadget >/dev/ttyACM0'
check "it has it" a 'try "12 bytes" eval "[ \$(wc -c </tmp/gs) = 12 ]" && grep -q "hello gadge" /tmp/gs'
b 'head -c 12 </dev/ttyACM0 >/tmp/acm & reader=$!' >/dev/null
check "from the gadget" a 'usleep 500000; echo hello serial >/dev/ttyGS0'
check "it arrives" b 'try "12 bytes" eval "[ \$(wc -c </tmp/acm) = 12 ]" && grep -q "hello seria" /tmp/acm'
check "a loopback" imports ryll-1-4
loopback_works
check "unplugged: it goes" a 'gadget_unplug loopback'
check "there, too" b 'wait_no_device 1209:0014 && try "three ports" eval "[ \$(ports_in_use) = 3 ]"'
check "plugged again: it can be attached again" a 'gadget_plug loopback && wait_device 1209:0014'
check "and is" eventually 10 imports ryll-1-4
check "detached" b 'detaches && detaches && detaches && detaches && wait_no_disk'
check "they have their drivers again" a 'wait_drivers 1209:0010 1.0=usb-storage && wait_drivers 1209:0011 1.0=usbhid &&
	wait_drivers 1209:0012 "1.0=cdc_acm 1.1=cdc_acm"'
check "attached once more" imports ryll-1-1
check "it is there" b 'wait_disk 1'
serve_stop 0 KILL
check "kill -9 of the bridge: the client's kernel lets go" b '
	wait_no_disk && try "no port" eval "[ \$(ports_in_use) = 0 ]"'
check "and the disk has its driver" a 'wait_drivers 1209:0010 1.0=usb-storage'

# Of stock usbipd, by way of a bridge between. (It does not serve what is on
# vhci_hcd, as the device below is.)
need "stock usbipd has two" a 'for device in 1209:0011 1209:0014; do
		usbip bind -b $(basename $(device_of $device)) || return 1
	done >/tmp/usbip.log 2>&1
	usbipd -t 4000 -D >/tmp/usbipd.log 2>&1 && try usbipd listens 4000 ||
		{ cat /tmp/usbip.log /tmp/usbipd.log; false; }'
# shellcheck disable=SC2016 # for the guest
bridge_start --usb-remote "usbip://127.0.0.1:$PORT/$(a 'basename $(device_of 1209:0011)')" \
	--usb-remote "usbip://127.0.0.1:$PORT/$(a 'basename $(device_of 1209:0014)')" \
	--usbip-listen "$NEXT"
need "a bridge has them" eventually 20 eval "[ \$(grep -c 'it is there' '$BRIDGE_LOG') = 2 ]"
check "a keyboard of stock usbipd" imports ryll-1-1 "$NEXT"
keyboard_works
check "a loopback of stock usbipd" imports ryll-1-2 "$NEXT"
loopback_works
check "detached" b 'detaches && detaches && wait_no_device 1209:0014'
bridge_stop
check "the bridge between ends with status 0" [ $? = 0 ]
a 'killall usbipd; for device in 1209:0011 1209:0014; do
	usbip unbind -b $(basename $(device_of $device))
done' >/dev/null 2>&1
a 'for gadget in storage keyboard acm loopback; do gadget_remove $gadget; done' >/dev/null

# ---- everything about one ---------------------------------------------------------------

id=1209:0001
# A machine that has something else to do now and then loses packets, too.
in_time() {
	b "$1" || b "$1" || b "$1"
}
all_of_it() {
	need "it arrives" b "guest-usb wait $id"
	check "vendor requests of all sizes" b "guest-usb control $id echo"
	check "interrupt reports are in order" b "guest-usb interrupt-in $id 81 500"
	b "guest-usb request $id 40 5 0 0 0"
	check "interrupt OUT" b "guest-usb interrupt-out $id 01 200"
	check "reports arrive in order" value 1 0
	check "all of them" value 0 200
	check "isochronous IN, without a gap" in_time "guest-usb iso-in $id 85 1/1 5"
	b "guest-usb request $id 40 5 0 0 0"
	check "isochronous OUT" in_time "guest-usb iso-out $id 06 1/1 5"
	check "the device got the packets" least 2 4000
	check "in order" value 8 0
	check "bulk IN" b "guest-usb bulk-in $id 82 128k 4m 4 mod63"
	check "bulk of any length" b "guest-usb loop $id 04 84 16k 40"
	check "one that never answers is cancelled" b "guest-usb cancel $id 83"
	check "a halt is cleared" b "guest-usb request $id 40 3 0 0 0
		guest-usb clear-halt $id 81 && guest-usb interrupt-in $id 81 20"
	check "it is reset" b "guest-usb reset $id && guest-usb control $id echo"
}
# by_way NAME REMOTE: all of it, of what another bridge has from there
by_way() {
	bridge_start --usb-remote "$2" --usbip-listen "$NEXT"
	need "$1: another bridge has it" eventually 20 logged "it is there"
	check "$1: attached" imports ryll-1-1 "$NEXT"
	all_of_it
}
# by_way_ends NAME
by_way_ends() {
	check "$1: detached" b "detaches && wait_no_device $id"
	bridge_stop
	check "$1: the bridge in the middle ends with status 0" [ $? = 0 ]
}

need "a device" a "vhci_attach streams && wait_device $id"
need "is served by usbip" usbip_serve --usb-device "$id"
check "attached" imports ryll-1-1
all_of_it
check "detached" b "detaches && wait_no_device $id"
serve_stop

need "stock usbredirect has it" a "
	usbredirect --device $id --as 0.0.0.0:4001 >/tmp/redirect.log 2>&1 & redirect=\$!
	try 'a port' listens 4001"
by_way "stock usbredirect" "tcp:127.0.0.1:$(port_of 1)"
by_way_ends "stock usbredirect"
a 'kill $redirect; wait $redirect' >/dev/null 2>&1

need "a bridge serves it by usbredir" serve "$id" 1
by_way "a bridge" "tcp:127.0.0.1:$(port_of 1)"
a 'kill $vhci' >/dev/null
check "unplugged at the far end: it goes" b "wait_no_device $id"
bridge_stop
check "the bridge in the middle ends with status 0" [ $? = 0 ]
for guest in a b; do
	check "the kernel of $guest is well" $guest "! dmesg | grep -B 25 -A 25 -E 'BUG:|Oops|Call Trace'"
done
finish
