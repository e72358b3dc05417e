#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hostile usbip clients, and a server that says anything: the bridge stays up, its
# memory bounded, and who behaves is not disturbed.
. "$(dirname "$0")/../lib/e2e.sh"

new_ports PORT ANY
truncate -s 64M "$tmp/good" "$tmp/bad"
bridge_start --usb-disk "$tmp/good" --usb-disk "$tmp/bad" --usbip-listen "$PORT"
bridge=$BRIDGE_PID bridge_log=$BRIDGE_LOG

# The good one is another bridge with the first disk, and works all the time.
bridge_start --usb-remote "usbip://127.0.0.1:$PORT/ryll-1-1" --listen "unix:$tmp/s"
middle=$BRIDGE_PID
need "a good client has its disk" eventually 10 logged "it is there"
"$O/tests/bench/redirload" "$tmp/s" -1 randwrite 65536 "${GOOD_COUNT:-8000}" \
	>"$tmp/good.out" 2>&1 &
good=$!
e2e_pids="$e2e_pids $good"
"$O/tests/e2e/usbip-hostile" "$PORT" ryll-1-2 "${SEED:-$RANDOM}" \
	"${HOSTILE_SECONDS:-12}" >"$tmp/hostile.out" 2>&1
check "hostile clients always get a connection ($(cat "$tmp/hostile.out"))" [ $? = 0 ]
check "the bridge is alive" kill -0 "$bridge"
high=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$bridge/status")
# As in disk-hostile.
limit=$((96 * 1024))
case $O in *-san*) limit=$((1024 * 1024)) ;; esac
check "its memory is bounded ($high KiB)" [ "$high" -lt $limit ]
wait "$good"
check "the good client is not disturbed ($(cat "$tmp/good.out"))" [ $? = 0 ]
lines=$(wc -l <"$bridge_log")
check "the log is not flooded ($lines lines)" [ "$lines" -lt 6000 ]
kill "$middle"
wait "$middle"
check "the bridge between ends with status 0" [ $? = 0 ]

# free_again BUSID: another client gets it
free_again() {
	bridge_start --usb-remote "usbip://127.0.0.1:$PORT/$1" --listen "unix:$tmp/s"
	eventually 15 logged "it is there" &&
		"$O/tests/bench/redirload" "$tmp/s" -1 read 4096 10
	local status=$?
	bridge_stop && return $status
}
check "the other disk is free again" free_again ryll-1-2
check "and the first" free_again ryll-1-1

# ---- a server that says anything ------------------------------------------------------

socat "TCP-LISTEN:$ANY,bind=127.0.0.1,reuseaddr,fork" \
	"SYSTEM:head -c 100000 /dev/urandom" 2>/dev/null &
socat=$!
e2e_pids="$e2e_pids $socat"
bridge_start --usb-remote "usbip://127.0.0.1:$ANY/1-1" \
	--usb-remote "tcp:127.0.0.1:$ANY" \
	--usb-remote "usbip://127.0.0.1:$PORT/ryll-1-1" --listen "unix:$tmp/s"
check "it is no usbip, and that is said" eventually 10 logged "does not speak usbip"
check "nor usbredir" eventually 10 logged "$ANY: .*usbredir"
check "another device is there" eventually 10 logged "ryll-1-1 .*it is there"
check "and works" "$O/tests/bench/redirload" "$tmp/s" -1 read 4096 1000
check "a line for each" [ "$(grep -c warning "$BRIDGE_LOG")" -le 4 ]
bridge_stop
check "it ends with status 0" [ $? = 0 ]
check "nothing was found by a sanitizer" \
	bash -c "! grep -hE 'ERROR: AddressSanitizer|runtime error' '$tmp'/bridge*.log"
kill "$bridge"
wait "$bridge"
check "the server ends with status 0" [ $? = 0 ]
finish
