# Starts what is not running yet, in order: start.sh DIR NODE SERVICES DASHBOARD. Runs inside the cloud's namespaces.
set -uo pipefail
CLOUD_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
CLOUD=$1 CLOUD_NODE=$2 SERVICES=$3 DASHBOARD=$4
for part in ../lib/say ../lib/engines daemons infrastructure services higgins; do . "$CLOUD_LIB/$part.sh"; done
export PATH=/usr/sbin:/usr/bin:/sbin:/bin no_proxy=127.0.0.1,localhost PYTHONUNBUFFERED=1
unset PYTHONPATH PYTHONDONTWRITEBYTECODE VIRTUAL_ENV
FAILED=$CLOUD/run/failed
rm -f "$FAILED"
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
bring higgins && bring host_podman host_docker
wait
[ ! -e "$FAILED" ]
