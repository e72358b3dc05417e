#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A million messages, each a byte of usbredir, from a server that never goes more
# than two ACK windows ahead, and counts: one ACK for each window, none too early.
# Every packet is answered. Windows change; servers without the mini header, and
# without a choice of authentication; pings between.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/spice.sh"

truncate -s 1M "$tmp/disk"
# get_configuration, 16 bytes; answered by configuration_status, 18
packet="u32:7 u32:0 u64:1"

# told NAME TEXT: the server is told TEXT, the bridge goes there.
told() {
	local good
	new_ports PORT
	printf '%s\n' "$2" >"$tmp/$1.script"
	fake_server "$PORT" "$tmp/$1.script" "$TICKET"
	RYLL_PASSWORD=$TICKET bridge_start --usb-disk "$tmp/disk" \
		--direct "127.0.0.1:$PORT"
	eventually "${3:-30}" grep -q "^DONE usbredir" "$FAKE_LOG"
	good=$?
	bridge_stop || good=1
	fake_server_stop || good=1
	[ $good = 0 ] || sed 's/^/# /' "$FAKE_LOG" "$BRIDGE_LOG"
	return $good
}

check "1,000,000 messages, windows of 20" told million "
[main]
init 1
[usbredir]
hello
ack 20
flood ${MESSAGES:-1000000} 1 $packet
vmc-at-least $((${MESSAGES:-1000000} / 16 * 18))" 120
check "windows of 1, then 7, then none, then 20" told windows "
[main]
init 1
[usbredir]
hello
ack 1
flood 3200 1 $packet
ack 7
flood 7000 16 $packet
ack 0
flood 1600 1 $packet
ack 20
flood 2003 48 $packet
vmc-at-least $(((200 + 7000 + 100 + 6009) * 18))"
check "main counts, too" told main "
[main]
ack 3
init 1
send 4 u32:1 u64:0 zero:262144
wait 3
send 7 u64:0 u32:0 u32:0 u32:0 u32:5 \"hello\" 00
send 4 u32:2 u64:0
send 4 u32:3 u64:0
acks
[usbredir]
hello
sleep 500"
check "without the mini header" told full "
[main]
link-caps 3 0
link
auth
init 1
[usbredir]
link-caps 3 0
link
auth
hello
ack 20
flood 16000 1 $packet
vmc-at-least 18000"
check "without a choice of authentication" told old "
[main]
link-caps 0 0
link
auth
init 1
[usbredir]
link-caps 0 0
link
auth
hello
ack 20
flood 1600 1 $packet
vmc-at-least 1800"
check "large messages, in pieces that are not packets" told large "
[main]
init 1
[usbredir]
hello
ack 20
flood 160 65536 $packet
vmc-at-least $((160 * 4096 * 18))"
finish
