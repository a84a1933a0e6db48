# Starts what is not running yet, in order: start.sh DIR NODE SERVICES DASHBOARD. Runs inside the cloud's namespaces.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/inside.sh" "$@"
printf '%s\n' "${@:2}" >"$CLOUD/run/places"
# Who waits for the cloud looks for one of these.
FAILED=$CLOUD/run/failed UP=$CLOUD/run/up
rm -f "$FAILED" "$UP"
UP_SINCE=$(date +%s%N)

passed_s() { echo "$((($(date +%s%N) - UP_SINCE) / 100000000))e-1"; }

# bring NAME...: starts services one after another, each with a line of its own.
bring() {
    local name
    for name in "$@"; do
        if ("start_$name") >>"$CLOUD/log/start-$name.log" 2>&1; then
            printf '%7.1f s  %s\n' "$(passed_s)" "$name"
        else
            : >"$FAILED"
            printf '%7.1f s  %s FAILED: %s\n' "$(passed_s)" "$name" "$CLOUD/log/start-$name.log"
            tail -n 5 "$CLOUD/log/start-$name.log" | sed 's/^/  | /'
            return 1
        fi
    done
}

bring ovn &
bring memcached &
bring rabbitmq &
bring mariadb && bring keystone
wait
[ ! -e "$FAILED" ] || exit 1
bring neutron &
bring glance placement heat &
bring cinder horizon &
bring higgins && { bring host_podman & bring host_docker & wait; }
wait
# It has had time to crash since, see there.
until_so 30 chassis_is_there || : >"$FAILED"
[ ! -e "$FAILED" ] && : >"$UP"
