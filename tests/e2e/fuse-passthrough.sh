#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where the library (3.17) and the kernel can, reads of a raw image do not pass
# the program at all: its counter stays where it was.
. "$(dirname "$0")/../lib/e2e.sh"

[ "$(id -u)" = 0 ] || skip "passthrough needs root"
[ -c /dev/fuse ] || skip "there is no /dev/fuse"
trap 'e2e_cleanup; umount -l "$tmp/mnt" 2>/dev/null' EXIT
mkdir "$tmp/mnt"
head -c 16M /dev/urandom >"$tmp/disk.raw"

"${BRIDGE%/*}/ryll-fuse" --verbose --mount-rw "$tmp/disk.raw" "$tmp/mnt" \
	2>"$tmp/fuse.log" &
pid=$!
e2e_pids="$e2e_pids $pid"
need "mounted" eventually 10 grep -q 'mounted on' "$tmp/fuse.log"
need "the kernel has answered" \
	eventually 10 grep -q 'kernel passthrough' "$tmp/fuse.log"
if ! grep -q 'kernel passthrough: yes' "$tmp/fuse.log"; then
	kill "$pid"
	wait "$pid"
	skip "the FUSE library or the kernel has no passthrough"
fi

counter() {
	sed -n 's/.*"bytes_'"$1"'": \([0-9]*\).*/\1/p' "$tmp/mnt/disk.json"
}
is() {
	[ "$(counter "$1")" = "$2" ]
}

check "the file has the image's bytes" cmp "$tmp/mnt/disk.img" "$tmp/disk.raw"
check "they did not pass the program" is read 0
# A writer is heard of, and who has the file open sees its bytes at once.
exec 3<"$tmp/mnt/disk.img"
check "three blocks are written" dd if=/dev/zero of="$tmp/mnt/disk.img" \
	bs=4k count=3 seek=5 conv=notrunc status=none
check "they passed the program" is written 12288
check "the reader sees them" cmp -n 12288 -i 20480:0 /dev/fd/3 /dev/zero
exec 3<&-
check "so does the image" cmp "$tmp/mnt/disk.img" "$tmp/disk.raw"
kill "$pid"
check "it ends with 0" wait "$pid"
check "and is unmounted" [ ! -e "$tmp/mnt/disk.img" ]
finish
