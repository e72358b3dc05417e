#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A folder as a disk: fsck.vfat finds nothing, mtools and a guest kernel read
# every file, SeaBIOS its first sector. A file that is replaced meanwhile gives
# an I/O error, and nothing else does. 100,000 files in little memory.
. "$(dirname "$0")/../lib/e2e.sh"
export=$O/tests/e2e/image-export

# fsck_disk DISK LOG: nothing is wrong with the volume in it.
fsck_disk() {
	dd if="$1" of="$1.part" bs=1M skip=1 conv=sparse status=none
	fsck.vfat -n "$1.part" >"$2" 2>&1 || return 1
	rm "$1.part"
	# Two lines: the version, and how many files there are.
	[ "$(wc -l <"$2")" = 2 ]
}

f="$tmp/My folder, shared"
mkdir -p "$f/sub/deeper/deepest" "$f/empty" "$f/Größe und Maß"
head -c 9000000 /dev/urandom >"$f/large.bin"
head -c 300000 /dev/urandom >"$f/goes.bin"
head -c 300000 /dev/urandom >"$f/shrinks.bin"
head -c 65536 "$f/shrinks.bin" >"$f/shrinks.first"
for i in 0 1 511 512 4095 4096 4097 65537; do
	head -c $i /dev/urandom >"$f/sub/$i bytes.data"
done
for i in {1..300}; do
	echo "file $i" >"$f/sub/deeper/a rather long name, number $i.text"
done
echo deep >"$f/sub/deeper/deepest/README"
echo utf8 >"$f/Größe und Maß/日本語の長い名前のファイル 😀 と絵文字.txt"
echo long >"$f/$(printf '%0200d' 0).long"
ln -s ../large.bin "$f/sub/link to large"
(cd "$f" && find . -follow -type f -print0 | sort -z | xargs -0 sha256sum) \
	>"$tmp/sums"
cp "$tmp/sums" "$f/SUMS"
n=$(wc -l <"$tmp/sums")
# What cannot be shown:
ln -s /etc/passwd "$f/leak"
mkfifo "$f/fifo"
echo colon >"$f/a:b"

"$export" "dir:$f" "$tmp/disk" >"$tmp/export.log" 2>&1
check "the disk can be read" [ $? = 0 ]
check "what is left out is told" [ "$(grep -c 'left out: ' "$tmp/export.log")" = 3 ]
check "fsck.vfat finds nothing" fsck_disk "$tmp/disk" "$tmp/fsck.log"
mkdir "$tmp/copy"
MTOOLS_SKIP_CHECK=1 LC_ALL=C.UTF-8 mcopy -s -n -i "$tmp/disk@@1M" ::/ \
	"$tmp/copy" >"$tmp/mcopy.log" 2>&1
check "mtools copies all of it" [ $? = 0 ]
# (mtools makes two underscores of what is beyond 16 bits.)
mv "$tmp/copy/Größe und Maß"/*.txt \
	"$tmp/copy/Größe und Maß/日本語の長い名前のファイル 😀 と絵文字.txt"
check "every checksum of $n files holds" \
	eval '(cd "$tmp/copy" && sha256sum -c --quiet SUMS) >>"$tmp/mcopy.log" 2>&1'
check "and there is nothing else" \
	[ "$(find "$tmp/copy" -type f | wc -l)" = $((n + 1)) ]
rm -rf "$tmp/copy" "$tmp/disk"

# A guest, with the folder changing under it.
guest_initrd "$tmp/initrd" <<'SCRIPT'
. /lib.sh
wait_disk 1
wait_file /dev/sda1
[ "$(cat /sys/block/sda/ro)" = 1 ] && say "read-only"
mkdir -p /m
mount -t vfat -o ro,utf8 /dev/sda1 /m || exit 1
cd /m
sha256sum -c -s SUMS && say "all hold"
say "files $(find . -type f | wc -l)"
say "changeme"
read -r go
echo 3 >/proc/sys/vm/drop_caches
cat goes.bin >/dev/null 2>&1 || say "gone fails"
cat shrinks.bin >/dev/null 2>&1 || say "shrunk fails"
head -c 65536 shrinks.bin | cmp - shrinks.first && say "its beginning holds"
grep -v -e goes.bin -e shrinks.bin SUMS >/rest
sha256sum -c -s /rest && say "the rest holds"
exit 0
SCRIPT
serve "$tmp/s" --usb-disk "dir:${f//,/,,}"
# shellcheck disable=SC2046
guest_start "$tmp/initrd" "$tmp/guest.log" $(redir "$tmp/s")
says() {
	grep -aq "^GUEST: $1" "$tmp/guest.log"
}
need "a guest mounts it" guest_wait_line 'GUEST: changeme' 60
check "as a read-only disk" says "read-only"
check "every checksum holds in the guest" says "all hold"
check "and it has all files" says "files $((n + 1))\$"
head -c 300000 /dev/urandom >"$tmp/other"
mv "$tmp/other" "$f/goes.bin"
truncate -s 70000 "$f/shrinks.bin"
guest_send go
guest_wait 60
check "the guest ends well" [ $? = 0 ]
check "a replaced file gives an I/O error" says "gone fails"
check "a shorter one, too" says "shrunk fails"
check "but for what is left of it" says "its beginning holds"
check "all the others are as they were" says "the rest holds"
check "the log names the file" logged 'goes\.bin cannot be read: another file'
check "and the shorter one" logged 'shrinks\.bin cannot be read: it has become'
bridge_stop
check "the bridge leaves with status 0" [ $? = 0 ]

check "sectors of 4096 bytes are refused" eval '! "$BRIDGE" --stdio --usb-disk \
	"dir:${f//,/,,},sector=4096" </dev/null 2>"$tmp/sector.log" &&
	grep -q "needs sector=512" "$tmp/sector.log"'

# The MBR says on the screen, which is the serial port here, what it is about.
serve "$tmp/s" --usb-disk-ro "dir:${f//,/,,}"
qemu-system-x86_64 -M q35,graphics=off -m 64 -display none -nodefaults \
	-net none -serial "file:$tmp/bios.log" \
	-chardev "socket,id=r,path=$tmp/s,reconnect=1" -device qemu-xhci \
	-device usb-redir,chardev=r,bootindex=0 </dev/null 2>>"$tmp/qemu.log" &
qemu=$!
e2e_pids="$e2e_pids $qemu"
check "SeaBIOS runs its first sector" \
	eventually 20 grep -aqs "This disk is a folder" "$tmp/bios.log"
kill "$qemu"
wait "$qemu" 2>/dev/null
bridge_stop

# Many files: ten folders of 10,000.
for i in {0..9}; do
	mkdir -p "$tmp/many/folder $i"
	(cd "$tmp/many/folder $i" &&
		seq -f 'a file with a long name, %05.0f.text' 10000 |
		xargs -d '\n' touch)
	echo "last of $i" >"$tmp/many/folder $i/z"
done
start=${EPOCHREALTIME/./}
serve "$tmp/s" --usb-disk-ro "dir:$tmp/many"
ms=$(((${EPOCHREALTIME/./} - start) / 1000))
check "100,010 files are there after $ms ms" [ "$ms" -lt 10000 ]
rss=$(sed -n 's/^VmHWM:\s*\([0-9]*\) kB/\1/p' "/proc/$BRIDGE_PID/status")
check "and take $rss KiB of memory" [ "$rss" -lt 100000 ]
bridge_stop
"$export" "dir:$tmp/many" "$tmp/disk" >"$tmp/export.log" 2>&1
check "fsck.vfat finds nothing in these" fsck_disk "$tmp/disk" "$tmp/fsck.log"
# 100,010, ten folders and the label
check "and all of them" grep -q ' 100021 files' "$tmp/fsck.log"
MTOOLS_SKIP_CHECK=1 mtype -i "$tmp/disk@@1M" '::/folder 9/z' >"$tmp/z" 2>&1
check "the last one is read" [ "$(cat "$tmp/z")" = "last of 9" ]
finish
