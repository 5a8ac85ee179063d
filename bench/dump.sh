#!/usr/bin/env bash
# `make bench-dump`: the fallback of the checkpoint, a logical dump, by the tools that there are, at the same number of lanes, on one
# lab cloud in one run; then by ffu, in the clear and encrypted. Needs Debian's packages mydumper and zstd.
#   bench/dump.sh 2G          CHAIN="2024.1 2024.2", FFU=target/release/ffu, LANES=2, ROUNDS=2
. "$(dirname "$0")/common.sh"
export FFU="${FFU:-$PWD/target/release/ffu}"
for program in mydumper myloader zstd; do
    command -v "$program" >/dev/null || {
        echo "bench/dump.sh: no $program" >&2
        echo "  next: apt-get install mydumper zstd" >&2
        exit 1
    }
done
read -r from to <<<"${CHAIN:-2024.1 2024.2}"
"$FFU" env build "$from" "$to" >/dev/null
"$FFU" lab up --at "$from" --dir "$lab" --bulk "${1:-2G}" >/dev/null
python3 bench/dump.py "$work" "$to"
