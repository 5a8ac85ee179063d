#!/usr/bin/env bash
# `make bench-hops`: the documented procedure by hand and `ffu run`, on the same chain and machine, one after the other.
#   bench/hops.sh "2024.1 2024.2 2025.1"     or   bench/hops.sh 2024.1 2024.2 2025.1
set -euo pipefail
cd "$(dirname "$0")/.."
read -r -a chain <<<"$*"
ffu="$PWD/target/debug/ffu"
work="$(mktemp -d "${TMPDIR:-/tmp}/bench-hops.XXXXXX")"
export XDG_STATE_HOME="$work/state"
trap '"$ffu" lab down --dir "$work/lab" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
"$ffu" env build "${chain[@]}" >/dev/null

echo "# by hand: bench/sequential-hops.sh ${chain[*]}"
bench/sequential-hops.sh "${chain[*]}" | tee "$work/by-hand"

echo "# ffu run ${chain[0]} → ${chain[-1]}"
"$ffu" lab up --at "${chain[0]}" --dir "$work/lab" --size "${SIZE:-20}" >/dev/null
"$ffu" discover --from "plain:$work/lab" --admin-option-file "$work/lab/mariadb/client.cnf" -o "$work/cloud.toml" >/dev/null
"$ffu" plan --cloud "$work/cloud.toml" --to "${chain[-1]}" -o "$work/plan.json" >/dev/null
"$ffu" run "$work/plan.json" --yes >/dev/null
"$ffu" report
window_by_hand="$(awk '$1 == "window" { print $2 }' "$work/by-hand")"
window_ffu="$("$ffu" --json report | python3 -c 'import json,sys; print(json.load(sys.stdin)["window_ms"] / 1000)')"
awk -v a="$window_by_hand" -v b="$window_ffu" \
    'BEGIN { printf "\nwindow by hand %.1f s, ffu run %.1f s: ratio %.2f (above 1: ffu is faster)\n", a, b, a / b }'
