#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bulk transfers of a real device: patterns both ways, sizes from nothing to a
# megabyte, what never ends and is taken back.
#
# usbredirect 0.13 passes all.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

need "two guests boot" real_start
need "gadgets" a "gadget_source_sink 1 && gadget_loopback &&
	wait_device 1209:0013 && wait_device 1209:0014"
check "(the gadgets do it locally)" a "
	guest-usb bulk-in 1209:0013 81 16k 1m 4 mod63 &&
	guest-usb bulk-out 1209:0013 02 16k 1m 4 mod63 &&
	guest-usb loop 1209:0014 02 81 16k 40 && guest-usb cancel 1209:0014 81"
need "the usb-host starts" serve 1209:0013 0
need "and for another device" serve 1209:0014 1
plug 0
plug 1
need "both arrive" b "guest-usb wait 1209:0013 && guest-usb wait 1209:0014"
for size in "1k 128k" "16k 1m" "128k 4m" "1m 8m" "3m 12m"; do
	check "IN of ${size% *} is right" b "
		guest-usb bulk-in 1209:0013 81 $size 4 mod63"
	check "OUT of ${size% *} is right" b "
		guest-usb bulk-out 1209:0013 02 $size 4 mod63"
done
check "OUT that ends with a short packet" b "
	guest-usb bulk-out 1209:0013 02 5001 256k 4 mod63"
check "one and no byte, whole packets and any length come back" b "
	guest-usb loop 1209:0014 02 81 16k 60"
check "an IN without end holds nothing up and is cancelled" b "
	guest-usb cancel 1209:0014 81"
check "and then goes on" b "guest-usb loop 1209:0014 02 81 3000 10"
check "control requests" b "guest-usb control 1209:0013 descriptor"
check "CLEAR_FEATURE(HALT)" b "guest-usb clear-halt 1209:0013 81 &&
	guest-usb bulk-in 1209:0013 81 16k 256k 4 mod63"
check "SET_CONFIGURATION" b "guest-usb set-config 1209:0013 1 &&
	guest-usb bulk-in 1209:0013 81 16k 256k 4 mod63"
check "SET_INTERFACE" b "guest-usb set-alt 1209:0013 0 0 &&
	guest-usb bulk-in 1209:0013 81 16k 256k 4 mod63"
check "a reset" b "guest-usb reset 1209:0013 &&
	guest-usb bulk-in 1209:0013 81 16k 256k 4 mod63"
finish
