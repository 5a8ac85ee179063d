#!/usr/bin/env bash
# `ffu config` against oslo-config-validator of the same series, in one run: CPU, files per second, memory, growth.
. "$(dirname "$0")/common.sh"
series="${SERIES:-2026.1}"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ffu"
cargo build --quiet --release --bin ffu
target/release/ffu env build "$series"
python3 bench/config.py target/release/ffu "$cache/envs/$series" "$series" "$work"
