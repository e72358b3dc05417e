#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tshark reads a capture of a transport: one TCP connection without a fault, and
# the bytes of both directions.
. "$(dirname "$0")/../lib/e2e.sh"

command -v tshark >/dev/null || skip "no tshark"

need "a conversation is captured" "$O/tests/e2e/transport-capture" "$tmp"
file=$(echo "$tmp"/test-*.pcapng)
shark() {
	tshark -r "$file" "$@" 2>>"$tmp/tshark.log" ||
		echo "tshark fails: $*" | tee -a "$tmp/tshark.log"
}
check "tshark reads it to its end" \
	bash -c "tshark -r '$file' >'$tmp/all' 2>>'$tmp/tshark.log'"
shark -q -z io,phs >"$tmp/protocols"
check "it has TCP" grep -q ' tcp ' "$tmp/protocols"
shark -T fields -e tcp.stream | sort -u >"$tmp/streams"
check "one connection" [ "$(cat "$tmp/streams")" = 0 ]
shark -Y 'tcp.analysis.flags or _ws.malformed or _ws.expert.severity >= "Warning"' \
	>"$tmp/faults.log"
check "nothing is unseen, retransmitted, malformed or else at fault" \
	[ "$(wc -l <"$tmp/faults.log")" = 0 ]
shark -o ip.check_checksum:TRUE -Y 'ip.checksum.status != "Good"' \
	>"$tmp/checksums.log"
check "the checksums of IP are right" [ ! -s "$tmp/checksums.log" ]
shark -Y 'frame.time_delta < 0 or frame.time_relative > 60' >"$tmp/times.log"
check "time goes forward" [ ! -s "$tmp/times.log" ]

# Lines of hexadecimal digits; those of the server begin with a tab.
shark -q -z follow,tcp,raw,0 >"$tmp/follow"
bytes() {
	tr -d '\t\n' | tr a-f A-F | basenc -d --base16
}
grep -E '^[0-9a-f]+$' "$tmp/follow" | bytes >"$tmp/follow-out"
grep -E "^	[0-9a-f]+\$" "$tmp/follow" | bytes >"$tmp/follow-in"
check "what we said is in it" cmp "$tmp/out" "$tmp/follow-out"
check "what the server said is in it" cmp "$tmp/in" "$tmp/follow-in"
finish
