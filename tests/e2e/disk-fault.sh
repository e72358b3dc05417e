#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --fault: transfers of a disk fail, fall short and are late, and the disk goes
# in the midst. A Linux guest asks again, resets it, and has the right data in the
# end; the same seed does the same again.
. "$(dirname "$0")/../lib/e2e.sh"

guest_initrd "$tmp/initrd" "$(guest_io)" <<'SCRIPT'
. /lib.sh
wait_disk || exit 1
guest-io pattern-write /dev/sda 1048576 1048576 7 || exit 1
if grep -q unplug /proc/cmdline; then
	dd if=/dev/sda of=/dev/null bs=64k iflag=direct 2>/dev/null &&
		say "it did not go"
	wait_disk || exit 1
else
	# Many commands, for many faults
	dd if=/dev/sda of=/dev/null bs=4k count=300 iflag=direct 2>/dev/null ||
		say "a read failed"
fi
disk=$(echo /dev/sd?)
guest-io pattern-write $disk 4194304 2097152 8 &&
echo 3 >/proc/sys/vm/drop_caches &&
guest-io pattern-check $disk 1048576 1048576 7 &&
guest-io pattern-check $disk 4194304 2097152 8
status=$?
say "resets $(dmesg | grep -c 'reset SuperSpeed')"
dmesg | grep -E 'I/O error|BUG:|Oops|Call Trace'
exit $status
SCRIPT

read -ra devices <<<"$(redir "$tmp/s" | tr "\n" " ")"

# with SPEC [KERNEL-PARAMETER]: leaves the number of resets in $resets
with() {
	rm -f "$tmp/disk"
	truncate -s 32M "$tmp/disk"
	serve "$tmp/s" --usb-disk "$tmp/disk,fixed" --fault "$1"
	GUEST_APPEND=${2-} guest_run "$tmp/initrd" "$tmp/guest.log" \
		"${devices[@]}"
	check "$1: the guest reads what it wrote" [ $? = 0 ]
	resets=$(sed -n 's/^GUEST: resets \([0-9]*\).*/\1/p' "$tmp/guest.log")
	bridge_stop
	check "$1: the bridge ends with status 0" [ $? = 0 ]
	check "$1: and the image has it" image_is_right
	echo "# $resets resets, $(faults)"
}

faults() {
	sed -n 's/.* so far //p' "$BRIDGE_LOG" | tail -n 1
}

# some WHAT
some() {
	faults | grep -qE "(^|, )[1-9][0-9]* (were )?$1"
}

# Without any faults
image_is_right() {
	"$(guest_io)" pattern-check "$tmp/disk" 1048576 1048576 7 >/dev/null &&
		"$(guest_io)" pattern-check "$tmp/disk" 4194304 2097152 8 >/dev/null
}

no_error() {
	! grep -E 'I/O error|a read failed|BUG:|Oops' "$tmp/guest.log"
}

with seed=1,delay=200:20
check "some are late" some late
check "that is no error" [ "$resets" = 0 ]
check "nor seen by programs" no_error
# Linux asks again by itself (xhci) before it resets.
with seed=3,error=100
check "some fail" some failed
check "and programs do not see it" no_error
first=$(faults)
with seed=3,error=100
check "the same seed, the same errors" [ "$(faults)" = "$first" ]
with seed=5,short=8
check "some are short" some short
check "that is answered by a reset" [ "$resets" -gt 0 ]
check "and not seen by programs" no_error
with unplug=700 unplug
check "it went" bash -c "! grep -q 'it did not go' '$tmp/guest.log'"
check "and came back" [ "$(grep -c attached "$BRIDGE_LOG")" = 2 ]
finish
