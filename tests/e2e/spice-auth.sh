#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Who may: tickets from a file, the environment, a connection file, a terminal;
# wrong, missing and expired ones. SASL is in spice-sasl.sh.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/spice.sh"

new_ports PORT TLS
truncate -s 1M "$tmp/disk"
at="--direct 127.0.0.1:$PORT"
unset RYLL_PASSWORD
printf '%s\n' "$TICKET" >"$tmp/right"
printf '%s' "$TICKET" >"$tmp/bare"
echo "not it" >"$tmp/wrong"
: >"$tmp/empty"

# by ENVIRONMENT-PASSWORD COMMAND...
by() {
	local RYLL_PASSWORD=$1
	export RYLL_PASSWORD
	shift
	"$@"
}

# ---- tickets ---------------------------------------------------------------------

need "a server with a ticket" machine_start 1 \
	"port=$PORT,addr=127.0.0.1,password-secret=ticket"
check "from a file" attaches $at --password-file "$tmp/right"
check "a file without a line end" attaches $at --password-file "$tmp/bare"
check "from the environment" by "$TICKET" attaches $at
connection "$tmp/c.vv" host=127.0.0.1 "port=$PORT" "password=$TICKET"
check "from a connection file" attaches --file "$tmp/c.vv"
check "a wrong one" refused password --usb-disk "$tmp/disk" $at \
	--password-file "$tmp/wrong"
check "a wrong one in the environment" by wrong refused password \
	--usb-disk "$tmp/disk" $at
check "none" refused password --usb-disk "$tmp/disk" $at
check "an empty one" refused password --usb-disk "$tmp/disk" $at \
	--password-file "$tmp/empty"
check "a file that is not there" refused "$tmp/no-file" \
	--usb-disk "$tmp/disk" $at --password-file "$tmp/no-file"
connection "$tmp/c.vv" host=127.0.0.1 "port=$PORT" password=wrong
check "a wrong one in a connection file" refused password \
	--usb-disk "$tmp/disk" --file "$tmp/c.vv"

# Anybody can read a command line.
"$BRIDGE" --usb-disk "$tmp/disk" $at --password "$TICKET" 2>"$tmp/argv.log" \
	</dev/null
status=$?
check "not on the command line" [ $status != 0 ]
check "nor in a line about that" eval "! grep -q '$TICKET' '$tmp/argv.log'"

bridge_start --usb-disk "$tmp/disk" $at --password-file "$tmp/right"
eventually 10 logged attached
check "where it is, it is not seen" eval "! tr '\\0' ' ' </proc/$BRIDGE_PID/cmdline |
	grep -q '$TICKET'"
check "nor said" eval "! grep -q '$TICKET' '$BRIDGE_LOG'"
bridge_stop

# socat would take the colons for its own.
printf '#!/bin/sh\nexec %s --usb-disk %s %s\n' "$BRIDGE" "$tmp/disk" "$at" \
	>"$tmp/typed"
chmod +x "$tmp/typed"
# typed TEXT: at a terminal, when it asks
typed() {
	: >"$tmp/typed.log"
	{
		eventually 5 grep -aqi password "$tmp/typed.log"
		printf '%s\n' "$1"
		eventually 5 grep -aq attached "$tmp/typed.log"
		sleep 1
	} | socat - "EXEC:$tmp/typed,pty,setsid,ctty,stderr" \
		>"$tmp/typed.log" 2>&1 &
	typed_pid=$!
	e2e_pids="$e2e_pids $typed_pid"
	eventually 10 grep -aq attached "$tmp/typed.log"
}
check "typed at a terminal" typed "$TICKET"
check "which does not show it" eval "! grep -aq '$TICKET' '$tmp/typed.log'"
# Its terminal goes, so does it.
kill "$typed_pid" 2>/dev/null
{ wait "$typed_pid"; } 2>/dev/null
check "it ends with the terminal" eventually 5 machine has_channels 0

# The protocol has room for 60, of which the server keeps 59.
text=$(printf 'x%.0s' {1..59})
machine set_ticket "$text" 60
echo "$text" >"$tmp/long"
check "of 59 letters" attaches $at --password-file "$tmp/long"
echo "${text}x" >"$tmp/long"
check "of 60" refused "59" --usb-disk "$tmp/disk" $at \
	--password-file "$tmp/long"

machine set_ticket again 60
check "set again" by again attaches $at
machine set_ticket again 0
check "one that has expired" by again refused "password|expired" \
	--usb-disk "$tmp/disk" $at
machine set_ticket later 60
check "a new one works" by later attaches $at
bridge_start --usb-disk "$tmp/disk" $at --password-file /dev/fd/3 \
	3< <(echo later)
eventually 10 logged attached
machine set_ticket later 0
sleep 1
check "who is in stays when it expires" machine has_channels 1
bridge_stop
machine_stop

# ---- not SPICE at all ----------------------------------------------------------------

# It reads: what it has said would be lost with a connection that is reset.
socat "TCP-LISTEN:$PORT,bind=127.0.0.1,fork,reuseaddr" \
	"SYSTEM:echo SSH-2.0-OpenSSH; exec cat >/dev/null" &
e2e_pids="$e2e_pids $!"
eventually 5 spice_listens $PORT
check "another server" refused SPICE --usb-disk "$tmp/disk" $at
finish
