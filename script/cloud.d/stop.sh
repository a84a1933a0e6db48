# Asks the cloud's processes to end, the database last: stop.sh DIR. Runs inside; what is left afterwards ends with the namespaces.
set -u
CLOUD_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
CLOUD=$1
. "$CLOUD_LIB/daemons.sh"
. "$CLOUD_LIB/higgins.sh"
for name in higgins-agent-podman higgins-agent-docker; do finish "$name" & done
wait
stop_containers
for pidfile in "$CLOUD"/run/*.pid; do
    name=$(basename "$pidfile" .pid)
    case $name in keeper | mariadb | ovsdb) ;; *) finish "$name" & ;; esac
done
wait
finish mariadb &
finish ovsdb &
wait
