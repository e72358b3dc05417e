#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SeaBIOS, with no operating system, enumerates the disk, reads its LBA 0 and
# boots it: a boot sector that says so on the serial port. By each way of
# connecting, and on a high-speed controller. And an El Torito CD-ROM.
. "$(dirname "$0")/../lib/e2e.sh"

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

# boots NAME QEMU-OPTION...: the machine boots from the disk.
boots() {
	local name=$1 pid status
	shift
	# Its output is a file: its stdin must not be the terminal.
	qemu-system-x86_64 -M q35 -m 64 -display none -nodefaults -net none \
		-serial "file:$tmp/$name.log" "$@" </dev/null 2>>"$tmp/qemu.log" &
	pid=$!
	e2e_pids="$e2e_pids $pid"
	[ "$name" != connect ] || reset_when_attached
	eventually 20 booted "$name"
	status=$?
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return $status
}

truncate -s 1M "$tmp/disk"
xhci="-device qemu-xhci -device usb-redir,chardev=r,bootindex=0"

boot_sector listen "$tmp/disk"
serve "$tmp/s" --usb-disk "$tmp/disk" --verbose
check "boots over a unix socket" \
	boots listen -chardev "socket,id=r,path=$tmp/s,reconnect=1" $xhci
check "the listener goes on: boots again" \
	boots listen -chardev "socket,id=r,path=$tmp/s,reconnect=1" $xhci
bridge_stop
check "SIGTERM ends it with status 0" [ $? = 0 ]
check "the socket is removed" [ ! -e "$tmp/s" ]

boot_sector connect "$tmp/disk"
bridge_start --usb-disk "$tmp/disk" --connect "unix:$tmp/q"
check "connects to QEMU's socket, which comes later" \
	boots connect -chardev "socket,id=r,path=$tmp/q,server=on,wait=off" $xhci \
	-monitor "unix:$tmp/monitor,server=on,wait=off"
bridge_stop

boot_sector tcp "$tmp/disk"
port=$((20000 + $$ % 20000))
bridge_start --usb-disk-ro "$tmp/disk" \
	--listen "tcp:127.0.0.1:$port"
check "boots over TCP, read-only" boots tcp \
	-chardev "socket,id=r,host=127.0.0.1,port=$port,reconnect=1" $xhci
bridge_stop

boot_sector stdio "$tmp/disk"
socat "UNIX-LISTEN:$tmp/io" \
	"EXEC:$BRIDGE --stdio --usb-disk $tmp/disk" 2>>"$tmp/stdio-bridge.log" &
e2e_pids="$e2e_pids $!"
eventually 10 is_socket "$tmp/io"
check "boots over --stdio" boots stdio -chardev "socket,id=r,path=$tmp/io" $xhci

boot_sector ehci "$tmp/disk"
serve "$tmp/s2" --usb-disk "$tmp/disk"
check "boots on a USB 2 controller" boots ehci \
	-chardev "socket,id=r,path=$tmp/s2,reconnect=1" \
	-device usb-ehci -device usb-redir,chardev=r,bootindex=0
bridge_stop

mkdir "$tmp/iso"
truncate -s 512 "$tmp/iso/boot"
boot_sector cdrom "$tmp/iso/boot"
genisoimage -quiet -b boot -no-emul-boot -boot-load-size 4 -o "$tmp/boot.iso" \
	"$tmp/iso"
serve "$tmp/s3" --usb-cdrom "$tmp/boot.iso"
check "boots a CD-ROM, without emulation of a disk" \
	boots cdrom -chardev "socket,id=r,path=$tmp/s3,reconnect=1" $xhci
bridge_stop
finish
