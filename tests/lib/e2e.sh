# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# e2e.sh: what end-to-end tests share. A test is a bash script that begins with
#
#	. "$(dirname "$0")/../lib/e2e.sh"
#
# and has then: $tmp (a folder of its own, removed afterwards), the bridge as
# $BRIDGE, the functions below and those of guest.sh. It reports by check and
# ends by finish. All processes it started are ended, by id, on every exit.
set -u
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
O=${O:-$TESTS/../build}
BRIDGE=${BRIDGE:-$O/ryll-bridge}
FUSE=${BRIDGE%/*}/ryll-fuse
own_tmp=
if [ -n "${TEST_TMP-}" ]; then
	tmp=$TEST_TMP
else
	own_tmp=$(mktemp -d "${TMPDIR:-/tmp}/ryll-test.XXXXXX")
	tmp=$own_tmp
fi
. "$TESTS/lib/guest.sh"

e2e_results=0
e2e_failed=0
e2e_pids=
e2e_bridges=0

# What is mounted below $tmp, the last one first. Nobody is waited for: who has
# served it may be gone.
e2e_unmount() {
	local dir
	awk -v at="$tmp/" 'index($2, at) == 1 { print $2 }' /proc/self/mounts |
		tac | while read -r dir; do
		umount -l "$dir" 2>/dev/null || fusermount3 -uz "$dir"
	done
}

e2e_cleanup() {
	local pid
	set +e
	guest_cleanup
	for pid in $e2e_pids; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	e2e_unmount
	[ -z "$own_tmp" ] || rm -rf "$own_tmp"
}
trap e2e_cleanup EXIT
trap 'exit 1' TERM INT HUP

# check NAME COMMAND...: one result.
check() {
	local name=$1
	shift
	e2e_results=$((e2e_results + 1))
	if "$@"; then
		echo "ok $e2e_results - $name"
	else
		echo "not ok $e2e_results - $name ($*)"
		e2e_failed=$((e2e_failed + 1))
	fi
}

# A step without which the rest makes no sense.
need() {
	check "$@"
	[ "$e2e_failed" = 0 ] || finish
}

skip() {
	echo "SKIP: $*"
	exit 77
}

finish() {
	if [ "$e2e_failed" != 0 ]; then
		for log in "$tmp"/*.log; do
			[ ! -f "$log" ] || { echo "--- $log"; tail -n 40 "$log"; }
		done
		exit 1
	fi
	exit 0
}

# eventually SECONDS COMMAND...: until it succeeds.
eventually() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# bridge_start OPTION...: in the background; leaves BRIDGE_PID and BRIDGE_LOG.
bridge_start() {
	e2e_bridges=$((e2e_bridges + 1))
	BRIDGE_LOG=$tmp/bridge$e2e_bridges.log
	"$BRIDGE" "$@" 2>"$BRIDGE_LOG" &
	BRIDGE_PID=$!
	e2e_pids="$e2e_pids $BRIDGE_PID"
}

# bridge_stop [SIGNAL]: leaves its exit status as $?.
bridge_stop() {
	local pid=$BRIDGE_PID
	kill -s "${1:-TERM}" "$pid"
	{ wait "$pid"; } 2>/dev/null
}

# fuse_start OPTION... IMAGE... DIR: ryll-fuse, mounted; else as bridge_start.
fuse_start() {
	BRIDGE=$FUSE bridge_start "$@"
	mounted
}

# The bridge, or ryll-fuse, has mounted its images.
mounted() {
	eventually 10 logged "mounted on"
}

# The bridge's log has a line that matches.
logged() {
	grep -aqE -- "$1" "$BRIDGE_LOG"
}

is_socket() {
	[ -S "$1" ]
}

# serve SOCKET OPTION...: a bridge that listens on the unix socket SOCKET.
serve() {
	local socket=$1
	shift
	bridge_start --listen "unix:$socket" "$@"
	eventually 10 logged "listening on unix:$socket"
}

# A TCP port of loopback at which nobody listens, outside the range from which
# the system gives ports to clients. Ports just given out are not given again.
e2e_ports=" "
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		case $e2e_ports in *" $port "*) continue ;; esac
		cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
			grep -q "$(printf ':%04X ' "$port")" || break
	done
	E2E_PORT=$port
	e2e_ports="$e2e_ports$port "
}

# new_ports NAME...: sets each to a free port
new_ports() {
	local name
	for name; do
		free_port
		printf -v "$name" %s "$E2E_PORT"
	done
}

# The QEMU options of a guest with one redirected device per socket.
redir() {
	local i=0 socket
	echo "-device qemu-xhci,p2=8,p3=8"
	for socket; do
		echo "-chardev socket,id=r$i,path=$socket,reconnect=1"
		echo "-device usb-redir,chardev=r$i,id=u$i"
		i=$((i + 1))
	done
}

is_mounted() {
	mountpoint -q "$1"
}

# json FILE KEY: its value, as it is written.
json() {
	sed -n "s/^ *\"$2\": \(.*\)/\\1/p" "$1" | sed "s/,\$//"
}

has_fuse() {
	[ -w /dev/fuse ] && command -v fusermount3 >/dev/null
}

# By root, if there are any
can_loop() {
	[ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1
}

# Blocks in use by FILE, in KiB.
used() {
	du -k "$1" | cut -f 1
}
