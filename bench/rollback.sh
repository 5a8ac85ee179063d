#!/usr/bin/env bash
# `make bench-rollback`: the checkpoint's share of the window and the way back, against mariadb-dump | gzip and loading it,
# on lab clouds of growing size, in one run on one machine.
#   bench/rollback.sh 512M 1536M 5G          CHAIN="2024.1 2024.2", FFU=target/release/ffu, LOADS="first last" (or all)
. "$(dirname "$0")/common.sh"
export FFU="${FFU:-$PWD/target/release/ffu}"
read -r from to <<<"${CHAIN:-2024.1 2024.2}"
sizes=("${@:-512M 1536M 5G}")
read -r -a sizes <<<"${sizes[*]}"
"$FFU" env build "$from" "$to" >/dev/null
"$FFU" lab up --at "$from" --dir "$lab" --bulk "${sizes[0]}" >/dev/null
python3 bench/rollback.py "$work" "$from" "$to" "${sizes[@]}"
