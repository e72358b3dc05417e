#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Overlays on the command line: made, written to (by FUSE), committed; and what
# is refused, in one line.
. "$(dirname "$0")/../lib/e2e.sh"

[ -c /dev/fuse ] || skip "there is no /dev/fuse"
fuse=${BRIDGE%/*}/ryll-fuse
trap 'e2e_cleanup; umount -l "$tmp/mnt" 2>/dev/null' EXIT
mkdir "$tmp/mnt"
head -c 8M /dev/urandom >"$tmp/base.raw"
cp "$tmp/base.raw" "$tmp/saved.raw"

# mounted IMAGE COMMAND...: the command runs while the image is a file.
mounted() {
	local image=$1 pid status
	shift
	: >"$tmp/fuse.log" # nothing of the last one
	"$fuse" --mount-rw "$image,name=disk" "$tmp/mnt" 2>"$tmp/fuse.log" &
	pid=$!
	e2e_pids="$e2e_pids $pid"
	eventually 10 grep -q 'mounted on' "$tmp/fuse.log" || return 1
	"$@"
	status=$?
	kill "$pid"
	wait "$pid" || return 1
	return $status
}

# refused PATTERN COMMAND...: fails with one line that matches.
refused() {
	local pattern=$1 out
	shift
	out=$("$@" 2>&1) && return 1
	[ "$(wc -l <<<"$out")" = 1 ] || { echo "$out"; return 1; }
	grep -qE -- "$pattern" <<<"$out" || { echo "$out"; return 1; }
}

patch_file() {
	printf 'changed here' | dd of="$1" bs=1 seek=123456 conv=notrunc status=none
}

cd "$tmp" || exit 1
check "a write through FUSE" mounted base.raw,overlay=one patch_file mnt/disk.img
patch_file saved.raw
check "it is seen in the merged view, by a relative path and an absolute one" \
	mounted "$tmp/base.raw,overlay=$tmp/one" cmp mnt/disk.img saved.raw
check "the base has not changed" \
	[ "$(cmp base.raw saved.raw | wc -l)" = 1 ]
check "the overlay takes little room" [ "$(used one)" -lt 100 ]
check "a snapshot takes writes" mounted base.raw,snapshot patch_file mnt/disk.img
check "and forgets them" \
	[ "$(cmp base.raw saved.raw | wc -l)" = 1 ]

cp base.raw moved.raw
check "a copy of the base will do" \
	mounted moved.raw,overlay=one cmp mnt/disk.img saved.raw
printf X | dd of=moved.raw bs=1 conv=notrunc status=none
check "a changed base is refused" refused 'another base, or its base has been changed' \
	"$fuse" moved.raw,overlay=one mnt
truncate -s 9M moved.raw
check "one of another size is refused" refused 'another base: that had another size' \
	"$fuse" moved.raw,overlay=one mnt
check "a file that is no overlay is refused" refused 'not an overlay' \
	"$fuse" base.raw,overlay=saved.raw mnt
check "an overlay in no folder is refused" refused 'No such file' \
	"$fuse" --mount-rw base.raw,overlay=nowhere/one mnt
check "overlay and snapshot exclude each other" refused 'both' \
	"$fuse" base.raw,overlay=one,snapshot mnt
check "a commit of what is no overlay is refused" refused 'not an overlay' \
	"$BRIDGE" --commit saved.raw
check "so is one of nothing" refused 'No such file' "$BRIDGE" --commit nothing
mv base.raw away.raw
check "and one without its base" refused 'lies over .*base.raw.*No such file' \
	"$BRIDGE" --commit one
mv away.raw base.raw

check "a commit" "$BRIDGE" --commit one
check "the base has it all" cmp base.raw saved.raw
check "the overlay is empty, and goes on" \
	mounted base.raw,overlay=one patch_file mnt/disk.img
check "a second commit" "$BRIDGE" --commit one
check "the base has it still" cmp base.raw saved.raw
finish
