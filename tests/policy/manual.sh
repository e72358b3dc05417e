#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --help and the manual page name the same options, and so does the parser.
cd "$(dirname "$0")/../.." || exit 1
bad=0
same() {
	if diff <(echo "$2") <(echo "$3"); then
		echo "ok - $1"
	else
		echo "not ok - $1"
		bad=1
	fi
}
# agree PROGRAM SOURCE-WITH-THE-TABLE
agree() {
	local name=${1##*/} help man parser
	help=$("$1" --help | grep -oE -- '(^|[ ,])--[a-z0-9-]+' | tr -d ' ,' |
		sort -u)
	man=$(grep '^\*--' "userspace/man/$name.1.scd" |
		grep -oE '(^|, )\*--[a-z0-9-]+\*' | tr -d '*, ' | sort -u)
	parser=$(sed -n 's/^\t{ "\([a-z0-9-]*\)", [a-z]*_argument.*/--\1/p' "$2" |
		sort -u)
	same "$name: --help and the manual page" "$help" "$man"
	same "$name: --help and the parser" "$help" "$parser"
}
agree "$BRIDGE" userspace/options.c
agree "${BRIDGE%/*}/ryll-fuse" fuse/ryll-fuse.c
for option in serial= sector= cache= speed= fixed ro name= overlay= snapshot; do
	grep -q -- "^\*$option" userspace/man/ryll-bridge.1.scd || {
		echo "not ok - the manual page lacks the disk option $option"
		bad=1
	}
done
grep -q '^_IMAGE_.*\*+\*' userspace/man/ryll-bridge.1.scd || {
	echo "not ok - the manual page does not say how images share a device"
	bad=1
}
exit $bad
