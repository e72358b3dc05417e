#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Nothing stands on the top level but what belongs there.
cd "$(dirname "$0")/../.." || exit 1
odd=$(git ls-files 2>/dev/null | cut -d / -f 1 | sort -u |
	grep -vxE 'Kbuild|Makefile|userspace|kmod|fuse|tools|tests|README|LICENSE|\..*')
[ -z "$odd" ] || { echo "not ok 1 - on the top level:" $odd; exit 1; }
echo "ok 1 - top level"
