#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A disk that a guest has, as a file here: what one side has written the other
# one reads at once, in both directions. A second disk is an overlay on a file
# system that becomes full.
. "$(dirname "$0")/../lib/e2e.sh"
has_fuse || skip "no /dev/fuse, or no fuse3"
command -v fio >/dev/null || skip "no fio"
m=$tmp/mnt
mkdir "$m" "$tmp/loop" "$tmp/small"
f=$m/disk.img
truncate -s 96M "$tmp/disk"
head -c 64M /dev/urandom >"$tmp/base"
cp "$tmp/base" "$tmp/base.before"
small=
if [ "$(id -u)" = 0 ] &&
	mount -t tmpfs -o size=8m tmpfs "$tmp/small" 2>/dev/null; then
	small=yes
fi

# The guest does what it is told.
guest_initrd "$tmp/initrd" fio dd mkfs.ext4 "$(guest_io)" <<'SCRIPT'
. /lib.sh
# of SECTORS: the disk of this size
of() {
	for d in /sys/block/sd*; do
		read -r size <$d/size
		[ $size != $1 ] || echo /dev/${d##*/}
	done
}
wait_disk 2
disk=$(of 196608) small=$(of 131072)
say "ready $disk $small"
while read -r line; do
	eval "$line"
done
SCRIPT

asked=0
# ask COMMAND: in the guest, which reads it as one line; its status.
ask() {
	asked=$((asked + 1))
	guest_send "{ ${*//$'\n'/ }; }; say \"did $asked: \$?\""
	guest_wait_line "^GUEST: did $asked: " 60 &&
		grep -aq "^GUEST: did $asked: 0" "$tmp/guest.log"
}

# job SEED OFFSET: random writes of all sizes, to be verified by either side
job() {
	echo "--name=v --randseed=$1 --offset=$2 --size=16m --rw=randwrite" \
		"--bsrange=4k-96k --verify=crc32c --verify_fatal=1" \
		"--ioengine=libaio --iodepth=8 --thread --minimal"
}

# on_host SEED OFFSET [OPTION...]: the job, on the file
on_host() {
	local -a words
	read -r -a words <<<"$(job "$1" "$2")"
	shift 2
	(cd "$tmp" && fio --filename="$f" "${words[@]}" "$@") \
		>>"$tmp/fio.log" 2>&1
}

pattern() {
	yes "$1 $2" | head -c 65536
}

serve "$tmp/s" --usb-disk "$tmp/disk" \
	--usb-disk "$tmp/base,name=small,overlay=$tmp/small/overlay" \
	--mount "$m" --mount-rw
need "the bridge mounts" mounted
check "no guest is attached" [ "$(json "$m/disk.json" attached)" = false ]
check "fio through the file, without a guest" on_host 1 0
check "again, past the cache" on_host 1 0 --verify_only --direct=1
check "no warning" eval '! logged warning'

# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" -m 512 $(redir "$tmp/s" "$tmp/s")
need "the guest has both disks" \
	guest_wait_line '^GUEST: ready /dev/sd. /dev/sd.' 90
check "it is attached" [ "$(json "$m/disk.json" attached)" = true ]
check "the guest finds what the host wrote" \
	ask "fio --filename=\$disk --direct=1 $(job 1 0) --verify_only"
check "the guest writes" ask "fio --filename=\$disk --direct=1 $(job 2 16m)"
check "reading makes no warning" eval \
	'cmp "$f" "$tmp/disk" && ! logged warning'
check "opening for writing" eval 'exec 8>>"$f"; exec 8>&-'
warnings() {
	grep -c 'opened for writing while a guest' "$BRIDGE_LOG"
}
check "is warned of, once" [ "$(warnings)" = 1 ]
check "the host finds what the guest wrote" \
	on_host 2 16m --verify_only
check "other bytes would be found out" eval \
	'ask "dd if=/bin/fio of=\$disk bs=64k count=1 seek=300 oflag=direct \
	conv=notrunc" && ! on_host 2 16m --verify_only'
check "the host writes over what the guest has read" \
	"$(guest_io)" pattern-write "$f" 0 16777216 3
check "and the guest finds it" \
	ask "guest-io pattern-check \$disk 0 16777216 3"

# The same place again and again: whoever keeps what it has read is found out.
bad=0
for i in {1..20}; do
	ask "yes 'guest $i' | head -c 65536 >/tmp/p &&
		dd if=/tmp/p of=\$disk bs=64k seek=512 oflag=direct conv=notrunc" ||
		bad=$((bad + 1))
	dd if="$f" bs=64k skip=512 count=1 2>/dev/null |
		cmp - <(pattern guest "$i") || bad=$((bad + 1))
	pattern host "$i" | dd of="$f" bs=64k seek=512 iflag=fullblock \
		conv=notrunc 2>/dev/null
	ask "dd if=\$disk of=/tmp/p bs=64k skip=512 count=1 iflag=direct &&
		yes 'host $i' | head -c 65536 | cmp - /tmp/p" || bad=$((bad + 1))
done
check "20 times each way, the other one sees it at once" [ "$bad" = 0 ]

check "the guest makes a file system" ask "mkfs.ext4 -Fq \$disk &&
	mount \$disk /mnt && cp /bin/busybox /bin/fio /mnt && sync"
if can_loop; then
	check "mount -o loop,ro,noload" \
		mount -o loop,ro,noload "$f" "$tmp/loop"
	check "shows the guest's files" eval \
		'cmp "$tmp/loop/fio" "$(command -v fio)" &&
		cmp "$tmp/loop/busybox" "$(command -v busybox)"'
	umount "$tmp/loop"
fi

if [ -n "$small" ]; then
	# WRITE(10) of 4 KiB; 07/27/07 is "space allocation failed".
	check "an overlay takes writes" \
		ask "guest-io pattern-write \$small 0 1048576 7"
	check "not more than there is room for" \
		ask "! guest-io pattern-write \$small 16777216 16777216 8"
	check "to the guest that is a failed allocation of space" ask \
		"dd if=/dev/zero bs=64k count=1 2>/dev/null |
		hexdump -v -e '1/1 \"%02x\"' >/tmp/hex;
		guest-io sgcmd \$small 2a000001000000000800 out \$(head -c 8192 /tmp/hex) |
		grep -qi 'sense=07/27/07'"
	check "the log says so" logged 'base: writing the image failed: No space left'
	check "the other disk does not mind" ask "ls -l /mnt && sync"
	check "the base is untouched" cmp "$tmp/base" "$tmp/base.before"
	check "what was written is still there" \
		ask "guest-io pattern-check \$small 0 1048576 7"
	mount -o remount,size=64m "$tmp/small"
	check "with more room it goes on" \
		ask "guest-io pattern-write \$small 16777216 16777216 8"
	check "and has it" eval \
		'ask "guest-io pattern-check \$small 16777216 16777216 8" &&
		"$(guest_io)" pattern-check "$m/small.img" 16777216 16777216 8'
	check "the rest is the base's" \
		cmp -n 16777216 "$m/small.img" "$tmp/base" 33554432 33554432
fi

guest_send "umount /mnt; exit 0"
guest_wait 60
check "the guest ends well" [ $? = 0 ]
detached() {
	[ "$(json "$m/disk.json" attached)" = false ]
}
check "it is not attached any more" eventually 10 detached
bridge_stop
check "the bridge leaves with status 0" [ $? = 0 ]
check "e2fsck finds nothing" eval 'e2fsck -fn "$tmp/disk" >"$tmp/fsck.log" 2>&1'
check "the base was never touched" cmp "$tmp/base" "$tmp/base.before"
finish
