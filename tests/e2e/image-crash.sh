#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 of the bridge while the guest writes to an overlay: see disk-crash.sh.
# The judge is ryll-fuse: what it shows of the overlay has all that was stable.
[ -w /dev/fuse ] || {
	echo "SKIP: no /dev/fuse"
	exit 77
}
CRASH_OVERLAY=1 CRASH_ROUNDS=${CRASH_ROUNDS:-10} \
	exec "$(dirname "$0")/disk-crash.sh"
