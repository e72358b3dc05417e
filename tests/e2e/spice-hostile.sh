#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SPICE servers that lie: truncated, oversized and reordered messages end that
# session with one line. One that lies from the start is given up; one that has
# worked is tried again. A good usbredir session beside it is not disturbed.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/spice.sh"

truncate -s 64M "$tmp/good"
truncate -s 1M "$tmp/disk"

# ---- From the start: one line, status 1 --------------------------------------------

# liar NAME PATTERN SCRIPT
liar() {
	new_ports PORT
	printf '%s\n' "$3" >"$tmp/script"
	fake_server "$PORT" "$tmp/script"
	check "$1" refused "$2" --usb-disk "$tmp/disk" --direct "127.0.0.1:$PORT"
	fake_server_stop 2>/dev/null
}

liar "not SPICE at all" "no SPICE server" '[any]
raw "HTTP/1.1_400_Bad_Request" 0d0a0d0a'
liar "another version" "another version" '[any]
raw "REDQ" u32:1 u32:3 u32:186 zero:186'
liar "an answer of 4 GiB" "no SPICE server" '[any]
raw "REDQ" u32:2 u32:2 u32:4294967295'
liar "an answer without a key" malformed '[any]
raw "REDQ" u32:2 u32:2 u32:8 u32:0 u32:0'
liar "a key that is none" key '[any]
raw "REDQ" u32:2 u32:2 u32:186 u32:0 fill:7:162 u32:1 u32:1 u32:178 u32:11 u32:1'
for error in 2:understand 3:understand 4:version 5:TLS 6:TLS 7:password; do
	liar "link error ${error%%:*}" "${error#*:}" "[any]
link-error ${error%%:*}"
done
liar "a message without MAIN_INIT" MAIN_INIT '[main]
send 104 u32:0'
liar "MAIN_INIT that is too short" "impossible length" '[main]
lie 103 31 zero:31'
liar "a message of 4 GiB" "impossible length" '[main]
lie 103 4294967295 zero:32'
liar "an unknown message of 4 GiB" "impossible length" '[main]
lie 4711 4294967295 zero:32'
# Deaf, it does not send the list of channels, with which it would have worked.
liar "a list of more channels than there are" malformed '[main]
deaf
init 1
send 104 u32:1000 0900'
liar "a move to nowhere" "malformed" '[main]
deaf
init 1
send 111 u16:1 u16:1 u32:1000 u32:4294967295 u32:0 u32:0'
liar "a move to a host with a line end in its name" "names no place" '[main]
deaf
init 1
send 111 u16:1 u16:1 u32:4 u32:20 u32:0 u32:0 "a" 0a "b" 00'

new_ports PORT
cat >"$tmp/script" <<SCRIPT
[main]
init 1
send 111 u16:$PORT u16:0 u32:10 u32:20 u32:0 u32:0 "127.0.0.1" 00
SCRIPT
fake_server "$PORT" "$tmp/script"
bridge_start --usb-disk "$tmp/disk" --direct "127.0.0.1:$PORT"
sleep 2
moves=$(grep -c "^LINK main" "$FAKE_LOG")
check "one that says that it has moved to itself is not besieged ($moves)" \
	[ "$moves" -lt 10 ]
bridge_stop
check "nor kept on with at the end" [ $? = 0 ]
fake_server_stop

# ---- After good service: one line, and it is tried again ---------------------------

# A good usbredir session all the time, on the first disk.
new_ports PORT
cat >"$tmp/script" <<'SCRIPT'
[main]
init 2
[usbredir 0]
hello
[usbredir 1 @1]
hello
lie 3 7 zero:7
gone
[usbredir 1 @2]
hello
send 102 01 u32:60000 fill:ff:300
gone
[usbredir 1 @3]
hello
send 102 01 u32:4294967295 fill:00:100
gone
[usbredir 1 @4]
hello
send 102 00
gone
[usbredir 1 @5]
hello
send 101 u32:101 u32:4294967295 u64:0
gone
[usbredir 1 @6]
lie 101 100000 fill:55:50
close
[usbredir 1 @7]
send 101 fill:55:200
gone
[usbredir 1 @8]
hello
send 4711 fill:aa:5000
send 7 u64:0 u32:2 u32:0 u32:0 u32:4294967295 1b "[31m" 0a "text"
send 5 02 fill:00:20
send 2 fill:11:70000
send 1 u32:1
wait 4
ack 1
flood 300 1 u32:7 u32:0 u64:1
SCRIPT
bridge_start --usb-disk "$tmp/good" --usb-disk "$tmp/disk" \
	--listen "unix:$tmp/s" --direct "127.0.0.1:$PORT"
eventually 5 [ -S "$tmp/s" ]
"$O/tests/bench/redirload" "$tmp/s" -1 randwrite 65536 "${GOOD_COUNT:-30000}" \
	>"$tmp/good.out" 2>&1 &
good=$!
e2e_pids="$e2e_pids $good"
eventually 5 grep -q "attached $tmp/good" "$BRIDGE_LOG"
fake_server "$PORT" "$tmp/script"
check "eight lies later the channel works" \
	eventually 60 grep -q "^DONE usbredir 1 @8" "$FAKE_LOG"
lines() {
	[ "$(grep -c -- "$1" "$BRIDGE_LOG")" = "$2" ] ||
		{ sed 's/^/# /' "$BRIDGE_LOG"; return 1; }
}
check "an impossible length has one line" lines "the server sent a message of impossible length" 1
check "what does not unpack" lines "does not unpack" 1
check "what is malformed" lines "compressed data that is malformed" 2
check "nobody else is blamed" lines "another client has it" 0
check "usbredir that is none has its lines" lines "packet of impossible length\|no hello" 3
check "what the server says is in one line, and steers no terminal" \
	eval "lines 'server says:  *\\[31m text' 1 && ! grep -q \$'\\033' '$BRIDGE_LOG'"
check "the main channel was not disturbed" lines "127.0.0.1:$PORT: the session ended" 0
high=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$BRIDGE_PID/status")
limit=$((96 * 1024))
case $O in *-san*) limit=$((1024 * 1024)) ;; esac
check "its memory is bounded ($high KiB)" [ "$high" -lt $limit ]
wait "$good"
check "the good session is not disturbed ($(cat "$tmp/good.out"))" [ $? = 0 ]
bridge_stop
check "it ends with status 0" [ $? = 0 ]
check "the server has nothing to complain of" fake_server_stop
check "nothing was found by a sanitizer" \
	bash -c "! grep -E 'ERROR: AddressSanitizer|runtime error' '$BRIDGE_LOG'"
finish
