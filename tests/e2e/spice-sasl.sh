#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Users by SASL: without TLS by what encrypts, and a disk by that; with TLS by
# anything; who is not let in, and what is said then.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/spice.sh"

ldd "$BRIDGE" | grep -q libsasl2 || skip "${BRIDGE##*/} is built without SASL"
new_ports PORT TLS SNIFFED
at="--direct 127.0.0.1:$PORT"
unset RYLL_PASSWORD
printf '%s\n' "$TICKET" >"$tmp/right"
echo "not it" >"$tmp/wrong"
io=$(guest_io)
"$io" pattern-write "$tmp/disk" 0 16m 1 >/dev/null

# With karl's name and password
karl="--username karl@ryll --password-file $tmp/right"
WRONG="the user name or the password is wrong"

# not_let_in OPTION...: by nobody who is not karl.
not_let_in() {
	check "a wrong password" refused "$WRONG" --usb-disk "$tmp/disk" "$@" \
		--username karl@ryll --password-file "$tmp/wrong"
	check "no password" refused "$WRONG" --usb-disk "$tmp/disk" "$@" \
		--username karl@ryll
	check "a user who is not there" refused "$WRONG" \
		--usb-disk "$tmp/disk" "$@" --username fritz@ryll \
		--password-file "$tmp/right"
	check "no user" refused "wants SASL: give a user by --username" \
		--usb-disk "$tmp/disk" "$@" --password-file "$tmp/right"
	check "it says no secrets" eval "! grep -q '$TICKET' '$tmp'/bridge*.log"
}

# ---- without TLS -------------------------------------------------------------------

need "a user for DIGEST-MD5" sasl_users digest-md5 karl "$TICKET"
need "a guest of which the server wants one" spice_start 1 \
	"port=$PORT,addr=127.0.0.1,sasl=on"
bridge_start --usb-disk "$tmp/disk" $at $karl
need "DIGEST-MD5: the guest has the disk" guest_do "wait_disk"
check "every byte" guest_do "guest-io pattern-check \$(disk_at 1) 0 16m 1"
check "writes, at odd places, with a flush" guest_do "
	guest-io pattern-write \$(disk_at 1) 4096 5m 3 &&
	guest-io pattern-write \$(disk_at 1) 7m 9m 4"
check "they are in the image" "$io" pattern-check "$tmp/disk" 4096 5m 3
check "all of them" "$io" pattern-check "$tmp/disk" 7m 9m 4
sum=$(sha256sum <"$tmp/disk")
check "the guest reads them back" [ "$(guest_do \
	"echo 3 >/proc/sys/vm/drop_caches; sha256sum <\$(disk_at 1)")" = "$sum" ]
bridge_stop
check "SIGTERM ends it with status 0" [ $? = 0 ]
check "the guest sees it go" guest_do wait_no_disk

# One process, the guest's: sessions follow each other.
not_let_in $at
connection "$tmp/c.vv" host=127.0.0.1 "port=$PORT" "password=$TICKET" \
	username=karl@ryll
check "by a connection file" attaches --file "$tmp/c.vv"
guest_stop

# (At a unix socket spice-server 0.15 has none: libsasl2 refuses its address.)
need "the server again" machine_start 1 "port=$PORT,addr=127.0.0.1,sasl=on"
socat -r "$tmp/to.wire" -R "$tmp/from.wire" \
	"TCP-LISTEN:$SNIFFED,bind=127.0.0.1,fork,reuseaddr" \
	"TCP:127.0.0.1:$PORT" 2>"$tmp/socat.log" &
e2e_pids="$e2e_pids $!"
eventually 5 spice_listens $SNIFFED
check "with somebody who listens" attaches --direct "127.0.0.1:$SNIFFED" $karl
check "he sees the mechanism" eval "cat '$tmp'/*.wire | grep -aq DIGEST-MD5"
check "but not what follows" eval "! cat '$tmp'/*.wire | grep -aq 'usb-redir guest'"
machine_stop

# ---- with it ---------------------------------------------------------------------------

need "an authority" authority "$tmp/ca"
tls="--direct 127.0.0.1 --tls-port $TLS --ca-file $tmp/ca/ca-cert.pem"
for mechanism in scram-sha-256 scram-sha-1 digest-md5 plain; do
	need "a user for $mechanism" sasl_users $mechanism karl "$TICKET"
	need "a server with TLS that wants one" machine_start 1 \
		"tls-port=$TLS,addr=127.0.0.1,sasl=on,x509-dir=$tmp/ca"
	check "$mechanism by TLS" attaches $tls $karl
	not_let_in $tls
	machine_stop
done
finish
