#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 of the bridge at random moments while the guest writes: all that the
# guest's fsync had returned for is in the image, and a restarted bridge serves
# the guest again without help. The same with the writes in an overlay, and the
# base untouched: CRASH_OVERLAY=1 (image-crash.sh).
. "$(dirname "$0")/../lib/e2e.sh"

rounds=${CRASH_ROUNDS:-20}
truncate -s 64M "$tmp/disk"
options=
if [ -n "${CRASH_OVERLAY-}" ]; then
	options=,overlay=$tmp/overlay
	cp "$tmp/disk" "$tmp/before"
	mkdir "$tmp/mnt"
fi
guest_initrd "$tmp/initrd" "$(guest_io)" <<'SCRIPT'
. /lib.sh
# One journal a life of the bridge; the generation tells them apart.
g=1
while :; do
	wait_disk 1 || exit 1
	dev=
	for d in /sys/block/sd*; do dev=/dev/${d##*/}; done
	say "life $g"
	guest-io journal $dev 0 $g
	say "end $g"
	wait_no_disk || exit 1
	g=$((g + 1))
done
SCRIPT

# The highest record of generation $1 that the guest knows to be stable.
synced() {
	sed -n "/^GUEST: life $1\r*\$/,/^GUEST: end $1/p" "$tmp/guest.log" |
		sed -n 's/^SYNCED \([0-9]*\).*/\1/p' | tail -n 1
}
has_synced() {
	[ -n "$(synced "$1")" ]
}

# holds LAST GENERATION: all of the journal up to there is on the disk.
holds() {
	local file=$tmp/disk status
	if [ -n "$options" ]; then
		fuse_start "$tmp/disk$options" "$tmp/mnt" || return 1
		file=$tmp/mnt/disk.img
	fi
	"$(guest_io)" journal-check "$file" 0 "$1" "$2"
	status=$?
	[ -z "$options" ] || bridge_stop
	return $status
}

serve "$tmp/s" --usb-disk "$tmp/disk$options"
# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" $(redir "$tmp/s")
lost=0 unserved=0 records=0
for ((g = 1; g <= rounds; g++)); do
	if ! eventually 40 has_synced $g; then
		unserved=$((unserved + 1))
		break
	fi
	# Any moment within the writing, not at its beginning only.
	sleep "0.$((RANDOM % 900 + 100))"
	bridge_stop KILL
	# What the guest heard is final when it has given up on the disk.
	guest_wait_line "^GUEST: end $g" 40 || break
	last=$(synced $g)
	records=$((records + last))
	holds "$last" "$g" >>"$tmp/journal.log" 2>&1 || lost=$((lost + 1))
	serve "$tmp/s" --usb-disk "$tmp/disk$options"
done
check "the guest is served again after each of $rounds kills" \
	[ "$unserved" = 0 -a "$g" -gt "$rounds" ]
check "nothing that fsync returned for is lost ($records records)" \
	[ "$lost" = 0 -a "$records" -gt 0 ]
guest_stop
bridge_stop
[ -z "$options" ] ||
	check "the base is untouched" cmp "$tmp/disk" "$tmp/before"
finish
