#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SPICE connections that are lost, and made again without help: a server that
# comes late, one that is killed during writes and started again, a link that is
# cut, a viewer that takes the server over, a migration.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/spice.sh"

new_ports PORT LINK NEXT MIGRATION
io=$(guest_io)
truncate -s 16M "$tmp/disk"

# ---- the server --------------------------------------------------------------------

bridge_start --usb-disk "$tmp/disk" --direct "127.0.0.1:$PORT"
check "nobody listens: it says so" eventually 5 logged "$PORT"
sleep 1
check "in one line" [ "$(grep -c "$PORT" "$BRIDGE_LOG")" = 1 ]
need "a guest boots" spice_start 1 "$(plain $PORT)"
check "the server that comes late gives its guest the disk" guest_do wait_disk
guest_do "guest-io journal /dev/sda 0 1 >/dev/console 2>&1 &"
check "the guest writes" guest_wait_line "^SYNCED [0-9]{3}" 60
guest_stop KILL
last=$(sed -n 's/^SYNCED \([0-9]*\).*/\1/p' "$GUEST_LOG" | tail -n 1)
check "QEMU is killed: each of $last writes is in the image" \
	"$io" journal-check "$tmp/disk" 0 "$last" 1
need "a new QEMU, at the same port" spice_start 1 \
	"$(plain $PORT)"
check "its guest has the disk" guest_do wait_disk
check "and what was written" guest_do "guest-io journal-check /dev/sda 0 $last 1"

# ---- the bridge ------------------------------------------------------------------------

guest_do "dd if=/dev/sda of=/dev/null bs=128k iflag=direct >/dev/null 2>&1 &"
bridge_stop
check "SIGTERM during reads ends it with status 0" [ $? = 0 ]
check "the guest sees the disk go" guest_do wait_no_disk

# ---- the link --------------------------------------------------------------------------

need "a link" relay $LINK $PORT
bridge_start --usb-disk "$tmp/disk" --direct "127.0.0.1:$LINK"
check "over the link" guest_do wait_disk
guest_do "dd if=/dev/sda of=/dev/null bs=128k iflag=direct >/dev/null 2>&1 &"
relay_stop
check "it is cut: the guest sees the disk go" guest_do wait_no_disk
sleep 2
need "it is there again" relay $LINK $PORT
check "the disk comes back" guest_do wait_disk
check "with what was written" guest_do "guest-io journal-check /dev/sda 0 $last 1"
check "the bridge has said little" [ "$(wc -l <"$BRIDGE_LOG")" -lt 12 ]

# ---- a viewer --------------------------------------------------------------------------

# A server has one client; who comes later is served.
others() {
	relayed | cut -d ' ' -f 3
}
if ! command -v Xvfb >/dev/null || ! command -v spicy >/dev/null; then
	echo "ok - a viewer # SKIP no spicy"
else
	before=$(others) lines=$(wc -l <"$BRIDGE_LOG")
	said_since() {
		tail -n +$((lines + 1)) "$BRIDGE_LOG" | grep -q "$1"
	}
	viewer -h 127.0.0.1 -p $PORT
	check "a viewer comes: it has the server" eventually 10 \
		grep -q "main channel: opened" "$VIEWER_LOG"
	check "the bridge loses its disk, and says so" eventually 5 \
		said_since "session ended"
	sleep 8
	now=$(others)
	# Two connections at a time, main and usbredir.
	check "it does not fight ($((now - before)) connections in 8 s)" \
		[ $((now - before)) -le 8 ]
	viewer_stop
	check "the viewer has gone: the disk is back" guest_do "try disk has_disks 1 &&
		guest-io journal-check /dev/sda 0 $last 1" 90
fi
bridge_stop
check "it ends in order" [ $? = 0 ]
guest_do wait_no_disk
relay_stop

# ---- a migration ------------------------------------------------------------------------

bridge_start --usb-disk "$tmp/disk" --direct "127.0.0.1:$PORT"
check "a guest has the disk" guest_do wait_disk
from=$GUEST_PID from_log=$GUEST_LOG from_in=$GUEST_IN from_monitor=$GUEST_MONITOR
GUEST_MONITOR=$tmp/next.monitor
need "another QEMU waits for it" spice_boot 1 "$(plain $NEXT)" \
	-incoming "tcp:127.0.0.1:$MIGRATION"
need "and listens" eventually 20 spice_listens $NEXT
need "for the guest, too" eventually 20 spice_listens $MIGRATION
next=$GUEST_PID next_log=$GUEST_LOG next_in=$GUEST_IN next_monitor=$GUEST_MONITOR
GUEST_PID=$from GUEST_LOG=$from_log GUEST_IN=$from_in GUEST_MONITOR=$from_monitor
check "clients are told" qmp '"execute": "client_migrate_info", "arguments": {
	"protocol": "spice", "hostname": "127.0.0.1", "port": '$NEXT'}'
check "the guest is moved" qmp '"execute": "migrate", "arguments": {
	"uri": "tcp:127.0.0.1:'$MIGRATION'"}'
migrated() {
	qmp '"execute": "query-migrate"' | grep -q '"status": "completed"'
}
check "it has moved" eventually 30 migrated
# The old one goes, as it does when a machine is moved.
guest_stop
GUEST_PID=$next GUEST_LOG=$next_log GUEST_IN=$next_in GUEST_MONITOR=$next_monitor
check "the bridge has followed" eventually 20 has_channels 1
check "the disk is in the guest, where it is now" guest_do "wait_disk &&
	guest-io journal-check /dev/sda 0 $last 1"
bridge_stop
check "and ends in order, again" [ $? = 0 ]
finish
