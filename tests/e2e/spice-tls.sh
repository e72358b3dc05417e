#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SPICE by TLS: an own authority, host subjects, what must be refused, channels
# of which only some want it, both versions; connection files, and a proxy.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/spice.sh"

new_ports TLS PORT PROXY PROXY2
io=$(guest_io)
"$io" pattern-write "$tmp/disk" 0 16m 1 >/dev/null
need "an authority" authority "$tmp/ca"
need "another" authority "$tmp/other"
need "one for a machine of another name" authority "$tmp/named" vm.test

# ---- a server that speaks nothing else ------------------------------------------

need "a guest boots, TLS only" spice_start 1 "$(tls $TLS)"
direct="--direct 127.0.0.1 --tls-port $TLS"
bridge_start --usb-disk "$tmp/disk" $direct --ca-file "$tmp/ca/ca-cert.pem"
check "--ca-file: the guest has the disk" guest_do wait_disk
check "it reads it" guest_do "guest-io pattern-check /dev/sda 0 8m 1"
check "it writes it" guest_do "guest-io pattern-write /dev/sda 8m 4m 2"
check "it is in the image" "$io" pattern-check "$tmp/disk" 8m 4m 2
bridge_stop
check "and ends in order" [ $? = 0 ]
guest_do wait_no_disk
bridge_start --usb-disk "$tmp/disk" $direct --ca-file "$tmp/ca/ca-cert.pem" \
	--host-subject "$SUBJECT"
check "--host-subject: the guest has the disk" guest_do wait_disk
bridge_stop
guest_do wait_no_disk
ca="--usb-disk $tmp/disk $direct --ca-file $tmp/ca/ca-cert.pem"
check "a wrong authority" refused "certificate|authority|CA" \
	--usb-disk "$tmp/disk" $direct --ca-file "$tmp/other/ca-cert.pem"
check "the system's authorities" refused "certificate|authority|CA" \
	--usb-disk "$tmp/disk" $direct
check "a file without an authority" refused "disk" \
	--usb-disk "$tmp/disk" $direct --ca-file "$tmp/disk"
check "a wrong subject" refused "certificate .* not " $ca \
	--host-subject "C=AT,O=Ryll\\, tests,CN=vm two"
check "the right one in another order" refused "certificate .* not " $ca \
	--host-subject "CN=vm one,O=Ryll\\, tests,C=AT"
check "one RDN too few" refused "certificate .* not " $ca \
	--host-subject "C=AT,O=Ryll\\, tests"
check "one too many" refused "certificate .* not " $ca --host-subject "$SUBJECT,OU=x"
check "none of them has reached the guest" guest_do has_no_disk
guest_stop

# The name is what counts without a subject; with one it does not.
need "a server of another name" machine_start 1 "$(tls $TLS "$tmp/named")"
named="--direct 127.0.0.1 --tls-port $TLS --ca-file $tmp/named/ca-cert.pem"
check "another name" refused "127.0.0.1" --usb-disk "$tmp/disk" $named
check "another name, but the right subject" attaches $named \
	--host-subject "$SUBJECT"
machine_stop

# ---- by channel --------------------------------------------------------------------

need "a server with both, all by TLS" machine_start 1 \
	"port=$PORT,$(tls $TLS),tls-channel=default"
check "plain: it wants TLS" refused TLS --usb-disk "$tmp/disk" \
	--direct "127.0.0.1:$PORT"
check "TLS" attaches $direct --ca-file "$tmp/ca/ca-cert.pem"
check "plain first, then TLS" attaches --direct "127.0.0.1:$PORT" \
	--tls-port $TLS --ca-file "$tmp/ca/ca-cert.pem"
check "the same with a wrong authority" refused "certificate|authority|CA" \
	--usb-disk "$tmp/disk" --direct "127.0.0.1:$PORT" --tls-port $TLS \
	--ca-file "$tmp/other/ca-cert.pem"
machine_stop
need "a server with both, usbredir by TLS" machine_start 1 \
	"port=$PORT,$(tls $TLS),tls-channel=usbredir"
# One that it is connected, since it was.
LINES_SAID=2 check "plain: that channel wants TLS" refused TLS \
	--usb-disk "$tmp/disk" --direct "127.0.0.1:$PORT"
check "given both" attaches --direct "127.0.0.1:$PORT" --tls-port $TLS \
	--ca-file "$tmp/ca/ca-cert.pem"
machine_stop
need "a server with both, usbredir in plain" machine_start 1 \
	"port=$PORT,$(tls $TLS),plaintext-channel=usbredir"
# Asked for TLS, it does not go without, whatever the server wants.
LINES_SAID=2 check "given both, it does not fall back" refused "no TLS" \
	--usb-disk "$tmp/disk" --direct "127.0.0.1:$PORT" \
	--tls-port $TLS --ca-file "$tmp/ca/ca-cert.pem"
machine_stop

# ---- versions ----------------------------------------------------------------------

for version in 1.2 1.3; do
	openssl_versions TLSv$version TLSv$version
	need "a server with TLS $version only" machine_start 1 "$(tls $TLS)"
	check "TLS $version" attaches $direct --ca-file "$tmp/ca/ca-cert.pem"
	machine_stop
done
openssl_versions TLSv1.1 TLSv1.1
need "a server with TLS 1.1 only" machine_start 1 \
	"$(tls $TLS),tls-ciphers=DEFAULT:@SECLEVEL=0"
check "is refused" refused TLS $ca
machine_stop
openssl_versions

# ---- connection files ------------------------------------------------------------------

need "a server with a ticket" machine_start 1 \
	"tls-port=$TLS,addr=127.0.0.1,password-secret=ticket,x509-dir=$tmp/ca"
ca_text=$(cat "$tmp/ca/ca-cert.pem")
file=$tmp/c.vv
connection "$file" host=127.0.0.1 "tls-port=$TLS" "password=$TICKET" "ca=$ca_text" \
	"host-subject=$SUBJECT" "title=VM 100 - Proxmox" delete-this-file=0 \
	secure-attention=Ctrl+Alt+Ins release-cursor=Ctrl+Alt+R
check "a file: TLS, authority, subject, ticket" attaches --file "$file"
check "it stays" [ -e "$file" ]
connection "$file" host=127.0.0.1 "tls-port=$TLS" "password=$TICKET" "ca=$ca_text" \
	"host-subject=CN=somebody" delete-this-file=0
check "a wrong subject in it" refused "certificate .* not " --usb-disk "$tmp/disk" --file "$file"
connection "$file" host=127.0.0.1 "tls-port=$TLS" "password=$TICKET" \
	"ca=$(cat "$tmp/other/ca-cert.pem")" "host-subject=$SUBJECT"
check "a wrong authority in it" refused "certificate|authority|CA" \
	--usb-disk "$tmp/disk" --file "$file"
connection "$file" host=127.0.0.1 "tls-port=$TLS" "password=$TICKET" "ca=$ca_text" \
	delete-this-file=1
check "one that is to be deleted" attaches --file "$file"
check "it is gone" [ ! -e "$file" ]
check "no such file" refused "c.vv" --usb-disk "$tmp/disk" --file "$file"
echo "not a connection" >"$file"
check "another kind of file" refused "c.vv" --usb-disk "$tmp/disk" --file "$file"

need "a proxy" http_proxy $PROXY
connection "$file" host=pvespiceproxy.test "tls-port=$TLS" "password=$TICKET" \
	"ca=$ca_text" "host-subject=$SUBJECT" "proxy=http://127.0.0.1:$PROXY" \
	delete-this-file=1
check "by a proxy, to a host that only that knows" attaches --file "$file"
check "each channel went that way" \
	[ "$(grep -c "^CONNECT pvespiceproxy.test:$TLS" "$PROXY_LOG")" = 2 ]
need "a proxy that wants credentials" http_proxy $PROXY2 "user:pass word"
connection "$file" host=vm.test "tls-port=$TLS" "password=$TICKET" "ca=$ca_text" \
	"host-subject=$SUBJECT" "proxy=http://user:pass%20word@127.0.0.1:$PROXY2"
check "by that one" attaches --file "$file"
connection "$file" host=vm.test "tls-port=$TLS" "password=$TICKET" "ca=$ca_text" \
	"host-subject=$SUBJECT" "proxy=http://user:wrong@127.0.0.1:$PROXY2"
check "with wrong credentials" refused "407|proxy" --usb-disk "$tmp/disk" \
	--file "$file"
finish
