#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A serial port: what is written on either side comes out on the other.
#
# usbredirect 0.13 passes all.
. "$(dirname "$0")/../lib/e2e.sh"
. "$TESTS/lib/real.sh"

raw="raw -echo -echoe -echok"
need "two guests boot" real_start
need "a serial port" a "gadget_acm && wait_file /dev/ttyGS0 &&
	wait_drivers 1209:0012 '1.0=cdc_acm 1.1=cdc_acm'"
need "the usb-host starts" serve 1209:0012
plug
need "it arrives" b "wait_file /dev/ttyACM0"
a "stty $raw </dev/ttyGS0; head -c 100000 /dev/urandom >/tmp/sent
	head -c 50000 /dev/ttyGS0 >/tmp/got & echo \$! >/tmp/reader"
b "stty $raw </dev/ttyACM0; head -c 50000 /dev/urandom >/tmp/sent
	head -c 100000 /dev/ttyACM0 >/tmp/got & echo \$! >/tmp/reader
	usleep 300000; timeout 30 sh -c 'cat /tmp/sent >/dev/ttyACM0'"
a "timeout 30 sh -c 'cat /tmp/sent >/dev/ttyGS0'"

sum() {
	"$1" "sha256sum $2 | cut -c 1-64"
}
check "from B to A" a "try 'all of it' [ ! -d /proc/\$(cat /tmp/reader)/fd ]"
check "as it was sent" [ "$(sum b /tmp/sent)" = "$(sum a /tmp/got)" ]
check "from A to B" b "try 'all of it' [ ! -d /proc/\$(cat /tmp/reader)/fd ]"
check "as it was sent" [ "$(sum a /tmp/sent)" = "$(sum b /tmp/got)" ]
# Open all the time: what comes to a port that nobody has open is dropped.
a "exec 7<>/dev/ttyGS0"
b "exec 7<>/dev/ttyACM0"
for i in 1 2 3; do
	b "echo hello$i >&7"
	check "a line, $i" [ "$(a "timeout 10 head -n 1 <&7")" = "hello$i" ]
	a "echo echo$i >&7"
	check "its echo, $i" [ "$(b "timeout 10 head -n 1 <&7")" = "echo$i" ]
done
finish
