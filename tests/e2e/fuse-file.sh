#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# NAME.img and NAME.json without a guest: what stat, lseek, fallocate, fsync and
# the kernel's own file systems make of them; how a mount begins and ends.
. "$(dirname "$0")/../lib/e2e.sh"
extents=$O/tests/e2e/extents
has_fuse || skip "no /dev/fuse, or no fuse3"
m=$tmp/mnt
mkdir "$m" "$tmp/loop"

# fails TEXT COMMAND...: it does, and says so.
fails() {
	local text=$1
	shift
	"$@" >/dev/null 2>"$tmp/out" || {
		grep -qF -- "$text" "$tmp/out" && return 0
		cat "$tmp/out"
		return 1
	}
	echo "it succeeded"
	return 1
}

# The same for a program that cannot mount: one line, status 1.
refuses() {
	local text=$1 got
	shift
	timeout 10 "$@" >/dev/null 2>"$tmp/out"
	got=$?
	[ "$got" = 1 ] && [ "$(wc -l <"$tmp/out")" = 1 ] &&
		grep -qF -- "$text" "$tmp/out" && return 0
	echo "status $got: $(cat "$tmp/out")"
	return 1
}

# ends PID SECONDS: what we started and ended; leaves its status as $?.
ends() {
	eventually "$2" eval "! kill -0 $1 2>/dev/null" || return 99
	wait "$1"
}

opens_for_writing() {
	eval "exec 8>>\"\$1\"" && exec 8>&-
}

# The pretty-printed form of jansson, and all that the manual promises.
is_json() {
	local key
	for key in name source kind size used read_only file_writable attached \
		bytes_read bytes_written requests read write flush discard \
		zero failed; do
		grep -q "^ *\"$key\": " "$1" || return 1
	done
	[ "$(head -n 1 "$1")" = "{" ] && [ "$(tail -n 1 "$1")" = "}" ] || return 1
	! sed '1d; $d' "$1" | grep -vqE \
		'^ +(}|"[a-z_]+": ("([^"\\]|\\.)*"|[0-9]+|true|false|\{)),?$' ||
		return 1
	! command -v jq >/dev/null || jq . "$1" >/dev/null
}

# ---- read-only -----------------------------------------------------------------

# Data, a hole, data, a hole; another one of this name; one behind a comma.
mkdir "$tmp/other"
truncate -s 64M "$tmp/disk.raw"
head -c 1000000 /dev/urandom |
	dd of="$tmp/disk.raw" bs=4096 seek=256 conv=notrunc status=none
head -c 65536 /dev/urandom |
	dd of="$tmp/disk.raw" bs=1M seek=32 conv=notrunc status=none
head -c 1048576 /dev/urandom >"$tmp/other/disk.img"
head -c 2097152 /dev/urandom >"$tmp/a,b"
need "ryll-fuse mounts" fuse_start "$tmp/disk.raw" "$tmp/other/disk.img" \
	"$tmp/a,,b,name=named" mem:1M,name=mem "$m"
check "names" [ "$(ls "$m" | tr '\n' ' ')" = \
	"disk-2.img disk-2.json disk.img disk.json mem.img mem.json named.img named.json " ]
check "the second of a name" cmp "$m/disk-2.img" "$tmp/other/disk.img"
check "name=" cmp "$m/named.img" "$tmp/a,b"
check "size, blocks, mode" \
	[ "$(stat -c '%s %b %a' "$m/disk.img")" = "67108864 $(
		stat -c %b "$tmp/disk.raw") 444" ]
"$extents" "$tmp/disk.raw" >"$tmp/extents.raw"
"$extents" "$m/disk.img" >"$tmp/extents.img"
check "holes are where the image has them" eval \
	'cmp "$tmp/extents.raw" "$tmp/extents.img" && grep -q hole "$tmp/extents.img"'
cp --sparse=auto "$m/disk.img" "$tmp/copy"
check "a copy is sparse ($(used "$tmp/copy") KiB)" [ "$(used "$tmp/copy")" -lt 4096 ]
check "and the same" cmp "$tmp/copy" "$tmp/disk.raw"
pids=
for _ in 1 2 3 4; do
	cmp "$m/disk.img" "$tmp/disk.raw" &
	pids="$pids $!"
done
bad=0
for pid in $pids; do
	wait "$pid" || bad=1
done
check "four readers at once" [ "$bad" = 0 ]
check "stat -f: the size of all of them" [ "$(stat -f -c '%b %S' "$m")" = \
	"$(((64 + 1 + 2 + 1) * 256)) 4096" ]
check "stat -f: what is free, the holes of disk.raw" \
	[ "$(stat -f -c %f "$m")" = \
	"$((16384 - $(stat -c %b "$tmp/disk.raw") / 8))" ]
cp -f "$m/disk.json" "$m/named.json" "$tmp"
check "disk.json is JSON" is_json "$tmp/disk.json"
check "the source" \
	[ "$(json "$tmp/named.json" source)" = "\"$tmp/a,b\"" ]
check "kind, size" [ "$(json "$tmp/disk.json" kind) $(
	json "$tmp/disk.json" size)" = '"raw" 67108864' ]
check "used" [ "$(json "$tmp/disk.json" used)" = \
	"$(($(stat -c %b "$tmp/disk.raw") * 512))" ]
check "read-only, and so is its file, and there is no guest" \
	[ "$(json "$tmp/disk.json" read_only) $(
		json "$tmp/disk.json" file_writable) $(
		json "$tmp/disk.json" attached)" = "true false false" ]
check "bytes are counted" [ "$(json "$tmp/disk.json" bytes_read)" -gt 1000000 ]
check "opening for writing is EROFS" \
	fails "Read-only file system" opens_for_writing "$m/disk.img"
check "making a file, too" fails "Read-only file system" touch "$m/new"
check "others share an image that is read" \
	refuses "is in use" "$FUSE" --mount-rw "$tmp/disk.raw" "$tmp/loop"
# The owner of a file may make it longer.
cat "$m/disk-2.img" >/dev/null
head -c 1048576 /dev/urandom >>"$tmp/other/disk.img"
check "one that grows is read to its end" \
	cmp "$m/disk-2.img" "$tmp/other/disk.img"
check "and stat says how long it is" [ "$(stat -c %s "$m/disk-2.img")" = 2097152 ]
bridge_stop
check "status 0 at SIGTERM" [ $? = 0 ]
check "nothing is mounted any more" eval '! is_mounted "$m"'

# ---- a log that nobody reads, a file that becomes shorter ------------------------

head -c 1048576 /dev/urandom >"$tmp/short"
("$FUSE" "$tmp/short" "$m" 2>&1 >/dev/null; echo $? >"$tmp/status") | head -1 >"$tmp/out"  &
eventually 10 is_mounted "$m"
eventually 10 grep -q 'mounted on' "$tmp/out"
truncate -s 524288 "$tmp/short"
check "what is not there any more cannot be read" \
	fails "Input/output error" cat "$m/short.img"
check "what is there can" cmp -n 393216 "$tmp/short" "$m/short.img"
umount "$m"
check "a log that nobody reads ends nothing early" eventually 10 \
	eval '[ "$(cat "$tmp/status")" = 0 ]'

# ---- writable ------------------------------------------------------------------

f=$m/disk.img
truncate -s 64M "$tmp/w"
head -c 1048576 /dev/urandom >"$tmp/ro"
cp "$tmp/ro" "$tmp/ro.before"
need "ryll-fuse --mount-rw mounts" fuse_start --mount-rw "$tmp/w,name=disk" \
	"$tmp/ro,ro" "$m"
check "a writable image is 0644" [ "$(stat -c %a "$f" "$m/ro.img" | tr '\n' ' ')" \
	= "644 444 " ]
check "nobody writes a read-only image, not even root" fails "ermission denied" \
	dd if=/dev/zero of="$m/ro.img" bs=4096 count=1 conv=notrunc
check "nor disk.json" fails "ermission denied" \
	dd if=/dev/urandom of="$m/disk.json" bs=4096 count=1 conv=notrunc
check "which would be the image" cmp -n 4096 "$tmp/w" /dev/zero
check "no other files can be made" fails "" touch "$m/new"
check "nor folders" fails "" mkdir "$m/new"
check "nor can these be removed" fails "" rm -f "$f"
check "or renamed" fails "" mv "$f" "$m/new.img"
check "or get another mode" fails "not permitted" chmod 600 "$f"
head -c 3000000 /dev/urandom >"$tmp/data"
dd if="$tmp/data" of="$f" bs=1000000 seek=7 conv=notrunc status=none
check "what is written is in the image" \
	cmp -n 3000000 "$tmp/data" "$tmp/w" 0 7000000
check "O_TRUNC does nothing" eval ': >"$f" && cmp "$f" "$tmp/w" &&
	[ "$(stat -c %s "$f")" = 67108864 ]'
check "another size is refused" fails "Invalid argument" truncate -s 1M "$f"
check "the same one is not" truncate -s 64M "$f"
check "behind the end there is no space" fails "No space left" \
	dd if="$tmp/data" of="$f" bs=4096 count=1 seek=16384 conv=notrunc
dd if="$tmp/data" of="$f" bs=8192 count=1 seek=67104768 oflag=seek_bytes \
	conv=notrunc >"$tmp/out" 2>&1
check "what fits in front of it is written" \
	cmp -n 4096 "$tmp/data" "$tmp/w" 0 67104768
before=$(used "$tmp/w")
check "fallocate -p" fallocate -p -o 7M -l 2M "$f"
check "frees blocks" eval '[ $(used "$tmp/w") -le $((before - 2048)) ] &&
	[ "$(used "$f")" = "$(used "$tmp/w")" ]'
check "and they read as zeros" cmp -n 2097152 /dev/zero "$f" 0 7340032
check "fallocate -z" fallocate -z -o 9500001 -l 77777 "$f"
check "clears" cmp -n 77777 /dev/zero "$f" 0 9500001
check "and no more" eval 'cmp -n 1 "$f" "$tmp/data" 9500000 2500000 &&
	cmp -n 1 "$f" "$tmp/data" 9577778 2577778'
check "fallocate of more is refused" \
	fails "not supported" fallocate -l 80M "$f"
check "mkfs.ext4" mkfs.ext4 -Fq "$f"
if can_loop; then
	check "mount -o loop" mount -o loop "$f" "$tmp/loop"
	cp -r "$TESTS/e2e" "$tmp/loop"
	check "files hold" diff -r "$TESTS/e2e" "$tmp/loop/e2e"
	check "umount" umount "$tmp/loop"
	check "mount -o loop,ro" mount -o loop,ro "$f" "$tmp/loop"
	check "files still hold" diff -r "$TESTS/e2e" "$tmp/loop/e2e"
	check "umount again" umount "$tmp/loop"
else
	echo "ok - mount -o loop # SKIP not root, or no loop devices"
fi
cp -f "$m/disk.json" "$tmp"
check "disk.json is JSON now, too" is_json "$tmp/disk.json"
check "its file is writable" [ "$(json "$tmp/disk.json" file_writable)" = true ]
check "writes, discards, flushes are counted" \
	[ "$(json "$tmp/disk.json" bytes_written)" -gt 3000000 -a \
	"$(json "$tmp/disk.json" discard)" -gt 0 -a \
	"$(json "$tmp/disk.json" flush)" -gt 0 ]
check "and no failures" [ "$(json "$tmp/disk.json" failed)" = 0 ]
bridge_stop
check "status 0" [ $? = 0 ]
check "e2fsck on the image finds nothing" \
	eval 'e2fsck -fn "$tmp/w" >"$tmp/fsck.log" 2>&1'
check "the read-only one is untouched" cmp "$tmp/ro" "$tmp/ro.before"

# fsync, as a server sees it that writes down what it is asked for.
if command -v nbdkit >/dev/null; then
	nbdkit -f -U "$tmp/n" --filter=log memory 16M logfile="$tmp/requests" \
		2>"$tmp/nbdkit.log" &
	e2e_pids="$e2e_pids $!"
	eventually 10 is_socket "$tmp/n"
	need "an NBD server's disk" fuse_start --mount-rw \
		"nbd+unix:///?socket=$tmp/n,name=disk" "$m"
	flushes() {
		grep -cE -- ' Flush ' "$tmp/requests"
	}
	before=$(flushes)
	dd if="$tmp/data" of="$f" bs=4096 count=100 conv=notrunc status=none
	check "without fsync nothing is flushed" [ "$(flushes)" = "$before" ]
	dd if="$tmp/data" of="$f" bs=4096 count=1 conv=notrunc,fsync status=none
	check "fsync reaches it" [ "$(flushes)" = $((before + 1)) ]
	dd if="$tmp/data" of="$f" bs=4096 count=1 conv=notrunc,fdatasync \
		status=none
	check "fdatasync, too" [ "$(flushes)" = $((before + 2)) ]
	dd if="$tmp/data" of="$f" bs=4096 count=2 oflag=dsync conv=notrunc \
		status=none
	check "each O_DSYNC write, too" [ "$(flushes)" = $((before + 4)) ]
	check "disk.json has them" [ "$(json "$m/disk.json" flush)" = 4 ]
	check "what was written is read" cmp -n 409600 "$tmp/data" "$f"
	bridge_stop
	check "the end is a flush" [ "$(flushes)" -gt $((before + 4)) ]
else
	echo "ok - fsync # SKIP no nbdkit"
fi

# ---- overlays, folders ---------------------------------------------------------

head -c 33554432 /dev/urandom >"$tmp/base"
cp "$tmp/base" "$tmp/merged"
cp "$tmp/base" "$tmp/base.before"
overlay="$tmp/base,name=disk,overlay=$tmp/overlay"
need "an overlay" fuse_start --mount-rw "$overlay" "$m"
for at in 0 5000 1234567 8388608 33000000; do
	for to in "$f" "$tmp/merged"; do
		dd if="$tmp/data" of="$to" bs=30000 count=1 seek=$at \
			oflag=seek_bytes conv=notrunc status=none
	done
done
for to in "$f" "$tmp/merged"; do
	fallocate -p -o 4000000 -l 1000000 "$to"
done
check "what is written and what is not" cmp "$f" "$tmp/merged"
bridge_stop
need "the overlay again" fuse_start "$overlay" "$m"
check "reads that go over both files" cmp "$f" "$tmp/merged"
check "reads of 11 blocks at any offset" eval \
	'dd if="$f" bs=45057 status=none | cmp - "$tmp/merged"'
bridge_stop
need "a snapshot" fuse_start --mount-rw "$tmp/base,name=disk,snapshot" "$m"
check "is of the base" cmp "$f" "$tmp/base"
dd if="$tmp/data" of="$f" bs=1M conv=notrunc,fsync status=none
check "takes writes" cmp -n 3000000 "$f" "$tmp/data"
bridge_stop
check "the base is untouched by all of this" cmp "$tmp/base" "$tmp/base.before"

mkdir -p "$tmp/folder/sub" "$tmp/out.d"
cp "$TESTS"/e2e/*.sh "$tmp/folder"
cp "$tmp/data" "$tmp/folder/sub/A rather long name.data"
need "a folder" fuse_start "dir:$tmp/folder,name=disk" "$m"
MTOOLS_SKIP_CHECK=1 mcopy -s -n -i "$f@@1M" ::/ "$tmp/out.d" >"$tmp/mtools.log" 2>&1
check "mtools copies all of it" diff -r "$tmp/folder" "$tmp/out.d"
if can_loop && { grep -qw vfat /proc/filesystems || modprobe vfat; } 2>/dev/null
then
	check "the kernel mounts it" \
		mount -o loop,offset=1048576,ro,utf8 "$f" "$tmp/loop"
	check "with the same files" diff -r "$tmp/folder" "$tmp/loop"
	umount "$tmp/loop"
else
	echo "ok - mount of a folder's volume # SKIP no vfat, or not root"
fi
bridge_stop

# ---- how it begins ---------------------------------------------------------------

mkdir "$tmp/full"
: >"$tmp/full/file"
check "a folder that is not empty" \
	refuses "is not empty" "$FUSE" "$tmp/base" "$tmp/full"
check "no such folder" \
	refuses "does not exist" "$FUSE" "$tmp/base" "$tmp/nowhere"
check "a file" refuses "is not a folder" "$FUSE" "$tmp/base" "$tmp/data"
check "the bridge says so, too" refuses "does not exist" "$BRIDGE" \
	--usb-disk-ro "$tmp/base" --mount "$tmp/nowhere"
need "one that is mounted" fuse_start "$tmp/base" "$m"
check "a folder that has a mount" \
	refuses "is not empty" "$FUSE" "$tmp/data" "$m"
bridge_stop KILL
check "kill -9 leaves a mount behind" fails "not connected" ls "$m"
need "the next one takes its place" fuse_start "$tmp/base" "$m"
check "and works" cmp "$m/base.img" "$tmp/base"

# ---- how it ends -------------------------------------------------------------------

umount "$m" 2>/dev/null || fusermount3 -u "$m"
ends $BRIDGE_PID 5
check "unmounted by somebody else, it ends with 0" [ $? = 0 ]
check "and says so" logged "has been unmounted"
serve "$tmp/s" --usb-disk-ro "$tmp/base" --mount "$m"
mounted
umount "$m" 2>/dev/null || fusermount3 -u "$m"
check "the bridge says so" eventually 5 logged "has been unmounted"
sleep 0.2
check "and goes on listening" socat -u OPEN:/dev/null "UNIX-CONNECT:$tmp/s"
bridge_stop
check "until it is ended" [ $? = 0 ]
bridge_start --usb-disk-ro "$tmp/base" --mount "$m"
mounted
umount "$m" 2>/dev/null || fusermount3 -u "$m"
ends $BRIDGE_PID 5
check "with nothing else to do it ends" [ $? = 0 ]

mkfs.ext4 -Fq "$tmp/w"
for signal in TERM INT HUP; do
	need "mounted" fuse_start --mount-rw "$tmp/w,name=disk" "$m"
	exec 9<"$f"
	! can_loop || mount -o loop "$f" "$tmp/loop"
	start=${EPOCHREALTIME/./}
	kill -s $signal $BRIDGE_PID
	ends $BRIDGE_PID 5
	check "SIG$signal with a reader and a file system: status 0" [ $? = 0 ]
	ms=$(((${EPOCHREALTIME/./} - start) / 1000))
	check "after $ms ms" [ $ms -lt 2000 ]
	check "and it is unmounted" eval '! is_mounted "$m"'
	# At the first byte that the kernel does not have
	check "the reader gets an error" fails "" cat <&9
	exec 9<&-
	! can_loop || timeout 20 umount "$tmp/loop"
	check "the file system can be unmounted" [ $? = 0 ]
done
need "readers that do not stop" fuse_start "$tmp/base" "$m"
while cat "$m/base.img" 2>/dev/null; do :; done >/dev/null &
reader=$!
e2e_pids="$e2e_pids $reader"
sleep 0.3
kill $BRIDGE_PID
ends $BRIDGE_PID 2
check "do not hold it up" [ $? = 0 ]
wait $reader

# ---- without privileges ------------------------------------------------------------

# In a mount namespace of its own, where everybody may open /dev/fuse.
cat >"$tmp/nobody.sh" <<'SCRIPT'
cd "$1/nobody" || exit 1
mkdir mnt
result() {
	[ "$1" = 0 ] && echo "ok - nobody: $2" || echo "not ok - nobody: $2"
}
begin() {
	: >log # nothing of the last one
	"$TMPDIR/ryll-fuse" "$@" 2>log &
	pid=$!
	i=0
	until grep -q "mounted on" log; do
		i=$((i + 1))
		[ $i -lt 100 ] && kill -0 $pid 2>/dev/null || return 1
		sleep 0.05
	done
}
begin --mount-rw image mnt
result $? "mounts"
cmp image mnt/image.img
result $? "reads"
echo written | dd of=mnt/image.img conv=notrunc 2>/dev/null
[ "$(head -n 1 image)" = written ]
result $? "writes"
kill $pid
wait $pid
result $? "ends with 0"
! mountpoint -q mnt
result $? "unmounts"
begin image mnt
kill -KILL $pid
wait $pid 2>/dev/null
begin image mnt && cmp image mnt/image.img
result $? "takes the place of one that was killed"
fusermount3 -u mnt
wait $pid
result $? "is unmounted by fusermount3"
timeout 5 "$TMPDIR/ryll-fuse" --mount-allow-other image mnt 2>log
[ $? = 1 ] && [ $(grep -c ^ryll-fuse log) = 1 ] &&
	grep -q "^ryll-fuse.*user_allow_other" log
result $? "--mount-allow-other: $(tail -n 1 log)"
! mountpoint -q mnt
result $? "and then nothing is mounted"
SCRIPT
# fusermount3 looks into /etc/mtab before it unmounts; chroots may have none.
if [ "$(id -u)" = 0 ] && [ -e /etc/mtab ] && unshare -m true 2>/dev/null; then
	# $tmp is ours alone.
	home=$(mktemp -d "${TMPDIR:-/tmp}/ryll-nobody.XXXXXX")
	chmod 755 "$home"
	mkdir "$home/nobody"
	cp "$FUSE" "$tmp/nobody.sh" "$home"
	head -c 1000448 /dev/urandom >"$home/nobody/image"
	chown -R 65534:65534 "$home/nobody"
	: >"$home/fuse.conf"
	TMPDIR=$home timeout -k 5 60 unshare -m --propagation private sh -c '
		mknod -m 666 "$1/fuse" c 10 229
		mount --bind "$1/fuse" /dev/fuse
		[ ! -e /etc/fuse.conf ] ||
			mount --bind "$1/fuse.conf" /etc/fuse.conf
		exec setpriv --reuid 65534 --regid 65534 --clear-groups \
			sh "$1/nobody.sh" "$1"' sh "$home" >"$tmp/nobody.log" 2>&1
	cat "$tmp/nobody.log"
	check "all of this without privileges" eval \
		'[ $(grep -c ^ok "$tmp/nobody.log") = 9 ] &&
		! grep -q "^not ok" "$tmp/nobody.log"'
	rm -rf "$home"
else
	echo "ok - without privileges # SKIP not root, no mount point as /, or no /etc/mtab"
fi
finish
