#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The contract of backends (unit/backend-contract.c) with a real device, in a
# guest that has one; then with as little memory for transfers as the kernel can
# be given, and without resets.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

# contract NAME [OPTIONS-OF-THE-DEVICE]: each of its results is one of ours.
contract() {
	local line seen=0 said
	need "$1: a device" a "vhci_attach streams && wait_device 1209:0001 &&
		guest-usb wait 1209:0001"
	said=$(a "RYLL_REAL_DEVICE=1209:0001${2-} CMOCKA_MESSAGE_OUTPUT=TAP \
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

A_PROGRAMS="$O/tests/unit/backend-contract" need "a guest boots" real_start_alone
contract usbfs
a "vhci_detach; wait_no_device 1209:0001" >/dev/null
check "with little memory" a "
	echo 1 >/sys/module/usbcore/parameters/usbfs_memory_mb"
contract "little memory" ,noreset
finish
