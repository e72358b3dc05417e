#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --capture with SPICE: each channel in a file of its own, which tshark reads as
# SPICE, with nothing malformed; by TLS as well, in clear; and no ticket in it.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/spice.sh"

command -v tshark >/dev/null || skip "no tshark"
new_ports PORT TLS
io=$(guest_io)
"$io" pattern-write "$tmp/disk" 0 4m 1 >/dev/null
need "an authority" authority "$tmp/ca"
mkdir "$tmp/plain" "$tmp/tls"
export RYLL_PASSWORD=$TICKET

# count FILE FILTER [WHAT]: packets that the filter takes, of which the line has WHAT
count() {
	tshark -r "$1" -Y "$2" 2>>"$tmp/tshark.log" | grep -c -- "${3-}"
}

need "a guest boots" spice_start 1 \
	"port=$PORT,tls-port=$TLS,addr=127.0.0.1,password-secret=ticket,x509-dir=$tmp/ca"
for kind in plain tls; do
	case $kind in
	plain) at="--direct 127.0.0.1:$PORT" ;;
	tls) at="--direct 127.0.0.1 --tls-port $TLS --ca-file $tmp/ca/ca-cert.pem" ;;
	esac
	dir=$tmp/$kind
	bridge_start --usb-disk "$tmp/disk" $at --capture "$dir"
	check "$kind: the guest reads" guest_do "wait_disk &&
		guest-io pattern-check /dev/sda 0 4m 1"
	bridge_stop
	guest_do wait_no_disk
	set -- "$dir"/*.pcapng
	check "$kind: a file for each channel ($*)" [ $# = 2 ]
	for file; do
		name=${file##*/}
		check "$kind: $name has link messages of both" [ "$(count "$file" \
			'spice.link_client or spice.link_server')" = 2 ]
		case $name in
		*main*) first='Server INIT' then='Client ATTACH_CHANNELS' least=1 ;;
		# Reads of 4 MiB: a command, a reply and a status each, at least.
		*) first='Server DATA' then='Client DATA' least=12 ;;
		esac
		check "$kind: $name has what the server says" [ \
			"$(count "$file" spice "$first")" -ge $least ]
		check "$kind: $name has what we say" [ \
			"$(count "$file" spice "$then")" -ge $least ]
		check "$kind: $name has nothing malformed" [ \
			"$(count "$file" _ws.malformed)" = 0 ]
		check "$kind: $name does not have the ticket" \
			eval "! grep -aqF '$TICKET' '$file'"
	done
done
finish
