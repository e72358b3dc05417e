#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest's QEMU has a filter that denies disks: it is obeyed, said once, and
# holds up nobody: the next guest gets the disk. (That there are rules of our own
# must not be told to QEMU 7.2: it crashes.)
. "$(dirname "$0")/../lib/e2e.sh"

# machine NAME FILTER-OPTION: the machine itself does nothing.
machine() {
	qemu-system-x86_64 -M q35 -m 64 -display none -nodefaults -net none \
		-device qemu-xhci -chardev "socket,id=r,path=$tmp/s,reconnect=1" \
		-device "usb-redir,chardev=r,id=u,debug=3$2" \
		</dev/null 2>"$tmp/$1.qemu" &
	machine_pid=$!
	e2e_pids="$e2e_pids $machine_pid"
}

denied() {
	grep -cE "filter rejects|is not for this guest" "$BRIDGE_LOG"
}

need "the bridge listens" serve "$tmp/s" --usb-disk mem:1M \
	--usb-filter '0x03,-1,-1,-1,0|-1,-1,-1,-1,1'
machine picky ",filter=0x08:-1:-1:-1:0|-1:-1:-1:-1:1"
picky=$machine_pid
check "the filter is obeyed" eventually 10 \
	logged "filter rejects|is not for this guest"
machine open ""
in_use() {
	grep -q "attached device" "$tmp/open.qemu" ||
		[ "$(grep -c "attached mem" "$BRIDGE_LOG")" -ge 2 ]
}
check "another guest gets the disk" eventually 10 in_use
check "the first was told once" [ "$(denied)" = 1 ]
check "and is there still" kill -0 "$picky"
bridge_stop
check "SIGTERM ends it with status 0" [ $? = 0 ]
finish
