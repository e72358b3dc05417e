#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Each header compiles alone, and twice.
cd "$(dirname "$0")/../.." || exit 1
n=0 bad=0
for header in userspace/*.h userspace/*/*.h fuse/*.h; do
	n=$((n + 1))
	name=${header#userspace/}
	if printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
		cc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror \
			-Wno-missing-field-initializers -Wno-unused \
			-I. -Iuserspace -fsyntax-only -x c -; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		bad=1
	fi
done
exit $bad
