#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Who may include whom.
cd "$(dirname "$0")/../.." && exec tools/check-layers
