#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The command line: what is wrong gets one line that names the thing, and the
# right exit status.
. "$(dirname "$0")/../lib/e2e.sh"

truncate -s 1M "$tmp/img"
: >"$tmp/empty"
mkdir "$tmp/folder"
mkfifo "$tmp/fifo"

# says STATUS TEXT OPTION...: it ends so, with one line that has the text.
says() {
	local status=$1 text=$2 got lines
	shift 2
	timeout 10 "$BRIDGE" "$@" >/dev/null 2>"$tmp/out" </dev/null
	got=$?
	lines=$(wc -l <"$tmp/out")
	[ "$got" = "$status" ] && [ "$lines" = 1 ] &&
		grep -qF -- "$text" "$tmp/out" && return 0
	echo "status $got, $lines lines: $(cat "$tmp/out")"
	return 1
}

disk="--usb-disk $tmp/img"
check "no arguments" says 2 "--usb-disk"
check "nowhere to go" says 2 "--listen, --connect" $disk
check "an unknown option" says 2 "--frob" $disk --frob
check "a missing argument" says 2 "--listen needs" $disk --listen
check "a stray word" says 2 '"stray"' $disk --listen unix:x stray
check "an unknown disk option" says 2 '"colour=red"' \
	--usb-disk "$tmp/img,colour=red" --listen "unix:$tmp/s"
check "a bad serial" says 2 "serial" \
	--usb-disk "$tmp/img,serial=a b" --listen "unix:$tmp/s"
check "a bad sector size" says 2 "sector=513" \
	--usb-disk "$tmp/img,sector=513" --listen "unix:$tmp/s"
check "a CD-ROM's sectors are given" says 2 'CD-ROM has no option "sector=512"' \
	--usb-cdrom "$tmp/img,sector=512" --listen "unix:$tmp/s"
check "a folder is no CD-ROM" says 1 "is no CD-ROM" \
	--usb-cdrom "dir:$tmp/folder" --listen "unix:$tmp/s"
check "too many images on a device" says 2 "more than 16 images" \
	--usb-disk "$(printf 'x%.0s+' {1..16})x" --listen "unix:$tmp/s"
check "no image behind a plus sign" says 2 "no path" \
	--usb-disk "$tmp/img+" --listen "unix:$tmp/s"
check "a plus sign that was not meant so" says 1 \
	"$tmp/none No such file or directory (a plus sign in a path is written ++)" \
	--usb-disk "$tmp/none+$tmp/img" --listen "unix:$tmp/s"
check "two plus signs that were" says 1 "$tmp/c+.img No such file or directory (" \
	--usb-disk "$tmp/c++.img" --listen "unix:$tmp/s"
check "none of this where no plus sign is" bash -c \
	"! $BRIDGE --usb-disk $tmp/none --run true 2>&1 | grep -q plus"
check "images on one device count once" says 2 "2 --connect but 1 devices" \
	--usb-disk "$tmp/img+$tmp/empty" --connect unix:a --connect unix:b
check "the second image is empty" says 1 "smaller than one block" \
	--usb-disk "$tmp/img+$tmp/empty" --listen "unix:$tmp/s"
check "a bad address" says 2 '"udp:x:1"' $disk --listen udp:x:1
check "a bad port" says 2 "65535" $disk --listen tcp:x:65536
check "IPv6 without brackets" says 2 "brackets" $disk --listen tcp:::1:80
check "a path too long for a socket" says 2 "107" \
	$disk --listen "unix:/$(head -c 120 /dev/zero | tr '\0' x)"
check "more peers than devices" says 2 "2 --connect but 1 devices" \
	$disk --connect unix:a --connect unix:b
check "a missing image" says 1 "$tmp/none No such file" \
	--usb-disk "$tmp/none" --listen "unix:$tmp/s"
check "a folder" says 1 "is a folder" --usb-disk "$tmp/folder" --listen unix:x
check "a FIFO" says 1 "neither" --usb-disk "$tmp/fifo" --listen unix:x
check "an empty image" says 1 "smaller than one block" \
	--usb-disk "$tmp/empty" --listen "unix:$tmp/s"
check "a socket path that is a file" says 1 "exists already" \
	$disk --listen "unix:$tmp/img"
check "an address that is not ours" says 1 "tcp:203.0.113.1:9" \
	$disk --insecure --listen tcp:203.0.113.1:9

serve "$tmp/s" --usb-disk "$tmp/img"
check "a busy image" says 1 "$tmp/img is in use" $disk --listen "unix:$tmp/s3"
check "a busy image, read-only" says 1 "is in use" \
	--usb-disk-ro "$tmp/img" --listen "unix:$tmp/s3"
"$BRIDGE" --list --usb-disk "$tmp/img" >"$tmp/list"
check "--list names a busy image and why" \
	grep -q "$tmp/img.*in use" "$tmp/list"
bridge_stop KILL
truncate -s 2M "$tmp/ro"
serve "$tmp/s" --usb-disk-ro "$tmp/ro"
check "a stale socket is replaced" is_socket "$tmp/s"
check "readers share an image" bash -c \
	"$BRIDGE --usb-disk-ro $tmp/ro --run true 2>/dev/null"
check "a writer does not join them" says 1 "in use" \
	--usb-disk "$tmp/ro" --listen "unix:$tmp/s4"
bridge_stop

"$BRIDGE" $disk --run 'test -S "$RYLL_SOCKET"; exit 7' 2>/dev/null
check "--run ends with the command's status" [ $? = 7 ]
"$BRIDGE" $disk --run 'kill -9 $$' 2>/dev/null
check "--run tells of a signal" [ $? = 137 ]
bridge_start $disk --run 'exec sleep 100'
eventually 10 logged "listening on"
bridge_stop TERM
check "SIGTERM reaches the command, and its status counts" [ $? = 143 ]
bridge_start $disk --connect tcp:no-such-host.invalid:1
sleep 0.5 # it is looking the name up, or has failed and waits
start=$SECONDS
bridge_stop TERM
check "SIGTERM ends it while a name is looked up" \
	[ $? = 0 -a $((SECONDS - start)) -le 3 ]
check "--run leaves no folder behind" \
	bash -c '! ls -d ${TMPDIR:-/tmp}/ryll-??????/socket 2>/dev/null'
check "--show-limits" bash -c "$BRIDGE --show-limits | grep -q connections"
check "--version" bash -c "$BRIDGE --version | grep -q '^ryll-bridge [0-9]'"
check "--stdio ends with its session" bash -c \
	"$BRIDGE --stdio $disk </dev/null 2>/dev/null | head -c 4 | od -An -tx1 |
	grep -q '00 00 00 00'"
truncate -s 1000 "$tmp/odd"
"$BRIDGE" --usb-disk "$tmp/odd" --run true 2>"$tmp/odd.err"
check "a size that is no multiple of 512 is rounded down with a warning" \
	grep -q "last 488 bytes" "$tmp/odd.err"
cp "$tmp/img" "$tmp/a,b"
check "a comma in a path" bash -c \
	"$BRIDGE --usb-disk '$tmp/a,,b' --run true 2>/dev/null"
cp "$tmp/img" "$tmp/c++.img"
check "plus signs in a path" bash -c \
	"$BRIDGE --usb-disk '$tmp/c++++.img' --run true 2>/dev/null"
finish
