#!/usr/bin/env bash
# The documented procedure, by hand: every manage command of every project in turn, every upgrade check, one process after
# another, behind a dump. The baseline that `ffu run` is measured against.
#
#   bench/sequential-hops.sh "2024.1 2024.2 2025.1" [LAB]
#
# The first series of the chain is where the lab is; without LAB one is brought up and removed. The hop environments must
# be there (`ffu env build`). From Train on: before that placement is a part of nova, and its extraction is no single command.
# Prints one line a command and, last, `window SECONDS` and `hops SECONDS`.
. "$(dirname "$0")/common.sh"
read -r -a chain <<<"${1:?usage: bench/sequential-hops.sh \"SERIES SERIES …\" [LAB]}"
FFU="${FFU:-$PWD/target/debug/ffu}"
envs="${XDG_CACHE_HOME:-$HOME/.cache}/ffu/envs"
case " ${chain[*]} " in
*" pike "* | *" queens "* | *" rocky "* | *" stein "*)
    echo "sequential-hops: chains start at train or later" >&2
    exit 2
    ;;
esac

logs="$work"
served=()
# The outputs stay if something failed.
cleanup() {
    status=$?
    for pid in "${served[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null || true; done
    if [ "$status" = 0 ]; then
        leave
    else
        no_lab
        echo "sequential-hops: outputs are in $logs" >&2
    fi
    exit "$status"
}
trap cleanup EXIT
if [ -n "${2:-}" ]; then
    lab="$2"
else
    "$FFU" lab up --at "${chain[0]}" --dir "$lab" --size "${SIZE:-20}" ${BULK:+--bulk "$BULK"} >/dev/null
fi
etc="$lab/etc"

# command SERIES "ACCEPTED EXIT CODES" PROGRAM ARGUMENT…
command_of() {
    local series="$1" accepted="$2" program="$3" begun code=0
    shift 3
    local log="$series-$program-$*.log"
    log="${log//[ \/]/_}"
    log="$logs/$log"
    begun="$(now)"
    env -i PATH="$envs/$series/bin:/usr/bin:/bin" HOME="$logs" LANG=C.UTF-8 \
        "$envs/$series/bin/$program" "$@" >"$log" 2>&1 || code=$?
    printf '%8s  %s %s %s (exit %s)\n' "$(since "$begun")" "$series" "$program" "${*: -2}" "$code"
    case " $accepted " in *" $code "*) ;; *)
        echo "sequential-hops: $program $* of $series ended with $code" >&2
        tail -5 "$log" >&2
        exit 1
        ;;
    esac
}

unit_field() { sed -n "s/^$2 = //p" "$lab/services/$1.toml" | tr -d '"' | head -1; }
port_of() { sed -n 's/.*127\.0\.0\.1:\([0-9]\+\).*/\1/p; s/^port = \([0-9]\+\)$/\1/p' "$lab/services/$1.toml" | head -1; }
keystone_port="$(port_of keystone-api)"
placement_port="$(port_of placement-api)"

answers() { curl -s -o /dev/null --max-time 5 "http://127.0.0.1:$1/" && return 0 || return 1; }
wait_for() {
    for _ in $(seq 1 600); do answers "$1" && return 0; sleep 0.1; done
    echo "sequential-hops: nothing answers on port $1" >&2
    exit 1
}

# The APIs that nova's check asks, with the series' own program or, where it ships none, under the lab's WSGI runner.
serve() {
    local series="$1" bin="$envs/$1/bin"
    if [ -x "$bin/keystone-wsgi-public" ]; then
        "$bin/keystone-wsgi-public" --port "$keystone_port" -- --config-file "$etc/keystone/keystone.conf" \
            >"$logs/$series-keystone.log" 2>&1 &
    else
        OS_KEYSTONE_CONFIG_FILES="$etc/keystone/keystone.conf" "$bin/python" crates/ffu-lab/seeds/serve.py \
            --port "$keystone_port" keystone.wsgi.api:application >"$logs/$series-keystone.log" 2>&1 &
    fi
    served+=($!)
    if [ -x "$bin/placement-api" ]; then
        OS_PLACEMENT_CONFIG_DIR="$etc/placement" "$bin/placement-api" --port "$placement_port" \
            >"$logs/$series-placement.log" 2>&1 &
    else
        OS_PLACEMENT_CONFIG_DIR="$etc/placement" "$bin/python" crates/ffu-lab/seeds/serve.py \
            --port "$placement_port" placement.wsgi.api:application >"$logs/$series-placement.log" 2>&1 &
    fi
    served+=($!)
    wait_for "$keystone_port"
    wait_for "$placement_port"
}
unserve() {
    for pid in "${served[@]:-}"; do
        [ -n "$pid" ] && { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
    done
    served=()
}

keystone=(--config-file "$etc/keystone/keystone.conf")
glance=(--config-file "$etc/glance/glance-api.conf")
placement=(--config-file "$etc/placement/placement.conf")
nova=(--config-file "$etc/nova/nova.conf")
neutron=(--config-file "$etc/neutron/neutron.conf" --config-file "$etc/neutron/plugins/ml2/ml2_conf.ini")
cinder=(--config-file "$etc/cinder/cinder.conf")
heat=(--config-file "$etc/heat/heat.conf")

window="$(now)"
for unit in keystone-api placement-api; do
    read -r pid _ <"$lab/services/run/$unit.pid"
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
done
begun="$(now)"
for schema in keystone glance nova_api nova nova_cell0 placement neutron cinder heat; do
    mariadb-dump --defaults-file="$lab/mariadb/client.cnf" --single-transaction --routines --triggers "$schema" |
        gzip >"$logs/$schema.sql.gz"
done
printf '%8s  dump of every database\n' "$(since "$begun")"

hops="$(now)"
for series in "${chain[@]:1}"; do
    command_of "$series" 0 keystone-manage "${keystone[@]}" db_sync
    command_of "$series" 0 glance-manage "${glance[@]}" db expand
    command_of "$series" 0 glance-manage "${glance[@]}" db migrate
    command_of "$series" 0 glance-manage "${glance[@]}" db contract
    command_of "$series" 0 placement-manage "${placement[@]}" db sync
    command_of "$series" 0 placement-manage "${placement[@]}" db online_data_migrations
    command_of "$series" 0 nova-manage "${nova[@]}" api_db sync
    command_of "$series" 0 nova-manage "${nova[@]}" db sync
    command_of "$series" 0 nova-manage "${nova[@]}" db online_data_migrations
    command_of "$series" 0 neutron-db-manage "${neutron[@]}" upgrade heads
    command_of "$series" 0 cinder-manage "${cinder[@]}" db sync
    command_of "$series" 0 cinder-manage "${cinder[@]}" db online_data_migrations
    command_of "$series" 0 heat-manage "${heat[@]}" db_sync
    command_of "$series" "0 1 2" keystone-status "${keystone[@]}" upgrade check
    command_of "$series" "0 1 255" glance-status "${glance[@]}" upgrade check
    command_of "$series" "0 1" placement-status "${placement[@]}" upgrade check
    command_of "$series" "0 1 255" neutron-status "${neutron[@]}" upgrade check
    command_of "$series" "0 1" cinder-status "${cinder[@]}" upgrade check
    command_of "$series" "0 1" heat-status "${heat[@]}" upgrade check
    serve "$series"
    # From Zed on it fails while compute services are older than the last series, as all are that stay up in the window.
    command_of "$series" "0 1 2" nova-status "${nova[@]}" upgrade check
    if [ "$series" != "${chain[-1]}" ]; then unserve; fi
done
echo "window $(since "$window")"
echo "hops $(since "$hops")"
unserve
