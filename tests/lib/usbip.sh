# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# usbip.sh: stock usbip in guests, for end-to-end tests to source after e2e.sh.
# The guests are those of real.sh, with Debian's usbip: A has usbipd, too,
# vhci_hcd and usbip_host; B has vhci_hcd and no controller that we plug into.
. "$TESTS/lib/real.sh"

STOCK_USBIP=$(command -v usbip || ls /usr/sbin/usbip 2>/dev/null)
STOCK_USBIPD=$(command -v usbipd || ls /usr/sbin/usbipd 2>/dev/null)
[ -n "$STOCK_USBIP" ] && [ -n "$STOCK_USBIPD" ] || skip "no usbip"
! is_usbredirect || skip "it has no usbip"

# What guests find this machine's loopback at
GUEST_HOST=10.0.2.2

# usbip_start [QEMU-OPTION...]: guest A, with these functions
#	imports BUSID [HOST PORT]
#	detaches [PORT-OF-VHCI]
usbip_start() {
	A_MODULES="$A_MODULES usbip-host" \
		A_PROGRAMS="$STOCK_USBIP $STOCK_USBIPD ${A_PROGRAMS-}" \
		real_start_alone -m 512 "$@" || return 1
	a "$(usbip_functions)"
}

# usbip_start_both: A and B; B's functions are the same.
usbip_start_both() {
	A_MODULES="$A_MODULES usbip-host" B_MODULES="$B_MODULES virtio_net vhci-hcd" \
		A_PROGRAMS="$STOCK_USBIP $STOCK_USBIPD ${A_PROGRAMS-}" \
		B_PROGRAMS="$STOCK_USBIP ${B_PROGRAMS-}" \
		real_start -m 512 -- -m 512 -netdev user,id=net \
		-device virtio-net-pci,netdev=net,romfile= || return 1
	a "$(usbip_functions)" && b "$(usbip_functions)"
}

usbip_functions() {
	cat <<'SCRIPT'
mkdir -p /var/run /usr/share/misc
: >/usr/share/misc/usb.ids
ports_in_use() {
	grep -c "^.s  *[0-9]* 006" /sys/devices/platform/vhci_hcd.0/status
}
# The tool looks at all that is attached, and gives up while the kernel still gets
# to know one of them.
has_looked() {
	usbip "$@" >/tmp/usbip.log 2>&1
	_status=$?
	! grep -q "open vhci_driver" /tmp/usbip.log
}
with_vhci() {
	try "usbip" has_looked "$@" && [ $_status = 0 ] || {
		cat /tmp/usbip.log
		return 1
	}
}
imports() {
	with_vhci --tcp-port ${3:-3240} attach -r ${2:-10.0.2.2} -b $1 || return 1
	try "a port in use" eval "[ \$(ports_in_use) -gt 0 ]"
}
# used_port: the first that is; not by "usbip port", which wants all about it
used_port() {
	sed -n "s/^.s  *0*\([0-9][0-9]*\) 006 .*/\1/p" \
		/sys/devices/platform/vhci_hcd.0/status | head -n 1
}
is_free() {
	! grep -q "^.s  *0*$1 006 " /sys/devices/platform/vhci_hcd.0/status
}
detaches() {
	port=${1:-$(used_port)}
	with_vhci detach -p $port || return 1
	try "port $port" is_free $port
}
SCRIPT
}
