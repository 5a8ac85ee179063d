#!/usr/bin/env bash
# `make bench-growth`: the window against the number of instances, in one run on one machine, beside what the server needs for
# the same statements: those of the hops, out of its binary log, replayed over one connection on a copy of its files from
# before the run. Also the memory of ffu with all its processes, against its budget.
#   bench/growth.sh 1000 10000 100000 1000000          CHAIN="2024.1 2024.2 2025.1", FFU=target/release/ffu, SVG=docs/images/growth.svg
. "$(dirname "$0")/common.sh"
export FFU="${FFU:-$PWD/target/release/ffu}"
read -r -a chain <<<"${CHAIN:-2024.1 2024.2 2025.1}"
sizes=("${@:-1000 10000 100000}")
read -r -a sizes <<<"${sizes[*]}"
"$FFU" env build "${chain[@]}" >/dev/null
python3 bench/growth.py "$work" "${SVG:-docs/images/growth.svg}" "${chain[0]}" "${chain[-1]}" "${sizes[@]}"
