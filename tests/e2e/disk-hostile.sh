#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hostile peers: random bytes, impossible lengths, half packets, floods, peers
# that never read. The bridge stays up, its memory bounded, and a good session
# beside them is not disturbed.
. "$(dirname "$0")/../lib/e2e.sh"

truncate -s 64M "$tmp/good"
truncate -s 64M "$tmp/bad"
serve "$tmp/s" --usb-disk "$tmp/good" --usb-disk "$tmp/bad"
bridge=$BRIDGE_PID

attached() {
	[ "$(grep -c "attached $1" "$BRIDGE_LOG")" -ge "${2:-1}" ]
}

# The good one comes first, takes the first disk, and works all the time.
"$O/tests/bench/redirload" "$tmp/s" -1 randwrite 65536 "${GOOD_COUNT:-40000}" \
	>"$tmp/good.out" 2>&1 &
good=$!
e2e_pids="$e2e_pids $good"
need "a good session is up" eventually 10 attached "$tmp/good"
"$O/tests/e2e/hostile" "$tmp/s" "${SEED:-$RANDOM}" "${HOSTILE_SECONDS:-12}" \
	>"$tmp/hostile.out" 2>&1
check "hostile peers always get a connection ($(cat "$tmp/hostile.out"))" [ $? = 0 ]
check "the bridge is alive" kill -0 "$bridge"
high=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$bridge/status")
# 32 MiB in flight, 16 + 8 MiB unsent, 16 MiB arriving, 8 MiB kept for reuse,
# and 3 MiB of the good one; a sanitizer's own memory comes on top.
limit=$((96 * 1024))
case $O in *-san*) limit=$((1024 * 1024)) ;; esac
check "its memory is bounded ($high KiB)" [ "$high" -lt $limit ]
wait "$good"
check "the good session is not disturbed ($(cat "$tmp/good.out"))" [ $? = 0 ]
disk_free() {
	"$O/tests/bench/redirload" "$tmp/s" -1 read 4096 10 >/dev/null 2>&1
}
check "a good session gets a disk afterwards" eventually 10 disk_free
lines=$(wc -l <"$BRIDGE_LOG")
check "the log is not flooded ($lines lines)" [ "$lines" -lt 6000 ]
check "nothing was found by a sanitizer" \
	bash -c "! grep -E 'ERROR: AddressSanitizer|runtime error' '$BRIDGE_LOG'"
bridge_stop
check "it ends with status 0" [ $? = 0 ]
finish
