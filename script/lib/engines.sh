# Functions that install, start, feed and stop container engines. To be sourced by bash; does nothing by itself.
#
#   install_engine podman|docker                 what is missing, by apt; starts no service
#   running_engine podman|docker                 prints the socket of an engine that the machine runs already; 1 when none
#   start_podman STATE_DIR SOCKET [private|here] a service of our own; storage is the user's, or all below STATE_DIR when private or here
#   start_docker STATE_DIR SOCKET [private|here]     a daemon of our own (root only), everything below STATE_DIR
#   start_registry STATE_DIR ADDRESS [HTPASSWD] [PID]   a registry, in the network namespace of process PID when given
#   registry_answers ADDRESS                     whether a registry is there
#   make_busybox_image podman|docker SOCKET      docker.io/library/busybox:latest from Debian's package; nothing when it is there
#   stop_engine PIDFILE                          ends what one of the above started; nothing when it has ended
#   wipe_engine STATE_DIR                        stops what STATE_DIR started, ends its containers, removes its files
#
# `private` also gives the engine a network namespace of its own, so that it can run beside any other; `here` leaves it in the caller's.
# Process ids are in STATE_DIR/{podman,docker,registry}.pid, logs beside them as .log. Containers outlive their engine's
# end except with wipe_engine. HIGGINS_REGISTRY_MIRROR=HOST:PORT makes an engine ask that registry before docker.io.

ENGINES_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
declare -F fail >/dev/null || . "$ENGINES_LIB/say.sh"
declare -F need_packages >/dev/null || . "$ENGINES_LIB/apt.sh"

_engine_say() { printf '%s\n' "$*" >&2; }

_engine_python() { python3 "$ENGINES_LIB/engine_http.py" "$@"; }

_engine_has_systemd() { [ -d /run/systemd/system ]; }

_engine_cache() {
    local dir="${XDG_CACHE_HOME:-$HOME/.cache}/higgins/$1"
    mkdir -p "$dir" && printf '%s\n' "$dir"
}

# ---- installing ------------------------------------------------------------------------------------------------------

# need_packages_asleep without those names that this release of Debian lacks.
_engine_need() {
    local known=() name
    for name in "$@"; do
        apt-cache show "$name" >/dev/null 2>&1 && known+=("$name")
    done
    need_packages_asleep "${known[@]:-$1}"
}

install_engine() {
    case "$1" in
    podman)
        command -v podman >/dev/null && { command -v crun || command -v runc; } >/dev/null && _engine_network_tools && return
        _engine_need podman crun catatonit iptables netavark aardvark-dns containernetworking-plugins \
            uidmap slirp4netns passt fuse-overlayfs dbus-user-session ;;
    docker)
        command -v dockerd >/dev/null && return
        running_engine docker >/dev/null && return
        _engine_need docker.io iptables ;;
    *)
        _engine_say "Higgins cannot install an engine called '$1'; it knows podman and docker."
        return 2 ;;
    esac
}

_engine_network_tools() {
    [ -x /usr/lib/podman/netavark ] || [ -x /usr/libexec/podman/netavark ] || [ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ]
}

# ---- what this machine is like ---------------------------------------------------------------------------------------

# crun refuses a machine whose v2 tree beside v1 still owns a controller: mount what is left over as v1.
_engine_fix_hybrid_cgroups() {
    local unified=/sys/fs/cgroup/unified controller
    [ "$(id -u)" = 0 ] && [ -r "$unified/cgroup.controllers" ] || return 0
    for controller in $(cat "$unified/cgroup.controllers"); do
        [ -d "/sys/fs/cgroup/$controller" ] && mountpoint -q "/sys/fs/cgroup/$controller" && continue
        mkdir -p "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" 2>/dev/null || true
    done
}

# Root without CAP_SYS_RESOURCE (bit 24) cannot raise limits, which podman does by default.
_engine_may_raise_limits() {
    local effective
    effective=$(sed -n 's/^CapEff:\s*//p' /proc/self/status)
    [ $((16#$effective >> 24 & 1)) = 1 ]
}

# A short directory for sockets and locks of the state directory $1: a path of a socket has at most 107 bytes.
_engine_run_dir() {
    local above=/run
    [ "$(id -u)" = 0 ] || above=${XDG_RUNTIME_DIR:-/tmp}
    printf '%s/higgins-%s\n' "$above" "$(printf %s "$1" | sha256sum | cut -c1-10)"
}

engine_answers() { _engine_python ping "$1" 2>/dev/null; }

running_engine() {
    local socket candidates=()
    case "$1" in
    podman)
        [ "$(id -u)" = 0 ] && candidates=(/run/podman/podman.sock) || candidates=("${XDG_RUNTIME_DIR:-/nowhere}/podman/podman.sock") ;;
    docker)
        candidates=("${XDG_RUNTIME_DIR:-/nowhere}/docker.sock" /run/docker.sock /var/run/docker.sock) ;;
    esac
    for socket in "${candidates[@]}"; do
        [ -S "$socket" ] && [ -w "$socket" ] && engine_answers "$socket" && printf '%s\n' "$socket" && return
    done
    return 1
}

# ---- starting --------------------------------------------------------------------------------------------------------

# _engine_launch PIDFILE LOG PREFIX... -- COMMAND...: in the background, in a session of its own, holding none of our files.
# It runs in the pid file's folder, since conmon leaves a file named oom where it stands when a container runs out of memory.
_engine_launch() {
    local pidfile=$1 log=$2 prefix=()
    shift 2
    while [ "$1" != -- ]; do prefix+=("$1"); shift; done
    shift
    setsid nohup "${prefix[@]}" sh -c 'echo $$ >"$0"; cd "${0%/*}"; [ "$1" = own ] && ip link set lo up; shift; exec "$@"' \
        "$pidfile" "$([ "${prefix[0]-}" = unshare ] && echo own || echo shared)" "$@" >"$log" 2>&1 </dev/null &
}

_engine_wait() { # NAME PIDFILE LOG SOCKET
    local turn
    for turn in $(seq 300); do
        engine_answers "$4" && return
        if [ "$turn" -gt 20 ] && ! _engine_alive "$2"; then break; fi
        sleep 0.1
    done
    _engine_say "$1 did not come up. The end of $3:"
    tail -n 8 "$3" >&2
    return 1
}

_engine_alive() { # PIDFILE
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && [ -d "/proc/$pid" ] &&
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -Eq 'podman|dockerd|docker-registry'
}

_engine_podman_conf() { # STATE_DIR private?: containers.conf for what this machine cannot do by itself
    local dir=$1 private=$2 runtime
    echo '[containers]'
    _engine_has_systemd || echo 'log_driver = "k8s-file"'
    if ! _engine_may_raise_limits && [ "$(id -u)" = 0 ]; then
        printf 'default_ulimits = ["nofile=%s:%s", "nproc=16384:16384"]\n' "$(ulimit -Hn)" "$(ulimit -Hn)"
    fi
    # The monitor of an ended exec stays for this long (five minutes by default).
    printf '[engine]\nexit_command_delay = 5\n'
    _engine_has_systemd || printf 'cgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    ! command -v crun >/dev/null || echo 'runtime = "crun"'
    # No static_dir: podman does not hand it on to the process that cleans up (and starts again) an ended container.
    [ -z "$private" ] || printf 'volume_path = "%s/volumes"\ntmp_dir = "%s/libpod"\n' "$dir" "$(_engine_run_dir "$dir")"
    echo '[engine.runtimes]'
    for runtime in crun runc runsc; do
        ! command -v $runtime >/dev/null || printf '%s = ["%s"]\n' $runtime "$(command -v $runtime)"
    done
    echo '[network]'
    [ -x /usr/lib/podman/netavark ] || [ -x /usr/libexec/podman/netavark ] || echo 'network_backend = "cni"'
    [ -z "$private" ] || printf 'network_config_dir = "%s/networks"\n' "$dir"
}

_engine_podman_storage() { # STATE_DIR
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/storage"\nrunroot = "%s/storage"\n' "$1" "$(_engine_run_dir "$1")"
}

# CNI keeps addresses in /var/lib/cni for the whole machine unless told otherwise.
_engine_podman_network() { # STATE_DIR
    printf '{"cniVersion": "0.4.0", "name": "podman", "plugins": [\n'
    printf ' {"type": "bridge", "bridge": "cni-podman0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "ipam": {"type": "host-local",\n'
    printf '  "dataDir": "%s/addresses", "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}]]}},\n' "$1"
    printf ' {"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "firewall"}, {"type": "tuning"}]}\n'
}

_engine_podman_registries() {
    echo 'unqualified-search-registries = ["docker.io"]'
    [ -z "${HIGGINS_REGISTRY_MIRROR-}" ] || printf '%s\n' '[[registry]]' 'location = "docker.io"' '[[registry.mirror]]' \
        "location = \"$HIGGINS_REGISTRY_MIRROR\"" 'insecure = true'
}

start_podman() {
    local state=$1 socket=$2 private=${3-} dir=$1/podman prefix=() settings=()
    mkdir -p "$dir" "$(dirname "$socket")"
    engine_answers "$socket" && return
    _engine_fix_hybrid_cgroups
    if [ -n "$private" ] || ! _engine_has_systemd; then
        _engine_podman_conf "$dir" "$private" >"$dir/containers.conf"
        settings+=("CONTAINERS_CONF=$dir/containers.conf")
    fi
    if [ -n "$private" ]; then
        mkdir -p "$dir/networks" "$(_engine_run_dir "$dir")"
        _engine_podman_storage "$dir" >"$dir/storage.conf"
        ! grep -q '"cni"' "$dir/containers.conf" || _engine_podman_network "$dir" >"$dir/networks/podman.conflist"
        settings+=("CONTAINERS_STORAGE_CONF=$dir/storage.conf")
        [ "$(id -u)" != 0 ] || [ "$private" = here ] || prefix=(unshare --net)
    fi
    if [ -n "$private" ] || [ -n "${HIGGINS_REGISTRY_MIRROR-}" ]; then
        _engine_podman_registries >"$dir/registries.conf"
        settings+=("CONTAINERS_REGISTRIES_CONF=$dir/registries.conf")
    fi
    rm -f "$socket"
    _engine_launch "$state/podman.pid" "$state/podman.log" "${prefix[@]}" -- \
        env "${settings[@]}" podman system service --time=0 "unix://$socket"
    _engine_wait podman "$state/podman.pid" "$state/podman.log" "$socket"
}

# Takes away pid files of processes that are gone, or dead and not yet buried: a daemon would wait for them, or refuse to start.
_engine_forget_dead() { # PIDFILE...
    local file
    for file in "$@"; do
        tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$file" 2>/dev/null || echo none)/cmdline" | grep -q . || rm -f "$file"
    done
}

_engine_docker_conf() { # DIR SOCKET
    local runtime comma= registries=
    registries=${HIGGINS_REGISTRY_MIRROR:+\"http://$HIGGINS_REGISTRY_MIRROR\"}
    printf '{"data-root": "%s/data", "exec-root": "%s", "pidfile": "%s/dockerd.pid", "hosts": ["unix://%s"],\n' \
        "$1" "$(_engine_run_dir "$1")" "$(_engine_run_dir "$1")" "$2"
    printf ' "live-restore": true, "registry-mirrors": [%s],\n' "$registries"
    _engine_has_systemd || printf ' "exec-opts": ["native.cgroupdriver=cgroupfs"],\n'
    printf ' "runtimes": {'
    for runtime in crun; do
        ! command -v $runtime >/dev/null || { printf '%s"%s": {"path": "%s"}' "$comma" $runtime "$(command -v $runtime)"; comma=', '; }
    done
    ! command -v runsc >/dev/null || printf '%s"runsc": {"path": "%s", "runtimeArgs": ["--platform=ptrace", "--network=host"]}' "$comma" "$(command -v runsc)"
    printf '}}\n'
}

start_docker() {
    local state=$1 socket=$2 private=${3-} dir=$1/docker prefix=()
    engine_answers "$socket" && return
    if [ "$(id -u)" != 0 ]; then
        _engine_say "Only root can start a Docker daemon. Use podman, or a Docker that runs already (give its socket)."
        return 1
    fi
    mkdir -p "$dir" "$(dirname "$socket")" "$(_engine_run_dir "$dir")"
    _engine_fix_hybrid_cgroups
    _engine_docker_conf "$dir" "$socket" >"$dir/daemon.json"
    [ "$private" != private ] || prefix=(unshare --net)
    _engine_alive "$state/docker.pid" || rm -f "$socket"
    _engine_forget_dead "$(_engine_run_dir "$dir")/dockerd.pid" "$(_engine_run_dir "$dir")/containerd/containerd.pid"
    _engine_launch "$state/docker.pid" "$state/docker.log" "${prefix[@]}" -- dockerd --config-file "$dir/daemon.json"
    _engine_wait dockerd "$state/docker.pid" "$state/docker.log" "$socket"
}

registry_answers() { # HOST:PORT
    python3 - "$1" 2>/dev/null <<'PYTHON'
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=3)
connection.request("GET", "/v2/")
sys.exit(connection.getresponse().status not in (200, 401))
PYTHON
}

start_registry() {
    local state=$1 address=$2 htpasswd=${3-} pid=${4-} dir=$1/registry prefix=() turn
    command -v docker-registry >/dev/null || _engine_need docker-registry || return
    _engine_alive "$state/registry.pid" && return
    mkdir -p "$dir/data"
    {
        printf 'version: 0.1\nlog: {level: warn}\nhttp: {addr: "%s"}\n' "$address"
        printf 'storage: {filesystem: {rootdirectory: "%s/data"}, delete: {enabled: true}}\n' "$dir"
        [ -z "$htpasswd" ] || printf 'auth: {htpasswd: {realm: higgins, path: "%s"}}\n' "$htpasswd"
    } >"$dir/registry.yml"
    [ -z "$pid" ] || prefix=(nsenter "--net=/proc/$pid/ns/net")
    _engine_launch "$state/registry.pid" "$state/registry.log" "${prefix[@]}" -- docker-registry serve "$dir/registry.yml"
    for turn in $(seq 100); do
        "${prefix[@]}" python3 -c 'import socket, sys; host, port = sys.argv[1].rsplit(":", 1); socket.create_connection((host, int(port)), 2)' \
            "$address" 2>/dev/null && _engine_alive "$state/registry.pid" && return
        sleep 0.1
    done
    _engine_say "The registry did not come up. The end of $state/registry.log:"
    tail -n 8 "$state/registry.log" >&2
    return 1
}

# ---- images ----------------------------------------------------------------------------------------------------------

# Unpacks Debian's package $1 into directory $2 without installing it; works as any user, and beside others who want it too.
fetch_deb() {
    local name=$1 into=$2 cache
    cache=$(_engine_cache debs)
    (flock 9 && { _engine_has_deb "$name" "$cache" || _engine_download "$name" "$cache" 9>&-; }) 9>"$cache/lock" || {
        _engine_say "Debian's package $name cannot be downloaded. Check the network and the apt sources (apt-get update)."
        return 1
    }
    mkdir -p "$into" && dpkg-deb -x "$(find "$cache" -maxdepth 1 -name "${name}_*.deb" | sort | tail -n 1)" "$into"
}

_engine_has_deb() { [ -n "$(find "$2" -maxdepth 1 -name "$1_*.deb" -print -quit)" ]; } # PACKAGE FOLDER

# In a folder of its own first: what lies in the cache is whole.
_engine_download() ( # PACKAGE FOLDER
    rm -rf "$2/partial" && mkdir "$2/partial" && cd "$2/partial" || return
    apt-get download -qq "$1" >/dev/null 2>&1 ||
        { is_root && apt_get update >/dev/null 2>&1 && apt-get download -qq "$1" >/dev/null; } || return
    mv ./*.deb ..
)

# Prints the path of a tar of a root file system with busybox and all of its applets.
busybox_tar() {
    local tar work root
    tar=$(_engine_cache images)/busybox-$(dpkg --print-architecture).tar
    if [ ! -s "$tar" ]; then
        work=$(mktemp -d) root=$work/root
        fetch_deb busybox-static "$work/deb" || { rm -rf "$work"; return 1; }
        mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,etc,root,tmp,var,home}
        cp "$(find "$work/deb" -path '*bin/busybox' -type f | head -n 1)" "$root/bin/busybox" && chmod 755 "$root/bin/busybox" || { rm -rf "$work"; return 1; }
        "$root/bin/busybox" --list-full | while read -r applet; do
            mkdir -p "$root/$(dirname "$applet")"
            [ -e "$root/$applet" ] || ln -s /bin/busybox "$root/$applet"
        done
        chmod 1777 "$root/tmp"
        echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
        printf 'nobody:x:65534:65534:nobody:/home:/bin/false\n' >>"$root/etc/passwd"
        printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
        tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$tar.$$" . && mv "$tar.$$" "$tar"
        rm -rf "$work"
    fi
    printf '%s\n' "$tar"
}

make_busybox_image() {
    local socket=$2 repository=busybox tar
    [ "$1" != podman ] || repository=docker.io/library/busybox
    _engine_python has-image "$socket" "$repository:latest" && return
    tar=$(busybox_tar) && _engine_python import "$socket" "$repository" latest "$tar" 'CMD ["sh"]'
}

# ---- stopping --------------------------------------------------------------------------------------------------------

# Without root podman's service is a child of the process that was started, and may end later than it or never.
_engine_second_self() { # PID
    local child
    for child in $(cat "/proc/$1"/task/*/children 2>/dev/null); do
        tr '\0' ' ' 2>/dev/null <"/proc/$child/cmdline" | grep -q '^podman system service' && echo "$child"
    done
}

_engine_any_lives() { # PID...
    local pid
    for pid in "$@"; do
        [ -n "$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")" ] && return
    done
    return 1
}

stop_engine() {
    local pids turn
    if _engine_alive "$1"; then
        pids=$(cat "$1")
        pids="$pids $(_engine_second_self "$pids")"
        kill $pids 2>/dev/null
        for turn in $(seq 200); do
            _engine_any_lives $pids || break
            [ "$turn" != 150 ] || kill -9 $pids 2>/dev/null
            sleep 0.1
        done
    fi
    rm -f "$1"
}

# Monitors and shims of an engine that has ended, known by its directories in their command lines.
_engine_leftovers() {
    local entry
    for entry in /proc/[0-9]*; do
        grep -Eq '^(conmon|containerd)' "$entry/comm" 2>/dev/null &&
            tr '\0' ' ' <"$entry/cmdline" 2>/dev/null | grep -Fq -e "$1" -e "$2/" && echo "${entry#/proc/}"
    done
}

wipe_engine() {
    local state=$1 engine dir run pid mount
    for engine in podman docker registry; do
        stop_engine "$state/$engine.pid"
    done
    for engine in podman docker; do
        dir=$state/$engine
        [ -d "$dir" ] || continue
        run=$(_engine_run_dir "$dir")
        for pid in $(_engine_leftovers "$run" "$dir"); do
            kill -9 $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) "$pid" 2>/dev/null
        done
        awk '{print $2}' /proc/mounts | grep -F -e "$run" -e "$dir/" | sort -r | while read -r mount; do umount -l "$mount" 2>/dev/null; done
        rm -rf "$run" "$dir"
    done
    rm -rf "$state/registry" "$state"/{podman,docker,registry}.log
}
