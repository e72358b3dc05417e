# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# seabios.sh: machines without an operating system that boot from a disk, for
# end-to-end tests to source after e2e.sh.

# 16 bits: initialise nothing, write the text to COM1, halt.
#   xor ax,ax; mov ds,ax; mov si,7c20h; mov dx,3f8h
#   next: lodsb; test al,al; jz stop; out dx,al; jmp next; stop: hlt; jmp stop
boot_sector() {
	{
		printf '\x31\xc0\x8e\xd8\xbe\x20\x7c\xba\xf8\x03'
		printf '\xac\x84\xc0\x74\x03\xee\xeb\xf8\xf4\xeb\xfd'
		head -c 11 /dev/zero
		printf 'BOOTED %s\r\n' "$1"
	} | dd of="$2" conv=notrunc status=none
	printf '\x55\xaa' | dd of="$2" bs=1 seek=510 conv=notrunc status=none
}

booted() {
	grep -asq "BOOTED $1" "$tmp/$1.log"
}

# The BIOS looks for disks once. One that comes later is found by a reset.
reset_when_attached() {
	eventually 10 logged attached &&
		echo system_reset | socat - "UNIX-CONNECT:$tmp/monitor" >/dev/null
}

# boots NAME QEMU-OPTION...: the machine boots from the disk; when NAME begins
# with "connect", from one that comes after the BIOS has looked.
boots() {
	local name=$1 pid status
	shift
	# Its output is a file: its stdin must not be the terminal.
	qemu-system-x86_64 -M q35 -m 64 -display none -nodefaults -net none \
		-serial "file:$tmp/$name.log" "$@" </dev/null 2>>"$tmp/qemu.log" &
	pid=$!
	e2e_pids="$e2e_pids $pid"
	case $name in connect*) reset_when_attached ;; esac
	eventually 20 booted "$name"
	status=$?
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return $status
}
