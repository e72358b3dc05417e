#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Disks that come to a guest by SPICE: two on two channels, read, written and
# flushed; more than there are channels; a unix socket; SeaBIOS boots from one.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/spice.sh"
. "$TESTS/lib/seabios.sh"

new_ports PORT BIOS_PORT
io=$(guest_io)
"$io" pattern-write "$tmp/one" 0 16m 1 >/dev/null
"$io" pattern-write "$tmp/two" 0 24m 2 >/dev/null
sum() {
	head -c 4194304 "$1" | sha256sum | cut -c 1-64
}
one_sum=$(sum "$tmp/one")

need "a guest with two channels boots" spice_start 2 "$(plain $PORT)"
bridge_start --usb-disk "$tmp/one" --usb-disk "$tmp/two" \
	--direct "127.0.0.1:$PORT"
need "it has two disks" guest_do "wait_disk 2"
check "the n-th disk is in the n-th channel's device" guest_do \
	"[ \$(blockdev --getsize64 \$(disk_at 1)) = 16777216 ] &&
	[ \$(blockdev --getsize64 \$(disk_at 2)) = 25165824 ]"
check "a checksum of the first" [ "$(guest_do "dd if=\$(disk_at 1) bs=1M count=4 \
	2>/dev/null | sha256sum | cut -c 1-64")" = "$one_sum" ]
check "every byte of both at once" guest_do "
	guest-io pattern-check \$(disk_at 1) 0 16m 1 >/tmp/1 & one=\$!
	guest-io pattern-check \$(disk_at 2) 0 24m 2 && wait \$one && cat /tmp/1"
check "writes, at odd places, with a flush" guest_do "
	guest-io pattern-write \$(disk_at 1) 4096 5m 3 &&
	guest-io pattern-write \$(disk_at 2) 1536 7m 4"
# It has been flushed: it is in the images while all goes on.
check "they are in the first image" "$io" pattern-check "$tmp/one" 4096 5m 3
check "they are in the second" "$io" pattern-check "$tmp/two" 1536 7m 4
check "what was not written is as before" "$io" pattern-check "$tmp/two" 8m 16m 2
check "the guest reads them back" guest_do "
	guest-io pattern-check \$(disk_at 1) 4096 5m 3 &&
	guest-io pattern-check \$(disk_at 2) 1536 7m 4"
bridge_stop
check "SIGTERM ends it with status 0" [ $? = 0 ]
check "the guest sees both go" guest_do wait_no_disk

truncate -s 1M "$tmp/three"
bridge_start --usb-disk "$tmp/one" --usb-disk "$tmp/two" \
	--usb-disk "$tmp/three" --direct "127.0.0.1:$PORT"
check "of three, two are served" guest_do "wait_disk 2"
check "and for the third there is one line" eventually 5 \
	[ "$(grep -c 'three' "$BRIDGE_LOG")" = 1 ]
check "they work" guest_do "guest-io pattern-check \$(disk_at 2) 8m 4m 2"
bridge_stop
check "SIGTERM ends that with status 0, too" [ $? = 0 ]
guest_stop

truncate -s 1M "$tmp/disk"
boot_sector connect-unix "$tmp/disk"
bridge_start --usb-disk "$tmp/disk" --direct "unix:$tmp/spice.sock"
# shellcheck disable=SC2046
check "SeaBIOS boots from one, over a unix socket that comes later" \
	boots connect-unix -spice \
	"unix=on,addr=$tmp/spice.sock,disable-ticketing=on" \
	$(spice_devices 1) -set device.u0.bootindex=0 \
	-monitor "unix:$tmp/monitor,server=on,wait=off"
bridge_stop
check "SIGTERM ends it when the server has gone" [ $? = 0 ]
rm -f "$tmp/monitor"

boot_sector connect-tcp "$tmp/disk"
bridge_start --usb-disk-ro "$tmp/disk" --direct "127.0.0.1:$BIOS_PORT"
# shellcheck disable=SC2046
check "and over TCP" boots connect-tcp -spice "$(plain $BIOS_PORT)" \
	$(spice_devices 1) -set device.u0.bootindex=0 \
	-monitor "unix:$tmp/monitor,server=on,wait=off"
bridge_stop
finish
