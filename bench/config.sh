#!/usr/bin/env bash
# `ffu config` against oslo-config-validator of the same series, in one run: CPU, files per second, memory, growth.
set -euo pipefail
cd "$(dirname "$0")/.."
series="${SERIES:-2026.1}"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ffu"
cargo build --quiet --release --bin ffu
target/release/ffu env build "$series"
work="$(mktemp -d "${TMPDIR:-/tmp}/ffu-bench-config.XXXXXX")"
trap 'rm -rf "$work"' EXIT
python3 bench/config.py target/release/ffu "$cache/envs/$series" "$series" "$work"
