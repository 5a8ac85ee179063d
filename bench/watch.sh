#!/usr/bin/env bash
# `make bench-watch`: `ffu watch` beside fping, the same ICMP targets on the loopback interface at 10 Hz, one after the other in one
# run. CPU seconds a second (all processes), peak memory, probes really sent, losses invented. As root, for raw sockets.
#   bench/watch.sh 1000 10000                  SECONDS_EACH=20, FFU=target/release/ffu
. "$(dirname "$0")/common.sh"
[ "$(id -u)" -eq 0 ] || {
    echo "bench-watch: both need raw ICMP sockets" >&2
    echo "  next: run it as root" >&2
    exit 1
}
command -v fping >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends fping >/dev/null; }
sizes=("${@:-1000}")
python3 bench/watch.py "$work" "${FFU:-target/release/ffu}" "${SECONDS_EACH:-20}" "${sizes[@]}"
