#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An FTDI serial port, which QEMU emulates in one guest and, as usb-redir in the
# other, knows as a device that is to be read ahead of the guest: bulk receiving
# (start_bulk_receiving, buffered_bulk_packet).
#
# usbredirect 0.13 passes all.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

A_MODULES="$A_MODULES ftdi_sio"
B_MODULES="$B_MODULES ftdi_sio"
id=0403:6001
raw="raw -echo -echoe -echok"
need "two guests boot" real_start -device qemu-xhci,id=x \
	-chardev "socket,id=line,path=$tmp/line,server=on,wait=off" \
	-device usb-serial,bus=x.0,chardev=line,always-plugged=on
need "a serial port" a "wait_drivers $id 1.0=ftdi_sio"
# What comes out of it goes in again.
socat "UNIX-CONNECT:$tmp/line" EXEC:cat &
e2e_pids="$e2e_pids $!"
need "the usb-host starts" serve $id 0 --verbose
plug
need "it arrives" b "wait_file /dev/ttyUSB0"
b "stty $raw 115200 </dev/ttyUSB0; exec 7<>/dev/ttyUSB0"
for i in 1 2 3; do
	b "echo hello$i >&7"
	check "a line comes back, $i" [ "$(b "timeout 10 head -n 1 <&7")" = \
		"hello$i" ]
done
check "20 KB come back as they went" b '
	head -c 20000 /dev/urandom >/tmp/sent
	head -c 20000 <&7 >/tmp/got & reader=$!
	timeout 30 cat /tmp/sent >&7
	try "all of it" [ ! -d /proc/$reader/fd ]; cmp /tmp/sent /tmp/got'
is_usbredirect || check "by bulk receiving" a "
	grep -q 'receiving on endpoint 0x81' /tmp/host0.log"
unplug
serve_stop >/dev/null
check "A has it back" a "wait_drivers $id 1.0=ftdi_sio"
finish
