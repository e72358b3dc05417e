#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# TLS with certificates of both sides, for usbredir and usbip: QEMU, whose
# character devices have it, and another ryll-bridge. Who has no certificate, one
# of another authority, or speaks no TLS gets a line and nothing else.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/seabios.sh"

command -v certtool >/dev/null || skip "no certtool"
for program in openssl qemu-system-x86_64; do
	command -v $program >/dev/null || skip "no $program"
done

# pki DIR: an authority, and a certificate for both sides, as QEMU names them
pki() {
	local dir=$1 name
	mkdir "$dir"
	for name in ca server client; do
		certtool --generate-privkey --key-type ecdsa --outfile "$dir/$name-key.pem"
	done 2>>"$tmp/certtool.log"
	printf 'cn = "authority %s"\nca\ncert_signing_key\nexpiration_days = 30\n' \
		"${dir##*/}" >"$dir/ca.cfg"
	certtool --generate-self-signed --load-privkey "$dir/ca-key.pem" \
		--template "$dir/ca.cfg" --outfile "$dir/ca-cert.pem" 2>>"$tmp/certtool.log"
	for name in server client; do
		printf 'cn = "%s"\nip_address = 127.0.0.1\ndns_name = localhost\n%s\n%s\n' \
			"$name" "tls_www_$name" "signing_key
expiration_days = 30" >"$dir/$name.cfg"
		certtool --generate-certificate --load-privkey "$dir/$name-key.pem" \
			--load-ca-certificate "$dir/ca-cert.pem" \
			--load-ca-privkey "$dir/ca-key.pem" \
			--template "$dir/$name.cfg" --outfile "$dir/$name-cert.pem" \
			2>>"$tmp/certtool.log" || return 1
	done
}
need "certificates" pki "$tmp/ours"
need "those of somebody else" pki "$tmp/theirs"
# tls SIDE [DIR]: our options
tls() {
	echo "--tls-cert ${2:-$tmp/ours}/$1-cert.pem --tls-key ${2:-$tmp/ours}/$1-key.pem \
		--tls-ca ${2:-$tmp/ours}/ca-cert.pem"
}

# wrong PATTERN OPTION...: exit status 1 or 2, and one line that matches
wrong() {
	local pattern=$1
	shift
	timeout 10 "$BRIDGE" "$@" 2>"$tmp/wrong"
	case $? in 1 | 2) ;; *) return 1 ;; esac
	[ "$(wc -l <"$tmp/wrong")" = 1 ] && grep -q -- "$pattern" "$tmp/wrong" ||
		{ sed 's/^/# /' "$tmp/wrong"; return 1; }
}

# ---- what is said at the start ---------------------------------------------------------

new_ports PORT REDIR USBIP
truncate -s 1M "$tmp/disk" "$tmp/disk2"
disk="--usb-disk $tmp/disk"
# shellcheck disable=SC2086,SC2046 # lists of words
{
	check "the network, without TLS" wrong "insecure" $disk --listen "tcp:0.0.0.0:$PORT"
	check "the same of usbip" wrong "insecure" $disk --usbip-listen "0.0.0.0:$PORT"
	check "two of three" wrong "all three" $disk --listen "tcp:127.0.0.1:$PORT" \
		--tls-cert "$tmp/ours/server-cert.pem" --tls-ca "$tmp/ours/ca-cert.pem"
	check "no such file" wrong "no-such" $disk --listen "tcp:127.0.0.1:$PORT" \
		--tls-cert "$tmp/no-such" --tls-key "$tmp/no-such" --tls-ca "$tmp/ours/ca-cert.pem"
	check "the key of another" wrong "not that of" $disk --listen "tcp:127.0.0.1:$PORT" \
		--tls-cert "$tmp/ours/server-cert.pem" --tls-key "$tmp/theirs/server-key.pem" \
		--tls-ca "$tmp/ours/ca-cert.pem"
	check "no authority" wrong "no CA certificate" $disk --listen "tcp:127.0.0.1:$PORT" \
		--tls-cert "$tmp/ours/server-cert.pem" --tls-key "$tmp/ours/server-key.pem" \
		--tls-ca "$tmp/ours/server-key.pem"
	bridge_start $disk --listen "tcp:0.0.0.0:$PORT" --insecure
	check "--insecure listens, and warns" eventually 5 logged "everybody who reaches it"
	check "in two lines" [ "$(wc -l <"$BRIDGE_LOG")" = 2 ]
	bridge_stop

	# ---- QEMU ----------------------------------------------------------------------

	xhci="-device qemu-xhci -device usb-redir,chardev=r,bootindex=0"
	boot_sector listen "$tmp/disk"
	bridge_start $disk --listen "tcp:127.0.0.1:$PORT" $(tls server)
	check "QEMU comes by TLS, and boots" boots listen \
		-object "tls-creds-x509,id=t,endpoint=client,dir=$tmp/ours" \
		-chardev "socket,id=r,host=127.0.0.1,port=$PORT,tls-creds=t,reconnect=1" $xhci
	need "and goes" eventually 5 logged "detached $tmp/disk"
	said=$(wc -l <"$BRIDGE_LOG")
	check "without TLS nobody comes" eval \
		"! echo hello | timeout 5 socat - TCP:127.0.0.1:$PORT | grep -qa ryll"
	check "that is said" eventually 5 logged \
		"connection refused: the client does not speak TLS"
	check "in one line" [ "$(wc -l <"$BRIDGE_LOG")" = $((said + 1)) ]
	for version in 1_2 1_3; do
		timeout 5 openssl s_client -connect "127.0.0.1:$PORT" "-tls$version" -quiet \
			-CAfile "$tmp/ours/ca-cert.pem" </dev/null >"$tmp/nothing" 2>/dev/null
		check "TLS $version without a certificate gets nothing" [ ! -s "$tmp/nothing" ]
	done
	check "that is said" eventually 5 eval \
		"[ \$(grep -c 'the client shows no certificate' '$BRIDGE_LOG') = 2 ]"
	timeout 5 openssl s_client -connect "127.0.0.1:$PORT" -quiet \
		-cert "$tmp/theirs/client-cert.pem" -key "$tmp/theirs/client-key.pem" \
		-CAfile "$tmp/ours/ca-cert.pem" </dev/null >"$tmp/nothing" 2>/dev/null
	check "nor does a certificate of somebody else" [ ! -s "$tmp/nothing" ]
	check "that is said, too" eventually 5 \
		logged "the client's certificate is not signed by an authority"
	timeout 5 openssl s_client -connect "127.0.0.1:$PORT" -tls1_1 \
		-cipher DEFAULT@SECLEVEL=0 </dev/null >"$tmp/nothing" 2>&1
	check "TLS 1.1 is refused" eventually 5 \
		logged "the client speaks neither TLS 1.2 nor TLS 1.3"
	boot_sector again "$tmp/disk"
	check "QEMU boots again" boots again \
		-object "tls-creds-x509,id=t,endpoint=client,dir=$tmp/ours" \
		-chardev "socket,id=r,host=127.0.0.1,port=$PORT,tls-creds=t,reconnect=1" $xhci
	bridge_stop
	check "it ends with status 0" [ $? = 0 ]

	boot_sector connect "$tmp/disk"
	bridge_start $disk --connect "tcp:127.0.0.1:$REDIR" $(tls client)
	check "we come to QEMU by TLS, and it boots" boots connect \
		-object "tls-creds-x509,id=t,endpoint=server,dir=$tmp/ours,verify-peer=on" \
		-chardev "socket,id=r,host=127.0.0.1,port=$REDIR,tls-creds=t,server=on,wait=off" \
		$xhci -monitor "unix:$tmp/monitor,server=on,wait=off"
	bridge_stop
	bridge_start $disk --connect "tcp:127.0.0.1:$REDIR" $(tls client "$tmp/theirs")
	qemu-system-x86_64 -M q35 -m 64 -display none -nodefaults -net none -S \
		-object "tls-creds-x509,id=t,endpoint=server,dir=$tmp/ours,verify-peer=on" \
		-chardev "socket,id=r,host=127.0.0.1,port=$REDIR,tls-creds=t,server=on,wait=off" \
		$xhci </dev/null 2>>"$tmp/qemu.log" &
	qemu=$!
	e2e_pids="$e2e_pids $qemu"
	check "QEMU's certificate of another authority is not taken" eventually 20 logged \
		"the server's certificate is not signed by an authority"
	bridge_stop
	kill "$qemu"
	wait "$qemu"

	# ---- two of us, by usbip and usbredir ---------------------------------------------

	for way in "usbip --usbip-listen $USBIP usbip://127.0.0.1:$USBIP/ryll-1-1" \
		"usbredir --listen tcp:127.0.0.1:$USBIP tcp:127.0.0.1:$USBIP"; do
		set -- $way
		bridge_start $disk $2 $3 $(tls server)
		server=$BRIDGE_PID server_log=$BRIDGE_LOG
		bridge_start --usb-remote "$4" --listen "unix:$tmp/s" $(tls client)
		check "$1 by TLS" eventually 10 logged "it is there"
		boot_sector "$1" "$tmp/disk"
		check "a machine boots from it" boots "$1" \
			-chardev "socket,id=r,path=$tmp/s,reconnect=1" $xhci
		bridge_stop
		check "ends with status 0" [ $? = 0 ]
		bridge_start --usb-remote "$4" --listen "unix:$tmp/s"
		check "not without" eventually 10 eval "
			grep -q 'connection refused: the client does not speak TLS' '$server_log'"
		check "which is not there" eval "! logged 'it is there'"
		bridge_stop
		kill "$server"
		wait "$server"
		check "the server ends with status 0" [ $? = 0 ]
	done
}
check "nothing was found by a sanitizer" \
	bash -c "! grep -hE 'ERROR: AddressSanitizer|runtime error' '$tmp'/bridge*.log"
finish
