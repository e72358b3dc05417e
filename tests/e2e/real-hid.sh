#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two keyboards, a gadget and one that QEMU emulates: keys arrive in order, as
# often as they were pressed.
#
# usbredirect 0.13 passes all.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

# Presses alone, from what evdev gives: 16 bytes of time, type, code, value.
# pressed N FILE: N codes of keys
pressed='pressed() {
	[ "$(keys "$2" | wc -l)" -ge "$1" ]
}
keys() {
	xxd -c 24 -p "$1" | cut -c 33-48 | grep "^0100....01000000" |
		sed "s/^0100\(..\).*/\1/"
}
# input_of VID:PID: its event device
input_of() {
	[ -n "$(device_of "$1")" ] && for d in "$(device_of "$1")"/*/*/input/input*/event* \
		"$(device_of "$1")"/*/input/input*/event*; do
		[ ! -d "$d" ] || echo "/dev/input/${d##*/}"
	done
}
has_input() {
	[ -n "$(input_of "$1")" ]
}'

need "two guests boot" real_start -device qemu-xhci -device usb-kbd
need "keyboards" a "gadget_hid && wait_drivers 1209:0011 1.0=usbhid &&
	wait_drivers 0627:0001 1.0=usbhid"
need "the usb-host starts" serve 1209:0011 0
need "and for the other" serve 0627:0001 1
plug 0
plug 1
need "both arrive" b "$pressed
	try 'the gadget' has_input 1209:0011 && try 'the other' has_input 0627:0001
	cat \$(input_of 1209:0011) >/tmp/gadget & cat \$(input_of 0627:0001) >/tmp/qemu &
	opened() {
		[ \"\$(ls -l /proc/*/fd | grep -c /dev/input/event)\" -ge 2 ]
	}
	try 'readers' opened"
# a to z, of HID 4 to 29
need "keys are pressed" a "
	for round in 1 2 3 4; do for key in \$(seq 4 29); do
		hid_key \$key || exit 1; usleep 10000; done; done"
check "all keys of the gadget arrive" b "try 'keys' pressed 104 /tmp/gadget"
# Linux's numbers of a to z
check "in order" b '
	row="1e 30 2e 20 12 21 22 23 17 24 25 26 32 31 18 19 10 13 1f 14 16 2f 11 2d 15 2c"
	[ "$(echo $(keys /tmp/gadget))" = "$row $row $row $row" ]'
(
	as_a
	for key in r y l l 1 2 3; do
		hmp "sendkey $key 30"
		sleep 0.1
	done
)
check "keys of an emulated one" b 'try "keys" pressed 7 /tmp/qemu &&
	[ "$(keys /tmp/qemu | tr "\n" " ")" = "13 15 26 26 02 03 04 " ]'
# B turns a light on: an output report, by interrupt OUT or by control.
check "lights of the keyboard reach A" b '
	led=$(ls -d "$(device_of 1209:0011)"/*/*/input/input*/*::capslock | head -n 1)
	echo 1 >"$led/brightness"'
check "as a report" a '
	timeout 2 cat /dev/hidg0 | xxd -p | grep 02'
finish
