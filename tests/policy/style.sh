#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Licence lines, formatting, shell scripts.
cd "$(dirname "$0")/../.." || exit 1
tools/check-style || exit 1
echo "ok - style"
