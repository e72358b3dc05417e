#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 500 disks and 500 sessions in one process: each costs less than 64 KiB of
# memory while idle, a busy one works beside them, and all end in order.
. "$(dirname "$0")/../lib/e2e.sh"

n=${SESSIONS:-500}
ulimit -n 4096
options=
for ((i = 0; i <= n; i++)); do
	truncate -s 1M "$tmp/disk$i"
	options="$options --usb-disk $tmp/disk$i"
done

resident() {
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$BRIDGE_PID/status"
}
idle() {
	"$O/tests/bench/redirload" "$tmp/s" -1 idle 4096 "$1" \
		<"$tmp/hold" >"$tmp/idle.out" 2>&1 &
	e2e_pids="$e2e_pids $!"
	eventually 30 grep -q ready "$tmp/idle.out"
}

# shellcheck disable=SC2086
serve "$tmp/s" $options
mkfifo "$tmp/hold"
exec 9<>"$tmp/hold"
need "one session is up" idle 1
first=$(resident)
need "$((n - 1)) more are up" idle $((n - 1))
each=$((($(resident) - first) * 1024 / (n - 1)))
case $O in
*-san*) echo "ok - memory of a session # SKIP a sanitizer's own memory counts" ;;
*) check "an idle session costs less than 64 KiB ($each bytes)" \
	[ "$each" -lt 65536 ] ;;
esac
check "a busy one beside them works" \
	"$O/tests/bench/redirload" "$tmp/s" -1 randread 4096 500
bridge_stop
check "all end in order" [ $? = 0 ]
finish
