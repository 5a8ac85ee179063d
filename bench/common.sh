# Sourced by the scripts here: goes to the repository; $work is a directory that ends with the script, and so does a lab in
# $lab; runs keep their state there; a clock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work="$(mktemp -d "${TMPDIR:-/tmp}/ffu-bench.XXXXXX")"
lab="$work/lab"
export XDG_STATE_HOME="$work/state"
# Only the lab that a script made itself.
no_lab() { [ ! -d "$work/lab" ] || "$FFU" lab down --dir "$work/lab" >/dev/null 2>&1 || true; }
leave() {
    no_lab
    rm -rf "$work"
}
trap leave EXIT

now() { date +%s.%N; }
# since BEGUN: seconds from then on.
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
