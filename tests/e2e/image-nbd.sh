#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One guest, four disks on NBD servers: qcow2 behind qemu-nbd; an nbdkit that is
# killed while the guest writes; one that fails reads; one by TLS that logs what
# arrives. Before that, what cannot be opened and what is said of it.
. "$(dirname "$0")/../lib/e2e.sh"

answers() {
	socat -u OPEN:/dev/null "$1" 2>/dev/null
}

# server ADDRESS COMMAND...: in the background; leaves SERVER_PID. ADDRESS is as
# socat wants it.
server() {
	local address=$1
	shift
	"$@" >>"$tmp/servers.log" 2>&1 &
	SERVER_PID=$!
	e2e_pids="$e2e_pids $SERVER_PID"
	eventually 10 answers "$address"
}

# kit NAME WORD...: nbdkit on the unix socket NAME.
kit() {
	local socket=$tmp/$1.nbd
	shift
	rm -f "$socket"
	server "UNIX:$socket" nbdkit -f -U "$socket" "$@"
}

server_end() {
	kill -s "$1" "$2"
	{ wait "$2"; } 2>/dev/null
}

# authority FOLDER: a CA, and a server 127.0.0.1 that it knows (no name: a
# machine without /etc/hosts cannot look up even its own).
authority() (
	mkdir "$1" && cd "$1" || exit 1
	printf 'cn = ca\nca\ncert_signing_key\nexpiration_days = 9\n' >ca
	printf '%s\n' 'cn = 127.0.0.1' 'ip_address = 127.0.0.1' tls_www_server \
		signing_key 'expiration_days = 9' >server
	{
		for name in ca server; do
			certtool --generate-privkey --key-type=ecdsa \
				--outfile $name-key.pem
		done
		certtool --generate-self-signed --load-privkey ca-key.pem \
			--template ca --outfile ca-cert.pem
		certtool --generate-certificate --load-ca-certificate \
			ca-cert.pem --load-ca-privkey ca-key.pem \
			--load-privkey server-key.pem --template server \
			--outfile server-cert.pem
	} 2>>"$tmp/certtool.log"
)

# refused NAME PATTERN URI: one line that matches, and status 1.
refused() {
	timeout 20 "$BRIDGE" --listen "unix:$tmp/none" --usb-disk "$3" \
		2>"$tmp/refusal"
	check "$1: status 1" [ $? = 1 ]
	check "$1: one line" [ "$(wc -l <"$tmp/refusal")" = 1 ]
	check "$1: $(sed 's/^ryll-bridge: error: [^ ]* //' "$tmp/refusal")" \
		grep -qE -- "$2" "$tmp/refusal"
}

unix() {
	echo "nbd+unix:///${2-}?socket=$tmp/$1.nbd"
}

# ---- the servers ---------------------------------------------------------------

authority "$tmp/ca"
authority "$tmp/other-ca"
qemu-img create -q -f qcow2 "$tmp/qcow2" 128M
truncate -s 64M "$tmp/kill" "$tmp/tls"
server "UNIX:$tmp/q.nbd" qemu-nbd -t -f qcow2 -x disk -k "$tmp/q.nbd" \
	--discard=unmap "$tmp/qcow2"
qemu_nbd=$SERVER_PID
for _ in 1 2 3 4 5; do
	port=$((RANDOM % 20000 + 20000))
	answers "TCP:127.0.0.1:$port" || break
done
tls_server() {
	server "TCP:127.0.0.1:$port" nbdkit -f -i 127.0.0.1 -p $port \
		--tls=require --tls-certificates="$tmp/ca" --filter=log \
		file "$tmp/tls" logfile="$tmp/nbdkit-requests" logappend=true
}
tls_server
tls_pid=$SERVER_PID
kit error --filter=error memory 64M error=EIO error-pread-rate=100% \
	error-pread-file="$tmp/inject"
kit kill --filter=delay file "$tmp/kill" delay-write=10ms
kill_pid=$SERVER_PID

# ---- refusals ------------------------------------------------------------------

kit ro -r memory 1M
refused "nobody listens" "No such file" "$(unix nowhere)"
refused "no such export" "no export named 'other'" "$(unix q other)"
refused "read-only at the server" "use --usb-disk-ro" "$(unix ro)"
refused "plain, where TLS is demanded" "demands TLS" "nbd://127.0.0.1:$port/"
refused "TLS, where there is none" "has no TLS" \
	"nbds+unix:///?socket=$tmp/error.nbd&tls-certificates=$tmp/ca"
refused "another CA" "not trusted" \
	"nbds://127.0.0.1:$port/?tls-certificates=$tmp/other-ca"
refused "another name" "not trusted" \
	"nbds://127.1:$port/?tls-certificates=$tmp/ca"
refused "TLS without a CA" "tls-certificates" "nbds://127.0.0.1:$port/"
server_end TERM "$SERVER_PID"

# ---- the guest -----------------------------------------------------------------

guest_initrd "$tmp/initrd" mkfs.ext4 fstrim "$(guest_io)" <<'SCRIPT'
. /lib.sh
wait_disk 4
q=$(disk_by QCOW) k=$(disk_by KILL) e=$(disk_by ERROR) t=$(disk_by TLS)
say "disks $q $k $e $t"

say "writing"
guest-io pattern-write $k 0 33554432 5 && say "pattern written"
echo 3 >/proc/sys/vm/drop_caches
guest-io pattern-check $k 0 33554432 5 && say "pattern holds"

mkfs.ext4 -Fq $q && mount $q /mnt || exit 1
cp -r /bin/busybox /modules /mnt
(cd /mnt && find . -type f | sort | xargs sha256sum) >/sums
sync && umount /mnt
echo 3 >/proc/sys/vm/drop_caches
mount $q /mnt && (cd /mnt && sha256sum -c -s /sums) && say "qcow2 holds"
sha256sum /bin/busybox | cut -c 1-64 | sed 's/^/GUEST: sum /'
umount /mnt

name=${t##*/}
mkfs.ext4 -Fq $t && mount $t /mnt || exit 1
head -c 20000000 /dev/urandom >/mnt/fill && sync && rm /mnt/fill && sync
for f in /sys/block/$name/device/scsi_disk/*/provisioning_mode; do
	echo unmap >$f
done
fstrim -v /mnt && say trimmed
umount /mnt
# WRITE(10) of the last block, with FUA
guest-io sgcmd $t 2a080001ffff00000100 out $(head -c 512 /dev/zero |
	hexdump -v -e '1/1 "%02x"') >/dev/null && say "fua written"

say "errors, please"
read -r go
# READ(10): an unrecovered read error
guest-io sgcmd $e 28000000800000000800 in 4096 | grep -qi 'sense=03/11/00' &&
	say "medium error"
dd if=$e of=/dev/null bs=4096 skip=99 count=1 2>&1 |
	grep -qiE 'I/O error|input/output error' && say "I/O error"
say "no errors, please"
read -r go
dd if=$e of=/dev/null bs=4096 skip=99 count=1 2>/dev/null && say "it reads"
guest-io pattern-write $t 4096 8388608 6
echo 3 >/proc/sys/vm/drop_caches
guest-io pattern-check $t 4096 8388608 6 && say "TLS again"
dmesg | grep -E "I/O error.*(${q##*/}|${k##*/}|${t##*/})" && exit 1
exit 0
SCRIPT
says() {
	grep -aq "^GUEST: $1" "$tmp/guest.log"
}

serve "$tmp/s" --usb-disk "$(unix q disk),serial=QCOW" \
	--usb-disk "$(unix kill),serial=KILL" \
	--usb-disk "$(unix error),serial=ERROR" \
	--usb-disk "nbds://127.0.0.1:$port/?tls-certificates=$tmp/ca,serial=TLS"
# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" \
	$(redir "$tmp/s" "$tmp/s" "$tmp/s" "$tmp/s")
need "four NBD disks, one of them by TLS" guest_wait_line 'GUEST: disks /dev' 60

need "the guest writes" guest_wait_line 'GUEST: writing' 10
sleep 0.6
check "the server is killed in the middle of it" \
	[ "$(says "pattern written"; echo $?)" = 1 ]
server_end KILL "$kill_pid"
check "the loss is logged" eventually 5 logged \
	"warning: nbd[+]unix:///.socket=$tmp/kill.nbd: the server is lost"
sleep 0.5
kit kill file "$tmp/kill"
need "the guest goes on with the next one" \
	guest_wait_line 'GUEST: pattern written' 30
check "the return is logged" logged "the server is back"
need "all that it wrote is there" guest_wait_line 'GUEST: pattern holds' 30
check "in the server's file, too" \
	"$(guest_io)" pattern-check "$tmp/kill" 0 33554432 5

need "the guest asks for errors" guest_wait_line 'GUEST: errors, please' 60
check "a file system in qcow2 holds" says "qcow2 holds"
touch "$tmp/inject"
guest_send go
need "the guest has seen enough" guest_wait_line 'GUEST: no errors, please' 30
check "a failed read is a medium error" says "medium error"
check "and an I/O error for programs" says "I/O error"
rm "$tmp/inject"
server_end KILL "$tls_pid"
tls_server
guest_send go
guest_wait 60
check "the guest ends without errors elsewhere" [ $? = 0 ]
check "reads work again" says "it reads"
check "a TLS server may be restarted, too" says "TLS again"
requests() {
	grep -cE -- "$1" "$tmp/nbdkit-requests"
}
check "flushes arrive ($(requests ' Flush '))" [ "$(requests ' Flush ')" -gt 0 ]
check "FUA arrives" [ "$(requests ' Write .*offset=0x3fffe00 .*fua=1')" = 1 ]
check "trims arrive ($(requests ' Trim '))" [ "$(requests ' Trim ')" -gt 0 ]
bridge_stop
check "the bridge leaves with status 0" [ $? = 0 ]

# ---- the host reads what the guest wrote -------------------------------------------

server_end TERM "$qemu_nbd"
qemu-img check -q "$tmp/qcow2"
check "qemu-img check finds nothing" [ $? = 0 ]
qemu-img convert -O raw "$tmp/qcow2" "$tmp/raw"
e2fsck -fn "$tmp/raw" >"$tmp/fsck.log" 2>&1
check "e2fsck finds nothing" [ $? = 0 ]
sum=$(sed -n 's/^GUEST: sum //p' "$tmp/guest.log" | tr -d '\r')
debugfs -R "dump /busybox $tmp/busybox" "$tmp/raw" 2>/dev/null
check "the host reads the guest's file" \
	[ "$(sha256sum "$tmp/busybox" | cut -c 1-64)" = "$sum" ]
finish
