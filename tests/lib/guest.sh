# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# guest.sh: small Linux guests under emulation, for tests to source (bash).
# Works with set -eu.  Needs neither root, KVM nor a guest image.
#
#	. tests/lib/guest.sh
#	trap guest_cleanup EXIT
#	guest_initrd "$tmp/initrd" mkfs.ext4 "$(guest_io)" <<'SCRIPT'
#	. /lib.sh
#	wait_disk 1
#	mkfs.ext4 -Fq /dev/sda && say made
#	SCRIPT
#	guest_run "$tmp/initrd" "$tmp/log" -device qemu-xhci ...
#
# The script's input is the console, a terminal: it may read what guest_send
# types, and programs may ask questions (so -F above).
#
# Settings, all optional:
#	GUEST_TIMEOUT	seconds that guest_run and guest_wait allow (120)
#	GUEST_APPEND	more kernel parameters; those named module.parameter reach
#			the modules, and guest.skip=uas,... leaves modules out
#	GUEST_MODULES	more modules to load, at guest_initrd
#	GUEST_MONITOR	path of a socket for QEMU's monitor; needed by hmp, qmp
#	GUEST_ACCEL	QEMU's -accel
#	GUEST_KHZ	of the guest's time stamp counter, if not this machine's
#	QEMU		the emulator
#
# guest_start leaves GUEST_PID, GUEST_LOG and GUEST_IN; the functions that take
# no guest mean that one.  For two guests at once, save and restore the three.

# Arguments come from the tests, which shellcheck does not see here.
# shellcheck disable=SC2119,SC2120

GUEST_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
GUEST_PID=
GUEST_LOG=
GUEST_IN=
declare -A GUEST_LIVE=()	# pid of each running QEMU -> its input's fd

guest_die() {
	printf 'guest: %s\n' "$*" >&2
	return 1
}

guest_khz=

guest_cache() {
	printf '%s\n' "${RYLL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ryll-bridge}"
}

# guest_program NAME: print the path of lib/NAME.c as a static program, built
# when the cache has none of this source.
guest_program() {
	local src=$GUEST_LIB/$1.c dir out

	dir=$(guest_cache)
	out=$dir/$1-$(sha256sum <"$src" | cut -c 1-16)/$1
	if [ ! -x "$out" ]; then
		mkdir -p "${out%/*}"
		if ! "${CC:-gcc}" -O2 -static -pthread -o "$out.$$" "$src"; then
			guest_die "cannot build $1"
			return 1
		fi
		mv "$out.$$" "$out"
	fi
	touch "${out%/*}"	# in use: see where old ones are removed
	printf '%s\n' "$out"
}

guest_io() {
	guest_program guest-io
}

# ---- the initramfs -----------------------------------------------------------

# Controllers come first: their ports are looked at in the background while the
# rest is loaded.
guest_modules="xhci-pci ehci-pci usb-storage uas sd_mod virtio_pci virtio_blk
virtio_console ext4 vfat nls_cp437 nls_iso8859-1 nls_ascii nls_utf8"

guest_init_script() {
	cat <<'INIT'
#!/bin/sh
# Runs as the guest's process 1: modules, the test, power off.
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
# Logs hold what the guest says, not what it is told, and plain line ends.
stty -echo -onlcr

# Like modprobe, and unlike insmod: give modules what the command line has for
# them.
read -r cmdline </proc/cmdline
skip=
for word in $cmdline; do
	case $word in
	guest.skip=*) skip=,${word#*=}, ;;
	esac
done
while read -r file; do
	name=${file%.ko}
	case ${skip//-/_} in
	*,${name//-/_},*) continue ;;
	esac
	options=
	for word in $cmdline; do
		key=${word%%.*}
		[ "${key//-/_}" != "${name//-/_}" ] ||
			options="$options ${word#*.}"
	done
	insmod "/modules/$file" $options
done </modules/order

sh /test.sh
status=$?
echo "GUEST-EXIT $status"
# Setting a terminal waits until its output is out, so nothing is cut off.
stty sane
echo o >/proc/sysrq-trigger
sleep 60
INIT
}

guest_lib_script() {
	cat <<'LIB'
# What tests may source in the guest.
say() {
	echo "GUEST: $*"
}

# try WHAT COMMAND...: wait until the command succeeds, 30 s at most.
try() {
	_what=$1
	_end=$(($(cut -d . -f 1 /proc/uptime) + 30))
	shift
	until "$@"; do
		if [ "$(cut -d . -f 1 /proc/uptime)" -ge "$_end" ]; then
			say "timeout waiting for $_what"
			return 1
		fi
		usleep 20000
	done
}

# The SCSI disks that have media and a device node.
disk_nodes() {
	for _dir in /sys/block/sd*; do
		[ -e "$_dir/size" ] && read -r _size <"$_dir/size" || continue
		[ "$_size" -gt 0 ] && [ -b "/dev/${_dir##*/}" ] || continue
		echo "/dev/${_dir##*/}"
	done
}

# Their number
disks() {
	disk_nodes | wc -l
}

# At least so many, all of which can be opened: they are shown before that.
has_disks() {
	[ "$(disks)" -ge "$1" ] || return 1
	for _disk in $(disk_nodes); do
		(: <"$_disk") 2>/dev/null || return 1
	done
}

has_no_disk() {
	[ "$(disks)" -eq 0 ]
}

wait_disk() {
	try "${1:-1} disk(s)" has_disks "${1:-1}"
}

wait_no_disk() {
	try "no disk" has_no_disk
}

# disk_by SERIAL: its device; needs guest-io
disk_by() {
	for d in /sys/block/sd*; do
		[ "$(guest-io sgcmd /dev/${d##*/} 120180001400 in 20 |
			sed 's/.*data=//' | cut -c 9-)" = "$(printf %s "$1" |
			hexdump -v -e '1/1 "%02x"')" ] && echo "/dev/${d##*/}"
	done
}

# lun N: the name of its disk, when there is one such
lun() {
	basename /sys/bus/scsi/devices/*:$1/block/sd*
}

wait_file() {
	try "$1" [ -e "$1" ]
}
LIB
}

# guest_copy ROOT PROGRAM: a program and the libraries it needs.
guest_copy() {
	local root=$1 name=${2##*/} path lib

	path=$(PATH=$PATH:/usr/sbin:/sbin command -v "$2") ||
		{ guest_die "no program $2"; return 1; }
	# Not through the link to busybox that may have this name.
	cp -L --remove-destination "$path" "$root/bin/$name"
	# Static programs and scripts have none; ldd then fails.
	for lib in $(ldd "$path" 2>/dev/null | grep -o '/[^ ]*'); do
		[ -e "$root$lib" ] || {
			mkdir -p "$root${lib%/*}"
			cp -L "$lib" "$root$lib"
		}
	done
	# Busybox's shell prefers its own applets to files; functions come first.
	if busybox --list | grep -qxF -- "$name"; then
		printf '%s() {\n\t/bin/%s "$@"\n}\n' "$name" "$name" \
			>>"$root/lib.sh"
	fi
	case $name in
	mkfs.ext* | mke2fs)
		mkdir -p "$root/etc"
		cp /etc/mke2fs.conf "$root/etc/" 2>/dev/null || :
		;;
	esac
}

# guest_pack FOLDER >ARCHIVE
guest_pack() {
	(cd "$1" && find . | cpio -o -H newc -R 0:0 --quiet)
}

# guest_build_base ARCHIVE KERNEL-FOLDER PROGRAM...
guest_build_base() {
	local out=$1 kernel=$2 root=$1.d program applet file
	shift 2

	mkdir -p "$root"/{bin,dev,modules,mnt,proc,run,sys,tmp} || return 1
	cp -L "$(command -v busybox)" "$root/bin/busybox" ||
		{ guest_die "busybox is needed (busybox-static)"; return 1; }
	for applet in $(busybox --list); do
		ln -s busybox "$root/bin/$applet" 2>/dev/null || :
	done
	# shellcheck disable=SC2086 # lists of words
	PATH=$PATH:/usr/sbin:/sbin modprobe -d "$kernel" \
		-S "${kernel##*/}" -a --show-depends \
		$guest_modules ${GUEST_MODULES-} >"$out.modules" ||
		{ guest_die "cannot resolve the modules"; return 1; }
	# Each once, where first needed; the rest is built into the kernel.
	# The variants for better processors than the guest's would only fail.
	sed -n 's/^insmod \([^ ]*\).*/\1/p' "$out.modules" |
		grep -vE -- '-(pclmul|intel)\.ko$' | awk '!seen[$0]++' |
		while read -r file; do
			cp "$file" "$root/modules/" || exit 1
			echo "${file##*/}" >>"$root/modules/order"
		done || return 1
	guest_init_script >"$root/init" && chmod +x "$root/init" || return 1
	guest_lib_script >"$root/lib.sh" || return 1
	for program; do
		guest_copy "$root" "$program" || return 1
	done
	guest_pack "$root" >"$out"
}

# guest_initrd OUT [PROGRAM...] <SCRIPT: make an initramfs that runs the script
# as /test.sh.  A program is a path, or a name to look up; other files come
# along as well (to /bin).  All but the script is kept in the cache.
guest_initrd() {
	local out=$1 kernel cache base key tmp program
	shift

	kernel=$("$GUEST_LIB/guest-kernel") || return 1
	cache=$(guest_cache)
	key=$({
		printf '%s\n' "$kernel" "${GUEST_MODULES-}" "$@"
		for program; do
			PATH=$PATH:/usr/sbin:/sbin command -v "$program" || :
		done | xargs -r -d '\n' stat -L -c '%n %s %y'
		cat "${BASH_SOURCE[0]}"
	} | sha256sum | cut -c 1-16)
	base=$cache/initrd-$key
	tmp=$(mktemp -d "$cache/.initrd-tmp.XXXXXX") || return 1
	if ! [ -f "$base" ]; then
		# Two that build the same do no harm: the rename is atomic.
		if ! guest_build_base "$tmp/base" "$kernel" "$@"; then
			rm -rf "$tmp"
			return 1
		fi
		mv "$tmp/base" "$base"
		# Old ones: each change of a program leaves one behind.
		find "$cache" -maxdepth 1 \( -name 'initrd-*' -o \
			-name 'guest-*-*' \) -mtime +3 -exec rm -rf {} +
	fi
	# The kernel unpacks archives one after another, so the script's goes
	# behind: a test's initramfs costs no more than a copy.
	mkdir "$tmp/script"
	cat >"$tmp/script/test.sh"
	touch "$base"
	if ! { cp "$base" "$out" && guest_pack "$tmp/script" >>"$out"; }; then
		rm -rf "$tmp"
		return 1
	fi
	rm -rf "$tmp"
}

# ---- running -----------------------------------------------------------------

# guest_start INITRD LOG [QEMU-OPTION...]: boot in the background.
guest_start() {
	local initrd=$1 log=$2 kernel fifo
	local -a monitor=()
	shift 2

	kernel=$("$GUEST_LIB/guest-kernel") || return 1
	if [ -f "$kernel/vmlinux" ]; then
		kernel=$kernel/vmlinux
	else
		kernel=$kernel/vmlinuz
	fi
	[ -z "${GUEST_MONITOR-}" ] ||
		monitor=(-qmp "unix:$GUEST_MONITOR,server=on,wait=off")
	# On a busy machine the guest measures its clock wrong at boot, by
	# factors, and every timeout in it with that.
	[ -n "$guest_khz" ] || guest_khz=$("$(guest_io)" tsc)
	# The console's input is a pipe open at both ends: nobody waits for the
	# other to open it, and it has no end.
	fifo=$(mktemp -u "${TMPDIR:-/tmp}/guest.XXXXXX")
	mkfifo -m 600 "$fifo" || return 1
	exec {GUEST_IN}<>"$fifo"
	rm "$fifo"
	GUEST_LOG=$log
	# The allocator's settings keep glibc from giving memory back and
	# faulting it in again with every redirected packet: reads by usbredir
	# otherwise run at one of two speeds, by chance.  Without the clock
	# parameters, emulation takes the HPET, where each look is a trap.  The
	# last lines of parameters are for speed alone: a third of a second.  A
	# guest that a busy machine gives no CPU for a while is not stuck, and its
	# timer works.  (-nographic would add the BIOS's screen to the console.)
	#
	# One CPU: with two, QEMU 7.2 now and then goes on to execute what the
	# kernel has just patched, here its breakpoint in a jump label, and the
	# guest hangs without a word: one boot of some hundred.
	MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_MMAP_THRESHOLD_=268435456 \
	MALLOC_TOP_PAD_=16777216 \
		"${QEMU:-qemu-system-x86_64}" \
		-accel "${GUEST_ACCEL:-tcg,thread=multi}" -cpu qemu64,+rdrand \
		-M q35 -m 256 -smp 1 -display none -nodefaults \
		-chardev stdio,id=console,signal=off -serial chardev:console \
		-kernel "$kernel" -initrd "$initrd" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off \
nosoftlockup rcupdate.rcu_cpu_stall_suppress=1 no_timer_check \
tsc=reliable clocksource=tsc tsc_early_khz=${GUEST_KHZ:-$guest_khz} \
cryptomgr.notests i8042.noaux i8042.nokbd apparmor=0 usb-storage.delay_use=0 \
${GUEST_APPEND-}" \
		-no-reboot "${monitor[@]}" "$@" \
		<&"$GUEST_IN" >"$log" 2>&1 &
	GUEST_PID=$!
	GUEST_LIVE[$GUEST_PID]=$GUEST_IN
}

guest_alive() {
	[ -n "$GUEST_PID" ] && [ -n "${GUEST_LIVE[$GUEST_PID]-}" ] &&
		kill -0 "$GUEST_PID" 2>/dev/null
}

# Forget a guest that has ended, so that its pid is never signalled again.
guest_forget() {
	local fd=${GUEST_LIVE[$1]-}

	wait "$1" || :
	unset "GUEST_LIVE[$1]"
	[ -z "$fd" ] || exec {fd}>&-
}

# Whether the log has a line that matches, and has all of it: the console writes
# letter by letter, and the caller may want to read on.
guest_has_line() {
	{ cat "$GUEST_LOG" && printf .; } | sed '$d' | grep -acE -- "$1" >/dev/null
}

# guest_wait_line PATTERN [SECONDS]: until the log has a line that matches.
guest_wait_line() {
	local end=$((SECONDS + ${2:-60})) alive=yes

	while ! guest_has_line "$1"; do
		if [ "$alive" = no ]; then
			guest_die "the guest ended without: $1"
			return 1
		fi
		if [ "$SECONDS" -ge "$end" ]; then
			guest_die "timeout waiting for: $1"
			return 1
		fi
		# One more look afterwards: the line may have been its last.
		guest_alive || alive=no
		[ "$alive" = no ] || sleep 0.1
	done
}

# guest_send LINE: type at the console.  Wait for a line of the test first: what
# comes before the guest listens is lost.
guest_send() {
	printf '%s\n' "$*" >&"$GUEST_IN"
}

# guest_stop [SIGNAL]: end QEMU now; KILL is the crash that nobody can catch.
guest_stop() {
	local pid=$GUEST_PID i

	[ -n "$pid" ] || return 0
	# In braces: bash itself says "Killed" when it notices.
	{
		if guest_alive; then
			kill -s "${1:-TERM}" "$pid" || :
			for ((i = 0; i < 100; i++)); do
				kill -0 "$pid" || break
				sleep 0.05
			done
			kill -KILL "$pid" || :
		fi
		guest_forget "$pid"
	} 2>/dev/null
	GUEST_PID=
}

# guest_wait [SECONDS]: until the guest has powered off; returns the status of
# its test, 124 after a timeout, 125 if it ended in another way.
guest_wait() {
	local end=$((SECONDS + ${1:-${GUEST_TIMEOUT:-120}})) status

	while guest_alive; do
		if [ "$SECONDS" -ge "$end" ]; then
			guest_die "timeout, see $GUEST_LOG" || :
			guest_stop
			return 124
		fi
		sleep 0.05
	done
	guest_stop
	status=$(sed -n 's/^GUEST-EXIT \([0-9]*\).*/\1/p' "$GUEST_LOG" |
		tail -n 1)
	return "${status:-125}"
}

# guest_run INITRD LOG [QEMU-OPTION...]: boot, and guest_wait.
guest_run() {
	guest_start "$@" && guest_wait
}

# For a test's EXIT trap.
guest_cleanup() {
	local pid

	for pid in "${!GUEST_LIVE[@]}"; do
		GUEST_PID=$pid
		guest_stop
	done
}

# ---- a shell in the guest ------------------------------------------------------

# The end of a script that takes commands from guest_do. They come in base64, as
# lines of the console: of any length and text.
guest_shell() {
	cat <<'SCRIPT'
say "ready"
while read -r id text; do
	text=$(echo "$text" | base64 -d)
	echo "#BEGIN $id"
	eval "$text" </dev/null
	echo "#END $id $?"
done
SCRIPT
}

# guest_do COMMAND [SECONDS]: print what it prints, return its status. What stays
# in the background must have its output elsewhere.
guest_do() {
	local id=$EPOCHREALTIME status

	guest_send "$id $(printf %s "$1" | base64 -w 0)"
	guest_wait_line "#END $id " "${2:-60}" || return 124
	tr -d '\r' <"$GUEST_LOG" |
		sed -n "/#BEGIN $id\$/,/#END $id /p" | sed '1d;$d'
	status=$(sed -n "s/.*#END $id \([0-9]*\).*/\1/p" "$GUEST_LOG")
	return "${status:-125}"
}

# ---- QEMU's monitor ----------------------------------------------------------

# qmp JSON: one command without its outer braces; prints the reply's line.
#	qmp '"execute": "query-block"'
qmp() {
	local line='' in out pid i

	for ((i = 0; i < 100; i++)); do
		[ ! -S "$GUEST_MONITOR" ] || break
		sleep 0.05
	done
	coproc GUEST_QMP { exec socat - "UNIX-CONNECT:$GUEST_MONITOR"; }
	# Own copies: bash forgets the originals as soon as socat ends.
	# shellcheck disable=SC2153
	exec {out}<&"${GUEST_QMP[0]}" {in}>&"${GUEST_QMP[1]}"
	pid=$GUEST_QMP_PID
	printf '%s\n' '{"execute": "qmp_capabilities"}' \
		"{$1, \"id\": \"guest.sh\"}" >&"$in"
	# Input stays open until the reply is here: QEMU drops commands of a
	# client that has gone.  Events and the greeting have no id.
	while read -r -t 10 line <&"$out"; do
		case $line in
		*'"id": "guest.sh"'*) break ;;
		esac
		line=
	done
	exec {in}>&- {out}<&-
	kill "$pid" 2>/dev/null || :
	wait "$pid" 2>/dev/null || :
	line=${line%$'\r'}
	printf '%s\n' "$line"
	case $line in
	*'"return": '*) ;;
	*) return 1 ;;
	esac
}

# hmp COMMAND: of the human monitor; prints what it says (its errors, too).
hmp() {
	local line=$*

	line=${line//\\/\\\\}
	line=${line//\"/\\\"}
	line=$(qmp '"execute": "human-monitor-command",
		"arguments": {"command-line": "'"$line"'"}') ||
		{ guest_die "no answer from the monitor: $line"; return 1; }
	line=${line#*'"return": "'}
	line=${line%'", "id"'*}
	printf '%b' "${line//\\r/}"
}
