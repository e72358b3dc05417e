#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# gadget.sh: USB devices for a guest, and its network; for scripts in the guest
# to source (busybox ash). Ids of the gadgets:
#
#	1209:0010 storage	1209:0011 keyboard	1209:0012 ACM
#	1209:0013 SourceSink	1209:0014 Loopback
#
# and of guest-vhci 1209:0001 (streams), 1209:0002 (hostile).
gadgets=/sys/kernel/config/usb_gadget

net_up() {
	ip link set lo up
	ip addr add 10.0.2.15/24 dev eth0
	ip link set eth0 up
}

# gadget_begin PRODUCT-ID FUNCTION NAME: leaves $gadget, and $function
gadget_begin() {
	[ -d "$gadgets" ] || mount -t configfs configfs /sys/kernel/config
	gadget=$gadgets/$3
	function=$gadget/functions/$2
	mkdir -p "$gadget/strings/0x409" "$gadget/configs/c.1" "$function" ||
		return 1
	echo 0x1209 >"$gadget/idVendor"
	echo "$1" >"$gadget/idProduct"
	echo "ryll-bridge tests" >"$gadget/strings/0x409/manufacturer"
	echo "$3" >"$gadget/strings/0x409/product"
	echo "$3-1" >"$gadget/strings/0x409/serialnumber"
}

# Plug it into the first port that is free.
gadget_end() {
	ln -s "$function" "$gadget/configs/c.1/"
	gadget_plug "${gadget##*/}"
}

gadget_plug() {
	for udc in /sys/class/udc/*; do
		echo "${udc##*/}" 2>/dev/null >"$gadgets/$1/UDC" && return 0
	done
	return 1
}

gadget_unplug() {
	echo >"$gadgets/$1/UDC"
}

# gadget_storage FILE [high] [NAME]
gadget_storage() {
	gadget_begin 0x0010 mass_storage.0 "${3:-storage}" || return 1
	[ -z "$2" ] || echo high-speed >"$gadget/max_speed"
	echo "$1" >"$function/lun.0/file"
	echo 1 >"$function/lun.0/removable"
	gadget_end
}

# A boot keyboard: reports of eight bytes go into /dev/hidg0.
gadget_hid() {
	gadget_begin 0x0011 hid.0 keyboard || return 1
	echo 1 >"$function/protocol"
	echo 1 >"$function/subclass"
	echo 8 >"$function/report_length"
	echo 05010906a101050719e029e71500250175019508810295017508810395057501050819012905910295017503910395067508150025650507190029658100c0 |
		xxd -r -p >"$function/report_desc"
	gadget_end
}

# hid_key CODE: press it and let go
hid_key() {
	printf "\\0\\0\\x$(printf %x "$1")\\0\\0\\0\\0\\0" >/dev/hidg0
	printf '\0\0\0\0\0\0\0\0' >/dev/hidg0
}

# The other side is /dev/ttyGS0.
gadget_acm() {
	gadget_begin 0x0012 acm.0 acm || return 1
	gadget_end
}

# gadget_source_sink [PATTERN]: 0 zero, 1 mod63
gadget_source_sink() {
	gadget_begin 0x0013 SourceSink.0 source || return 1
	echo "${1:-0}" >"$function/pattern"
	gadget_end
}

gadget_loopback() {
	gadget_begin 0x0014 Loopback.0 loopback || return 1
	gadget_end
}

# The kernel that has the gadget as a device asks it nothing any more: dummy_hcd
# (6.1) frees a request that is being answered, and the kernel dies of that.
gadget_let_go() {
	for device in /sys/bus/usb/devices/*; do
		[ "$(cat "$device/product" 2>/dev/null)" != "$1" ] ||
			echo 0 >"$device/authorized"
	done
}

# gadget_remove NAME
gadget_remove() {
	gadget_let_go "$1"
	gadget_unplug "$1" 2>/dev/null
	rm -f "$gadgets/$1"/configs/c.1/*.*
	rmdir "$gadgets/$1"/configs/* "$gadgets/$1"/functions/* \
		"$gadgets/$1"/strings/* "$gadgets/$1"
}

# vhci_attach PROFILE...: as guest-vhci; leaves $vhci, its pid
vhci_attach() {
	: >/tmp/vhci.log # nothing of the last one
	guest-vhci "$@" >/tmp/vhci.log 2>&1 &
	vhci=$!
	try "a device on vhci" grep -q '^ATTACHED' /tmp/vhci.log
}

vhci_detach() {
	kill "$vhci"
	wait "$vhci"
} 2>/dev/null

# device_of VID:PID: its folder in sysfs
device_of() {
	for device in /sys/bus/usb/devices/*; do
		[ -e "$device/idVendor" ] || continue
		[ "$(cat "$device/idVendor"):$(cat "$device/idProduct")" = "$1" ] ||
			continue
		echo "$device"
		return 0
	done 2>/dev/null
	return 1
}

has_device() {
	device_of "$1" >/dev/null
}

has_no_device() {
	! has_device "$1"
}

wait_device() {
	try "$1" has_device "$1"
}

wait_no_device() {
	try "no $1" has_no_device "$1"
}

# drivers_of VID:PID: INTERFACE=DRIVER for each, in order, on one line
drivers_of() {
	drivers=
	device=$(device_of "$1") || return 1
	for interface in "$device"/"${device##*/}":*; do
		[ -d "$interface" ] || continue
		driver=$(readlink "$interface/driver") || driver=none
		drivers="$drivers ${interface##*:}=${driver##*/}"
	done
	echo "${drivers# }"
}

drivers_are() {
	[ "$(drivers_of "$1")" = "$2" ]
}

# wait_drivers VID:PID "INTERFACE=DRIVER ..."
wait_drivers() {
	try "$1 with $2" drivers_are "$1" "$2" || {
		say "it has: $(drivers_of "$1")"
		return 1
	}
}

# listens PORT: a server does
listens() {
	grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$1") [0-9A-F:]* 0A" \
		/proc/net/tcp /proc/net/tcp6 2>/dev/null
}

listens_or_ended() {
	listens "$1" || ! kill -0 "$2" 2>/dev/null
}
