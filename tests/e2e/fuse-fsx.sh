#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Random operations on NAME.img against a model (fsx.c): images of every kind,
# in the kernel's cache and past it. What was written is in the image.
. "$(dirname "$0")/../lib/e2e.sh"
fsx=$O/tests/e2e/fsx
ops=${FSX_OPS:-3000}
seed=${FSX_SEED:-$((RANDOM * 32768 + RANDOM))}
has_fuse || skip "no /dev/fuse, or no fuse3"

mkdir "$tmp/mnt"
# Its last unit of 4096 bytes is not whole.
size=$((3 * 1048576 + 512))
head -c $size /dev/urandom >"$tmp/start"
head -c $((4 * 1048576)) /dev/urandom >"$tmp/start-4m"

# run NAME OPTION...: fsx on disk.img, which has become the model afterwards.
run() {
	local name=$1
	shift
	seed=$((seed + 1))
	check "$name, seed $seed" "$fsx" -n "$ops" -s $seed -o "$tmp/model" \
		"$@" "$tmp/mnt/disk.img"
}

# in_image FILE...: an export of it has ended; what is in FILE is the model.
in_image() {
	bridge_stop
	check "... it ends with status 0" [ $? = 0 ]
	check "... and the image has it" cmp "$1" "$tmp/model"
}

cached() {
	fuse_start --mount-rw "$@" "$tmp/mnt"
}

past() {
	bridge_start --mount "$tmp/mnt" --mount-rw --usb-disk "$@"
	mounted
}

cp "$tmp/start" "$tmp/raw"
need "ryll-fuse" cached "$tmp/raw,name=disk"
run "raw, cached" -i "$tmp/start" -w
cp "$tmp/model" "$tmp/before"
run "raw, O_DIRECT" -i "$tmp/before" -d -b 512
in_image "$tmp/raw"

cp "$tmp/start" "$tmp/raw"
need "ryll-bridge" past "$tmp/raw,name=disk"
run "raw, past the cache" -i "$tmp/start"
cp "$tmp/model" "$tmp/before"
run "raw, O_DIRECT past the cache" -i "$tmp/before" -d -b 512
in_image "$tmp/raw"

# The second run finds some of the units in the overlay.
cp "$tmp/start" "$tmp/base"
need "an overlay" cached "$tmp/base,name=disk,overlay=$tmp/overlay"
run "overlay, cached" -i "$tmp/start" -w -n 100
bridge_stop
cp "$tmp/model" "$tmp/before"
need "the overlay again" past "$tmp/base,name=disk,overlay=$tmp/overlay"
run "overlay, past the cache" -i "$tmp/before"
cp "$tmp/model" "$tmp/before"
run "overlay, O_DIRECT" -i "$tmp/before" -d -b 512
bridge_stop
check "... the base is untouched" cmp "$tmp/base" "$tmp/start"
check "... --commit" "$BRIDGE" --commit "$tmp/overlay"
check "... and the base has it" cmp "$tmp/base" "$tmp/model"

need "memory" cached mem:4M,name=disk
run "mem:, cached" -w
bridge_stop
need "memory, by the bridge" past mem:4M,name=disk
run "mem:, past the cache"
bridge_stop

if command -v nbdkit >/dev/null; then
	cp "$tmp/start-4m" "$tmp/nbd"
	nbdkit -f -U "$tmp/n" --filter=blocksize-policy file "$tmp/nbd" \
		blocksize-minimum=4096 blocksize-preferred=65536 \
		blocksize-error-policy=error 2>"$tmp/nbdkit.log" &
	e2e_pids="$e2e_pids $!"
	eventually 10 is_socket "$tmp/n"
	uri="nbd+unix:///?socket=$tmp/n"
	need "NBD" cached "$uri,name=disk"
	run "nbd with blocks of 4096, cached" -i "$tmp/start-4m" -w
	in_image "$tmp/nbd"
	cp "$tmp/model" "$tmp/before"
	need "NBD, by the bridge" past "$uri,name=disk"
	run "nbd with blocks of 4096, past the cache" -i "$tmp/before"
	in_image "$tmp/nbd"
	need "an overlay over NBD" past \
		"$uri,name=disk,overlay=$tmp/overlay-nbd"
	cp "$tmp/model" "$tmp/before"
	run "overlay over nbd" -i "$tmp/before"
	bridge_stop
	check "... the server's file is untouched" cmp "$tmp/nbd" "$tmp/before"
else
	echo "ok - nbd # SKIP no nbdkit"
fi
finish
