#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest's QEMU has a filter that denies disks: it is obeyed, said once, and
# holds up nobody: the next guest gets the disk. Our own filter is told to QEMU.
. "$(dirname "$0")/../lib/e2e.sh"

# machine NAME FILTER-OPTION: the machine itself does nothing.
machine() {
	qemu-system-x86_64 -M q35 -m 64 -display none -nodefaults -net none 
		-device qemu-xhci -chardev "socket,id=r,path=$tmp/s,reconnect=1" 
		-device "usb-redir,chardev=r,id=u,debug=4$2" 
		</dev/null 2>"$tmp/$1.qemu" &
	machine_pid=$!
	e2e_pids="$e2e_pids $machine_pid"
}

need "the bridge listens" serve "$tmp/s" --usb-disk mem:1M
machine picky ",filter=0x08:-1:-1:-1:0|-1:-1:-1:-1:1"
check "the filter is obeyed" eventually 10 
	logged "(filter rejects|is not for this guest)"
sleep 1 # it must not be offered again
check "said once" [ "$(grep -cE "rejects|not for this" "$BRIDGE_LOG")" = 1 ]
machine open ""
in_use() {
	grep -q "attached device\|attaching.*device" "$tmp/open.qemu" ||
		[ "$(grep -c "attached" "$BRIDGE_LOG")" -ge 2 ]
}
check "another guest gets the disk" eventually 10 in_use
kill "$machine_pid"
bridge_stop
check "SIGTERM ends it with status 0" [ $? = 0 ]
finish
