# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# spice.sh: guests of which the USB devices come by SPICE, for end-to-end tests to
# source after e2e.sh.
#
#	need "the guest boots" spice_start 1 "$(plain "$PORT")"
#	bridge_start --usb-disk "$tmp/disk" --direct "127.0.0.1:$PORT"
#	check "it has the disk" guest_do "wait_disk"
#
# spice_start COUNT SPICE [QEMU-OPTION...] boots a guest with COUNT redirected
# devices, each on a channel of its own, and `-spice SPICE`; guest_do (guest.sh)
# runs commands in it; qmp and hmp speak with its QEMU. SPICE is for instance
#
#	port=N,addr=127.0.0.1,disable-ticketing=on	plain TCP
#	tls-port=N,addr=127.0.0.1,x509-dir=DIR,...	TLS only; see authority
#	unix=on,addr=PATH,...				a unix socket
#	...,password-secret=ticket			the ticket "secret word"
#	...,sasl=on					see sasl_users
#	...,tls-channel=usbredir			that channel by TLS only
#
# `openssl MIN MAX` before it: which versions of TLS.

# Lists of words; names and arguments for those who source this.
# shellcheck disable=SC2046,SC2034,SC2120
TICKET="secret word"
SPICE_INITRD=$tmp/spice.initrd
GUEST_MONITOR=$tmp/monitor
spice_boots=0

qemu-system-x86_64 -spice help 2>&1 | grep -q tls-port ||
	skip "this QEMU has no SPICE"

# The common forms
plain() {
	echo "port=$1,addr=127.0.0.1,disable-ticketing=on"
}

# tls PORT [DIR]: of a server with the certificate in DIR, see authority
tls() {
	echo "tls-port=$1,addr=127.0.0.1,disable-ticketing=on,x509-dir=${2-$tmp/ca}"
}

# spice_devices COUNT: QEMU's options for them
spice_devices() {
	local i
	echo "-device qemu-xhci,p2=8,p3=8"
	for ((i = 0; i < $1; i++)); do
		echo "-chardev spicevmc,id=c$i,name=usbredir"
		echo "-device usb-redir,chardev=c$i,id=u$i"
	done
}

# spice_image [PROGRAM...]: what spice_start boots
spice_image() {
	{
		cat <<-'SCRIPT'
			. /lib.sh
			# disk_at N: the disk in the Nth redirected device
			disk_at() {
				for d in /sys/block/sd*; do
					case $(readlink -f $d) in
					*/usb2/2-$1/*) echo /dev/${d##*/} ;;
					esac
				done
			}
		SCRIPT
		guest_shell
	} | guest_initrd "$SPICE_INITRD" "$(guest_io)" "$@"
}

# spice_start COUNT SPICE [QEMU-OPTION...]: until it takes commands.
spice_start() {
	spice_boot "$@" && guest_wait_line '^GUEST: ready' 60
}

# The same, but does not wait.
spice_boot() {
	local count=$1 spice=$2
	shift 2
	spice_boots=$((spice_boots + 1))
	[ -f "$SPICE_INITRD" ] || spice_image || return 1
	rm -f "$GUEST_MONITOR"
	guest_start "$SPICE_INITRD" "$tmp/guest$spice_boots.log" \
		-object "secret,id=ticket,data=$TICKET" -spice "$spice" \
		$(spice_devices "$count") "$@"
}

# machine_start COUNT SPICE [QEMU-OPTION...]: a machine without a system, for what
# needs none: it answers, and takes devices. Its monitor is $MACHINE_MONITOR.
machines=0
machine_start() {
	local count=$1 spice=$2 i
	shift 2
	machines=$((machines + 1))
	MACHINE_MONITOR=$tmp/machine$machines.monitor
	qemu-system-x86_64 -M q35 -m 64 -display none -nodefaults -net none \
		-qmp "unix:$MACHINE_MONITOR,server=on,wait=off" \
		-object "secret,id=ticket,data=$TICKET" -spice "$spice" \
		$(spice_devices "$count") "$@" \
		</dev/null >"$tmp/machine$machines.log" 2>&1 &
	MACHINE_PID=$!
	e2e_pids="$e2e_pids $MACHINE_PID"
	for ((i = 0; i < 100; i++)); do
		[ ! -S "$MACHINE_MONITOR" ] || return 0
		sleep 0.05
	done
	return 1
}

machine_stop() {
	kill "$MACHINE_PID"
	{ wait "$MACHINE_PID"; } 2>/dev/null
}

# machine FUNCTION...: one of those below, of the machine
machine() {
	GUEST_MONITOR=$MACHINE_MONITOR "$@"
}

# attaches OPTION...: a machine gets a device from a bridge with these; this one
# then ends in order.
attaches() {
	local good=yes
	bridge_start --usb-disk "$tmp/disk" "$@"
	eventually 10 logged attached || good=no
	if ! kill -0 "$BRIDGE_PID" 2>/dev/null; then
		good=no
	elif ! bridge_stop; then
		good=no
	fi
	[ $good = yes ] || { sed 's/^/# /' "$BRIDGE_LOG"; return 1; }
}

# spice_listens PORT: somebody does.
spice_listens() {
	grep -qi "0100007F:$(printf %04X "$1") 00000000:0000 0A" /proc/net/tcp
}

# ---- QEMU's side of a session --------------------------------------------------

# set_ticket TEXT SECONDS: from now on; 0: it has expired
set_ticket() {
	qmp '"execute": "set_password", "arguments": {"protocol": "spice",
		"password": "'"$1"'"}' >/dev/null &&
		qmp '"execute": "expire_password", "arguments": {
		"protocol": "spice", "time": "'"${2:++}$2"'"}' >/dev/null
}

# Who is connected: "TYPE:ID" of each channel, one a line.
spice_channels() {
	qmp '"execute": "query-spice"' | grep -o '"channel-type": [0-9]*\|"channel-id": [0-9]*' |
		awk '{ v[$1] = $2 } v["\"channel-type\":"] != "" && v["\"channel-id\":"] != "" {
			print v["\"channel-type\":"] ":" v["\"channel-id\":"]; delete v
		}' | sort
}

# has_channels COUNT: so many usbredir channels are in use.
has_channels() {
	[ "$(spice_channels | grep -c '^9:')" = "$1" ]
}

# ---- certificates ----------------------------------------------------------------

# authority DIR [DNS-NAME]: a CA and the certificate of a server in DIR, as QEMU's
# x509-dir wants them; the subject has a comma in it. As SPICE writes that:
SUBJECT='C=AT,O=Ryll\, tests,CN=vm one'
authority() {
	local dir=$1 name
	mkdir "$dir" || return 1
	for name in ca server; do
		certtool --generate-privkey --key-type rsa --bits 2048 \
			--outfile "$dir/$name-key.pem" || return 1
	done 2>>"$tmp/certtool.log"
	cat >"$dir/ca.cfg" <<-EOT
		dn = "C=AT,O=Ryll tests,CN=authority ${dir##*/}"
		ca
		cert_signing_key
		expiration_days = 30
	EOT
	cat >"$dir/server.cfg" <<-EOT
		country = AT
		organization = "Ryll, tests"
		cn = "vm one"
		dns_name = "${2:-localhost}"
		tls_www_server
		encryption_key
		signing_key
		expiration_days = 30
	EOT
	[ -z "${2-}" ] && echo 'ip_address = "127.0.0.1"' >>"$dir/server.cfg"
	certtool --generate-self-signed --template "$dir/ca.cfg" \
		--load-privkey "$dir/ca-key.pem" \
		--outfile "$dir/ca-cert.pem" 2>>"$tmp/certtool.log" &&
		certtool --generate-certificate --template "$dir/server.cfg" \
			--load-privkey "$dir/server-key.pem" \
			--load-ca-certificate "$dir/ca-cert.pem" \
			--load-ca-privkey "$dir/ca-key.pem" \
			--outfile "$dir/server-cert.pem" 2>>"$tmp/certtool.log"
}

# openssl_versions MIN MAX: for QEMUs that are started from now on; none: any
openssl_versions() {
	unset OPENSSL_CONF
	[ $# = 0 ] && return
	cat >"$tmp/openssl.cnf" <<-EOT
		openssl_conf = main
		[main]
		ssl_conf = ssl
		[ssl]
		system_default = versions
		[versions]
		MinProtocol = $1
		MaxProtocol = $2
	EOT
	export OPENSSL_CONF=$tmp/openssl.cnf
}

# ---- connection files ---------------------------------------------------------------

# connection FILE [KEY=VALUE...]: as virt-viewer reads it. Values are text: line
# ends and backslashes are written as such a file has them.
connection() {
	local file=$1 pair value
	shift
	{
		printf '[virt-viewer]\ntype=spice\n'
		for pair; do
			value=${pair#*=}
			value=${value//\\/\\\\}
			value=${value//$'\n'/\\n}
			printf '%s=%s\n' "${pair%%=*}" "$value"
		done
	} >"$file"
}

# ---- SASL ------------------------------------------------------------------------------

# sasl_users MECHANISMS USER PASSWORD: QEMU (sasl=on) knows that user.
sasl_users() {
	mkdir -p "$tmp/sasl"
	rm -f "$tmp/sasl/db"
	cat >"$tmp/sasl/qemu.conf" <<-EOT
		mech_list: $1
		pwcheck_method: auxprop
		auxprop_plugin: sasldb
		sasldb_path: $tmp/sasl/db
	EOT
	printf %s "$3" | PATH=$PATH:/usr/sbin saslpasswd2 -p -c -a qemu \
		-f "$tmp/sasl/db" -u ryll "$2" && export SASL_CONF_PATH=$tmp/sasl
}

# ---- in between --------------------------------------------------------------------------

# relay PORT TARGET-PORT [MB/S]: passes on what comes; leaves RELAY_PID and
# RELAY_LOG. Killed, it takes its connections with it.
relay() {
	RELAY_LOG=$tmp/relay$1.log
	"$O/tests/bench/relay" "$@" >"$RELAY_LOG" 2>&1 &
	RELAY_PID=$!
	e2e_pids="$e2e_pids $RELAY_PID"
	eventually 5 spice_listens "$1"
}

relay_stop() {
	kill -KILL "$RELAY_PID"
	{ wait "$RELAY_PID"; } 2>/dev/null
}

# relayed: bytes so far, "to the server" and "from the server"
relayed() {
	kill -USR1 "$RELAY_PID"
	sleep 0.2
	tail -n 1 "$RELAY_LOG"
}

# http_proxy PORT [USER:PASSWORD]: one that speaks CONNECT; leaves PROXY_LOG.
http_proxy() {
	PROXY_LOG=$tmp/proxy$1.log
	PROXY_AUTH=${2-} socat "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr" \
		"EXEC:$TESTS/lib/http-proxy" 2>>"$PROXY_LOG" &
	e2e_pids="$e2e_pids $!"
	eventually 5 spice_listens "$1"
}

# fake_server PORT SCRIPT [TICKET]: see e2e/spice-server.c; leaves FAKE_PID, FAKE_LOG.
fake_servers=0
fake_server() {
	fake_servers=$((fake_servers + 1))
	FAKE_LOG=$tmp/server$fake_servers.log
	"$O/tests/e2e/spice-server" "$@" >"$FAKE_LOG" 2>&1 &
	FAKE_PID=$!
	e2e_pids="$e2e_pids $FAKE_PID"
	eventually 5 grep -q LISTENING "$FAKE_LOG"
}

# Fails if the server had to complain about its client.
fake_server_stop() {
	kill "$FAKE_PID" 2>/dev/null
	{ wait "$FAKE_PID"; } 2>/dev/null
}

# viewer [OPTION...]: spice-gtk's client, on a screen of its own; VIEWER_LOG.
viewer() {
	VIEWER_LOG=$tmp/spicy.log
	: >"$tmp/display"
	Xvfb -displayfd 3 -screen 0 800x600x24 -nolisten tcp \
		3>"$tmp/display" >"$tmp/xvfb.log" 2>&1 &
	viewer_pids=$!
	e2e_pids="$e2e_pids $viewer_pids"
	eventually 10 [ -s "$tmp/display" ] || return 1
	HOME=$tmp DISPLAY=:$(cat "$tmp/display") spicy --spice-disable-audio \
		"$@" >"$VIEWER_LOG" 2>&1 &
	VIEWER_PID=$!
	viewer_pids="$VIEWER_PID $viewer_pids"
	e2e_pids="$e2e_pids $VIEWER_PID"
}

viewer_stop() {
	local pid
	for pid in $viewer_pids; do
		kill "$pid"
		wait "$pid"
	done 2>/dev/null
}

# ---- what a client says when it cannot -------------------------------------------------

# refused PATTERN OPTION...: the bridge ends with status 1 and one line, which
# matches; with as many as LINES_SAID says.
refused() {
	local pattern=$1 status lines want=${LINES_SAID:-1}
	shift
	e2e_bridges=$((e2e_bridges + 1))
	BRIDGE_LOG=$tmp/bridge$e2e_bridges.log
	timeout 20 "$BRIDGE" "$@" 2>"$BRIDGE_LOG" </dev/null
	status=$?
	lines=$(wc -l <"$BRIDGE_LOG")
	if [ "$status" != 1 ] || [ "$lines" != "$want" ] || ! logged "$pattern"; then
		echo "# status $status, $lines lines, expected 1, $want, $pattern:"
		sed 's/^/# /' "$BRIDGE_LOG"
		return 1
	fi
}
