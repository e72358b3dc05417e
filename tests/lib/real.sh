# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# real.sh: two guests, one that has USB devices (A) and one that shall get them
# (B), for end-to-end tests to source after e2e.sh. In A runs the usb-host, on
# TCP port 4000 + N; B has usb-redir devices that connect to it.
#
#	real_start [QEMU-OPTION-OF-A...]
#	a 'gadget_acm && wait_device 1209:0012'
#	serve 1209:0012
#	plug
#	check "it arrives" b 'wait_device 1209:0012'
#
# a and b run a shell command in the guest, where lib.sh and gadget.sh are known,
# print what it prints, and return its status. What stays in the background must
# have its output elsewhere.
#
# real_start_alone boots A alone. A_PROGRAMS and B_PROGRAMS are more programs for
# them, A_APPEND and B_APPEND more kernel parameters.
#
# HOST_PROGRAM is the usb-host: the bridge, or usbredirect to compare.
HOST_PROGRAM=${HOST_PROGRAM:-$BRIDGE}

# Disks, network, gadgets, vhci; and for either what drives those devices.
real_modules="usbhid hid-generic evdev cdc-acm"
A_MODULES="virtio_net loop udc-core dummy_hcd libcomposite usb_f_mass_storage
usb_f_ss_lb usb_f_hid usb_f_acm vhci-hcd $real_modules"
B_MODULES=$real_modules
A_PID='' A_LOG=$tmp/a.log A_IN='' A_MONITOR=$tmp/a.monitor
B_PID='' B_LOG=$tmp/b.log B_IN='' B_MONITOR=$tmp/b.monitor
REAL_TIMEOUT=60
# More for a program with sanitizers
A_MEMORY=${A_MEMORY-}

host_name=${HOST_PROGRAM##*/}
is_usbredirect() {
	[ "$host_name" = usbredirect ]
}
if ! is_usbredirect; then
	"$HOST_PROGRAM" --help 2>&1 | grep -q -- --usb-device ||
		skip "$host_name has no --usb-device"
elif ! command -v usbredirect >/dev/null; then
	skip "no usbredirect"
fi

# The guest of which guest.sh speaks
as_a() {
	GUEST_PID=$A_PID GUEST_LOG=$A_LOG GUEST_IN=$A_IN GUEST_MONITOR=$A_MONITOR
}

as_b() {
	GUEST_PID=$B_PID GUEST_LOG=$B_LOG GUEST_IN=$B_IN GUEST_MONITOR=$B_MONITOR
}

real_script() {
	cat <<'SCRIPT'
. /lib.sh
. gadget.sh
[ ! -d /sys/class/net/eth0 ] || net_up
SCRIPT
	guest_shell
}

# boot_a [QEMU-OPTION...]: the guest that has the devices
boot_a() {
	# shellcheck disable=SC2086 # a list of words
	real_script | GUEST_MODULES=$A_MODULES guest_initrd "$tmp/a.initrd" \
		"$HOST_PROGRAM" "$(guest_program guest-usb)" \
		"$(guest_program guest-vhci)" mkfs.ext4 "$TESTS/lib/gadget.sh" \
		${A_PROGRAMS-} || return 1
	as_a
	GUEST_APPEND="dummy_hcd.is_super_speed=1 dummy_hcd.num=4 ${A_APPEND-}" \
		guest_start "$tmp/a.initrd" "$A_LOG" \
		-netdev user,id=net,hostfwd=tcp:127.0.0.1:0-:4000,hostfwd=tcp:127.0.0.1:0-:4001 \
		-device virtio-net-pci,netdev=net,romfile= $A_MEMORY "$@" || return 1
	A_PID=$GUEST_PID A_IN=$GUEST_IN
}

# boot_b [QEMU-OPTION...]: the guest that gets them
boot_b() {
	real_script | GUEST_MODULES=$B_MODULES guest_initrd "$tmp/b.initrd" \
		"$(guest_program guest-usb)" "$(guest_io)" \
		"$TESTS/lib/gadget.sh" ${B_PROGRAMS-} || return 1
	as_b
	GUEST_APPEND=${B_APPEND-} guest_start "$tmp/b.initrd" "$B_LOG" \
		-device qemu-xhci,id=xhci,p2=8,p3=8 "$@" || return 1
	B_PID=$GUEST_PID B_IN=$GUEST_IN
}

a_is_ready() {
	as_a && guest_wait_line '^GUEST: ready' 60
}

# real_start [QEMU-OPTION...] [-- OPTION-OF-B...]: boot both. Ports of A are
# chosen by the system.
real_start() {
	local -a a_options=()
	while [ $# != 0 ] && [ "$1" != -- ]; do
		a_options+=("$1")
		shift
	done
	[ $# = 0 ] || shift
	boot_a "${a_options[@]}" && boot_b "$@" && a_is_ready || return 1
	hmp "info usernet" >"$tmp/usernet" || return 1
	as_b && guest_wait_line '^GUEST: ready' 60
}

# real_start_alone [QEMU-OPTION...]: A without B
real_start_alone() {
	boot_a "$@" && a_is_ready
}

# port_of N: where the host reaches A's port 4000 + N
port_of() {
	awk -v to=$((4000 + $1)) '/HOST_FORWARD/ && $6 == to { print $4 }' \
		"$tmp/usernet"
}

# In a subshell: the choice of the guest ends with the command.
a() (
	as_a
	guest_do "$*" "$REAL_TIMEOUT"
)

b() (
	as_b
	guest_do "$*" "$REAL_TIMEOUT"
)

# serve VID:PID [N [OPTION...]]: the usb-host in A, on port 4000 + N.
# Its log there is /tmp/hostN.log, its pid in /tmp/hostN.pid.
serve() {
	local device=$1 n=${2:-0} command
	[ $# -lt 2 ] && shift || shift 2
	if is_usbredirect; then
		command="usbredirect --device $device --as 0.0.0.0:$((4000 + n))"
	else
		command="$host_name --usb-device $device --listen tcp:0.0.0.0:$((4000 + n)) --insecure $*"
	fi
	a ": >/tmp/host$n.log; $command >>/tmp/host$n.log 2>&1 & echo \$! >/tmp/host$n.pid
	try 'port $((4000 + n))' listens_or_ended $((4000 + n)) \$! &&
	listens $((4000 + n))" || {
		a "cat /tmp/host$n.log"
		return 1
	}
}

# serve_stop [N [SIGNAL]]
serve_stop() {
	a "kill -${2:-TERM} \$(cat /tmp/host${1:-0}.pid) 2>/dev/null
	try 'its end' [ ! -e /proc/\$(cat /tmp/host${1:-0}.pid)/stat ]"
}

# plug [N]: B gets the device at A's port 4000 + N
plug() (
	n=${1:-0}
	as_b
	hmp "chardev-add socket,id=r$n,host=127.0.0.1,port=$(port_of "$n"),reconnect=1"
	hmp "device_add usb-redir,bus=xhci.0,chardev=r$n,id=u$n"
)

# unplug [N]: B's end is gone
unplug() (
	n=${1:-0}
	as_b
	hmp "device_del u$n"
	eventually 5 chardev_is_gone "r$n"
)

chardev_is_gone() {
	hmp "chardev-remove $1" >/dev/null
	! hmp "info chardev" | grep -q "^$1:"
}

# in_order FILE TEXT...: each occurs in a line after the one before
in_order() {
	local file=$1 at=0 found
	shift
	for text; do
		found=$(tail -n "+$((at + 1))" "$file" |
			grep -nF -m 1 -- "$text" | cut -d : -f 1)
		[ -n "$found" ] || return 1
		at=$((at + found))
	done
}

# counter N: of guest-vhci's counters, of the device $id in B, by vendor request
counter() {
	b "guest-usb request $id c0 4 0 0 36" | sed -n 's/^DATA //p' |
		cut -c "$((8 * $1 + 1))-$((8 * $1 + 8))" |
		sed 's/\(..\)\(..\)\(..\)\(..\)/0x\4\3\2\1/'
}

# least N VALUE, value N VALUE: of a counter, which can be read
least() {
	local is
	is=$(counter "$1")
	echo "# counter $1 is $is"
	[ -n "$is" ] && [ "$((is))" -ge "$2" ]
}

value() {
	local is
	is=$(counter "$1")
	echo "# counter $1 is $is"
	[ -n "$is" ] && [ "$((is))" = "$2" ]
}
