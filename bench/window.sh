#!/usr/bin/env bash
# `make bench-window`: how long the control plane is away, in one run on one machine, on labs of the same size:
#   by hand   bench/sequential-hops.sh, the documented procedure
#   cold      ffu run --cold: every command a process of its own
#   ffu run   as it comes, with 2 GB of memory for what is kept warm; what it takes of that is measured, too
#   floor     the statements that the hops of an `ffu run` executed, out of the server's binary log, replayed over one connection
#             on the same databases, brought back by `ffu rollback`
#
#   bench/window.sh "train ussuri … 2026.1"        SIZE instances (20), BULK bytes of deleted ones (as 2G), WAYS="hand cold warm floor"
. "$(dirname "$0")/common.sh"
read -r -a chain <<<"$*"
export FFU="${FFU:-$PWD/target/release/ffu}"
ways=" ${WAYS:-hand cold warm floor} "
"$FFU" env build "${chain[@]}" >/dev/null

# up [LAB OPTION …] -- [PLAN OPTION …]: a lab and a plan for it.
up() {
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    rm -rf "$XDG_STATE_HOME"
    "$FFU" lab up --at "${chain[0]}" --dir "$lab" --size "${SIZE:-20}" ${BULK:+--bulk "$BULK"} "${options[@]}" >/dev/null
    "$FFU" discover --from "plain:$lab" --admin-option-file "$lab/mariadb/client.cnf" -o "$work/cloud.toml" >/dev/null
    "$FFU" plan --cloud "$work/cloud.toml" --to "${chain[-1]}" -o "$work/plan.json" --configuration accept-loss "$@" >"$work/plan.txt"
}
# run NAME [OPTION …]
run() {
    local name="$1"
    shift
    python3 bench/memory.py "$lab" "$work/$name.memory" "$FFU" run "$work/plan.json" --yes "$@" >"$work/$name.log" 2>&1 || { tail -20 "$work/$name.log" >&2; exit 1; }
    "$FFU" report >"$work/$name.report"
    "$FFU" --json report >"$work/$name.json"
}
down() { "$FFU" lab down --dir "$lab" >/dev/null; }
statements() { mariadb --defaults-file="$lab/mariadb/client.cnf" "$@"; }

if [[ "$ways" == *" hand "* ]]; then
    echo "# by hand" >&2
    bench/sequential-hops.sh "${chain[*]}" >"$work/hand.log"
fi
if [[ "$ways" == *" cold "* ]]; then
    echo "# ffu run --cold" >&2
    up -- && run cold --cold && down
fi
if [[ "$ways" == *" warm "* ]]; then
    echo "# ffu run" >&2
    up -- && run warm && down
fi
if [[ "$ways" == *" floor "* ]]; then
    echo "# the floor: ffu run with the binary log on, then a replay" >&2
    # Nothing but the projects' own commands is to write: a dump for the way back, read back instead of loaded.
    up --server-option=log-bin=binlog --server-option=binlog-format=MIXED --server-option=sync-binlog=0 -- --checkpoint dump --quick-proof
    statements -e 'FLUSH BINARY LOGS'
    first="$(statements -NBe 'SHOW MASTER STATUS' | cut -f1)"
    run floor
    statements -e 'FLUSH BINARY LOGS'
    last="$(statements -NBe 'SHOW MASTER STATUS' | cut -f1)"
    logs=()
    while read -r log _; do
        [[ ! "$log" < "$first" && "$log" < "$last" ]] && logs+=("$lab/mariadb/data/$log")
    done < <(statements -NBe 'SHOW BINARY LOGS')
    mariadb-binlog --disable-log-bin "${logs[@]}" >"$work/replay.sql"
    "$FFU" rollback --yes >/dev/null
    begun="$(now)"
    statements --binary-mode <"$work/replay.sql"
    since "$begun" >"$work/floor"
    down
fi
python3 bench/window.py "$work" "${chain[@]}"
