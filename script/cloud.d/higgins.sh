# Higgins in its cloud, as its install guide says: tables, certificate, API, controller, and two hosts: one with podman, one with docker.
# Sourced inside after daemons.sh and infrastructure.sh.

HIGGINS=$(cd "$CLOUD_LIB/../.." && pwd -P)/.venv/bin
HIGGINS_FILES=(--config-file "$CLOUD/etc/higgins/higgins.conf" --config-file "$CLOUD/etc/higgins/local.conf")
ENGINES=$CLOUD/var/engines

start_higgins() {
    mkdir -p "$CLOUD/var/higgins" && touch "$CLOUD/etc/higgins/local.conf"
    once higgins-certificate make_certificate || return
    # Names of containers are whatever people write; the other services' tables do with less.
    once higgins-characters sql --execute 'ALTER DATABASE higgins CHARACTER SET utf8mb4' || return
    "$HIGGINS/higgins-manage" "${HIGGINS_FILES[@]}" db upgrade || return
    start higgins-controller "$HIGGINS/higgins-controller" "${HIGGINS_FILES[@]}"
    start higgins-api "$HIGGINS/higgins-api" "${HIGGINS_FILES[@]}"
    until_so 60 listens 9518 && until_so 60 answers http://127.0.0.1:9517/healthcheck
}

# One certificate serves controller and hosts here; each machine of a real cloud has its own.
make_certificate() {
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$CLOUD_NODE" \
        -addext "subjectAltName=DNS:$CLOUD_NODE,IP:127.0.0.1" -keyout "$CLOUD/etc/higgins/key.pem" -out "$CLOUD/etc/higgins/certificate.pem")
}

start_host_podman() { start_host podman "$CLOUD_NODE" 9519; }
start_host_docker() { start_host docker "$CLOUD_NODE-docker" 9520; }

# start_host ENGINE NAME PORT: an engine whose images and containers are the cloud's alone, and the agent that looks after it.
# The agent gets an empty environment: it holds nothing but its own credential.
start_host() {
    local engine=$1 name=$2 socket=/run/higgins-$1.sock state=$CLOUD/var/higgins/$1
    mkdir -p "$ENGINES" "$state"
    "start_$engine" "$ENGINES" "$socket" here && cp "$ENGINES/$engine.pid" "$CLOUD/run/$engine.pid" || return
    make_busybox_image "$engine" "$socket" || return
    once "higgins-enroll-$engine" "$HIGGINS/higgins-manage" "${HIGGINS_FILES[@]}" host enroll "$name" --credential-file "$state/credential" || return
    start "higgins-agent-$engine" env --ignore-environment PATH="$PATH" LANG=C.UTF-8 "$HIGGINS/higgins-agent" --config-file "$CLOUD/etc/higgins/agent-$engine.conf"
    until_so 30 listens "$3" && until_so 60 host_is_up "$name"
}

host_is_up() { "$HIGGINS/higgins-manage" "${HIGGINS_FILES[@]}" host list | grep -q "^$1	up	"; }

# As with a machine that is turned off. Ended by their engines they leave no control groups behind, which are the outer machine's.
stop_containers() {
    local running
    ! alive podman || podman --url unix:///run/higgins-podman.sock stop --all --time 0
    running=$(! alive docker || docker --host unix:///run/higgins-docker.sock ps --quiet)
    [ -z "$running" ] || docker --host unix:///run/higgins-docker.sock stop --time 0 $running
} >/dev/null 2>&1
