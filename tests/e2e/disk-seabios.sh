#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SeaBIOS, with no operating system, enumerates the disk, reads its LBA 0 and
# boots it: a boot sector that says so on the serial port. By each way of
# connecting, and on a high-speed controller. And an El Torito CD-ROM.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/seabios.sh"

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
