# Where a cloud lives: its directory, and the namespaces in which its processes run and end. Sourced after say.sh.
#
# One process, the keeper (keeper.sh), is the first of namespaces of its own for network, mounts, processes and host name.
# Whatever is started in there can be seen by nobody outside, and ends, with every mount and link, when the keeper ends.

CLOUD_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

# use_cloud DIR: sets CLOUD (absolute) and LOG; DIR may be empty for the default.
use_cloud() {
    CLOUD=$(realpath -m -- "${1:-/var/lib/higgins-cloud}")
    LOG=$CLOUD/log/up.log
    CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/higgins/cloud
    # A unix socket's path ends at 107 bytes, and MariaDB's lives in here.
    [ ${#CLOUD} -le 80 ] || fail "the cloud's directory has a path of ${#CLOUD} characters, and 80 is the most: $CLOUD" "Give a shorter one with --dir DIR."
}

need_root() {
    [ "$(id -u)" -eq 0 ] || fail "a whole cloud needs root: it makes network namespaces, bridges and loop devices." "Run it as root: sudo $0"
}

make_place() {
    (umask 077 && mkdir -p "$CLOUD" && cd "$CLOUD" && mkdir -p etc log run secret var/lock) && : >>"$LOG" ||
        fail "the directory $CLOUD cannot be written." "Give another one with --dir DIR."
}

# keeper: prints the process id of the running cloud's keeper; nothing (and 1) when the cloud is down.
keeper() {
    local pid
    pid=$(cat "$CLOUD/run/keeper.pid" 2>/dev/null) || return 1
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "keeper.sh $CLOUD " && printf '%s\n' "$pid"
}

# open_place: starts the keeper, if there is none yet.
open_place() {
    local turn
    keeper >/dev/null && return
    rm -f "$CLOUD"/run/*.pid
    setsid nohup unshare --net --mount --uts --ipc --pid --fork --kill-child bash "$CLOUD_LIB/keeper.sh" "$CLOUD" "$CLOUD_NODE" \
        >>"$CLOUD/log/keeper.log" 2>&1 </dev/null &
    for turn in $(seq 1200); do
        keeper >/dev/null && return
        sleep 0.05
    done
    fail "no namespaces could be made for the cloud; see $CLOUD/log/keeper.log." "It needs root, and a kernel with network, mount and process namespaces."
}

# in_place COMMAND...: runs a command inside, where the services answer on 127.0.0.1.
in_place() {
    local pid
    pid=$(keeper) || fail "the cloud in $CLOUD is down." "Start it: script/cloud up"
    nsenter --target "$pid" --net --mount --uts --ipc --pid --wd="$PWD" "$@"
}

# close_place: ends everything inside by ending its keeper, and frees what is not bound to a namespace: loop devices.
close_place() {
    local pid turn device
    if pid=$(keeper); then
        kill -9 "$pid"
        for turn in $(seq 200); do
            [ -d "/proc/$pid" ] || break
            sleep 0.05
        done
    fi
    rm -f "$CLOUD"/run/*.pid "$CLOUD/run/up"
    losetup --list --noheadings --output NAME,BACK-FILE | while read -r device file; do
        case $file in "$CLOUD/"*) losetup --detach "$device" ;; esac
    done
}
