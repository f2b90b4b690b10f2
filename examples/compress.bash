#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: compress.bash FILE...
# Compresses all files, as many at once as there are processors, however many
# of these scripts run on the machine at the same time.
set -euo pipefail

SEMUNDO=${SEMUNDO:-semundo}
failed=0
pids=()

for file in "$@"; do
	"$SEMUNDO" run compress -c "$(nproc)" -- gzip -kf -- "$file" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || failed=$((failed + 1))
done

echo "$(($# - failed)) of $# files compressed"
((failed == 0))
