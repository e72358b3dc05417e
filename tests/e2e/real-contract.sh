#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The contract of backends (unit/backend-contract.c) with a real device, in a
# guest that has one; then by way of another bridge, by usbip and by usbredir; then
# with as little memory for transfers as the kernel can be given, and without
# resets.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

# contract NAME VARIABLE=VALUE: each of its results is one of ours.
contract() {
	local line seen=0 said
	said=$(a "$2 CMOCKA_MESSAGE_OUTPUT=TAP \
		backend-contract 2>&1 </dev/null")
	check "$1: it ends well" [ $? = 0 ]
	while read -r line; do
		case $line in
		"ok "* | "not ok "*) ;;
		*) continue ;;
		esac
		seen=$((seen + 1))
		check "$1: ${line#* - }" [ "${line%% *}" = ok ]
	done <<<"$said"
	check "$1: all of it" [ "$seen" -gt 0 -a \
		"1..$seen" = "$(grep -o '^1\.\.[0-9]*' <<<"$said")" ]
	[ "$e2e_failed" = 0 ] || grep '^#' <<<"$said"
	check "$1: the kernel is well" a "
		! dmesg | grep -E 'BUG:|Oops|Call Trace' && has_device 1209:0001"
}

device=1209:0001
# plugged: the device is there and answers
plugged() {
	need "a device" a "vhci_attach streams && wait_device $device &&
		guest-usb wait $device"
}
# served PROTOCOL OPTIONS: it is another bridge's
served() {
	need "it is served by $1" a "ryll-bridge --usb-device $device $2 \
		>/tmp/log 2>&1 & bridge=\$!
		try 'a port' listens 4000"
}

A_PROGRAMS="$O/tests/unit/backend-contract" need "a guest boots" real_start_alone
plugged
contract usbfs "RYLL_REAL_DEVICE=$device"
served usbip "--usbip-listen 4000"
contract usbip RYLL_REMOTE_DEVICE=usbip://127.0.0.1:4000/ryll-1-1
check "its host ends with status 0" a 'kill $bridge; wait $bridge'
served usbredir "--listen tcp:127.0.0.1:4000"
contract usbredir RYLL_REMOTE_DEVICE=tcp:127.0.0.1:4000
check "its host ends with status 0" a 'kill $bridge; wait $bridge'
a "vhci_detach; wait_no_device $device" >/dev/null
check "with little memory" a "
	echo 1 >/sys/module/usbcore/parameters/usbfs_memory_mb"
plugged
contract "little memory" "RYLL_REAL_DEVICE=$device,noreset"
finish
