#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# LZ4 on SPICE channels: the same data with it and without, both ways, of text,
# zeroes and noise; and how many bytes went over the link.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/spice.sh"

new_ports PORT FAST SLOW
io=$(guest_io)
# 4 MiB each: text, zeroes, noise; and room to write the same again.
{
	for ((i = 0; i < 100; i++)); do
		cat "$TESTS"/*/*.sh "$TESTS"/../userspace/*/*.c
	done 2>/dev/null | head -c 4194304
	head -c 4194304 /dev/zero
} >"$tmp/original"
"$io" pattern-write "$tmp/original" 8m 4m 1 >/dev/null
truncate -s 32M "$tmp/original"
need "a guest boots" spice_start 1 "$(plain $PORT)"

# bytes VARIABLE COMMAND...: in the guest; sets VARIABLE_up and VARIABLE_down,
# what went to the server and came from it, in KiB.
bytes() {
	local name=$1 up down up2 down2 _ status
	shift
	read -r up down _ < <(relayed)
	guest_do "$*"
	status=$?
	read -r up2 down2 _ < <(relayed)
	printf -v "${name}_up" %s $(((up2 - up) / 1024))
	printf -v "${name}_down" %s $(((down2 - down) / 1024))
	return $status
}

# Reads of a part, direct, so that each comes over the link.
part() {
	echo "dd if=/dev/sda of=/tmp/part bs=1M skip=$1 count=4 iflag=direct 2>/dev/null"
}

for mode in always never auto; do
	# On a fast link it does not pay, so auto does not.
	LINK=$FAST rate=
	[ $mode != auto ] || LINK=$SLOW rate=12.5
	[ $mode = never ] || need "a link${rate:+ of $rate MB/s}" \
		relay $LINK $PORT $rate
	cp "$tmp/original" "$tmp/disk"
	bridge_start --usb-disk "$tmp/disk" --direct "127.0.0.1:$LINK" --lz4 $mode
	check "$mode: the guest has the disk" guest_do wait_disk
	for what in text:0 zeroes:4 noise:8; do
		at=${what#*:} what=${what%:*}
		check "$mode: read $what" bytes "${mode}_${what}" "$(part $at)"
		check "$mode: the same $what" [ "$(guest_do \
			"sha256sum </tmp/part")" = "$(tail -c +$((at * 1048576 + 1)) \
			"$tmp/original" | head -c 4194304 | sha256sum)" ]
		check "$mode: write $what" bytes "${mode}_w$what" \
			"dd if=/tmp/part of=/dev/sda bs=1M seek=$((at + 16)) oflag=direct \
			conv=fsync 2>/dev/null"
		check "$mode: the same $what again" cmp -n 4194304 \
			-i $(((at + 16) * 1048576)):$((at * 1048576)) "$tmp/disk" \
			"$tmp/original"
	done
	bridge_stop
	check "$mode: it ends in order" [ $? = 0 ]
	guest_do wait_no_disk
done

# Of 4096 KiB
check "never: all of it goes to the server ($never_text_up KiB)" \
	[ "$never_text_up" -ge 4096 ]
check "and comes from it ($never_wzeroes_down KiB)" \
	[ "$never_wzeroes_down" -ge 4096 ]
check "always: less text ($always_text_up KiB)" [ "$always_text_up" -lt 2458 ]
check "few zeroes ($always_zeroes_up KiB)" [ "$always_zeroes_up" -lt 200 ]
check "and from the server ($always_wtext_down and $always_wzeroes_down KiB)" \
	[ "$always_wtext_down" -lt 3072 -a "$always_wzeroes_down" -lt 400 ]
check "noise is not made longer ($always_noise_up KiB)" \
	[ "$always_noise_up" -lt 4200 ]
# It has to see first that the link is slow, and then that data differs.
check "auto: less text, few zeroes ($auto_text_up and $auto_zeroes_up KiB)" \
	[ "$auto_text_up" -lt 3500 -a "$auto_zeroes_up" -lt 2000 ]
finish
