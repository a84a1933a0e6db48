# Which engine an installation uses, and whether it can work here. Sourced after say.sh, state.sh and engines.sh.

# choose_engine WISH: sets ENGINE. A state keeps the engine that its containers are in; else what is there is taken before anything is installed.
choose_engine() {
    local before
    before=$(chosen engine)
    case $1 in
        auto) ENGINE=${before:-$(engine_at_hand)} ;;
        podman | docker | fake) ENGINE=$1 ;;
        *) fail "--engine knows podman, docker, fake and auto, not '$1'." ;;
    esac
    [ -z "$before" ] || [ "$before" = "$ENGINE" ] ||
        fail "the state directory $STATE was made with $before, and its containers are in there; it cannot change to $ENGINE." \
            "Leave --engine away, or give another directory: --state DIR"
}

engine_at_hand() {
    if command -v podman >/dev/null 2>&1; then
        echo podman
    elif running_engine docker >/dev/null; then
        echo docker
    else
        echo podman
    fi
}

# need_engine: makes ENGINE installed and answering; sets SOCKET (empty for fake).
need_engine() {
    SOCKET=
    [ "$ENGINE" != fake ] || return 0
    engine_is_here || install_missing_engine
    check_rootless
    SOCKET=$STATE/$ENGINE.sock
    if engine_answers "$SOCKET"; then
        say "Engine: $ENGINE, running since the last script/up"
    elif SOCKET=$(running_engine "$ENGINE"); then
        say "Engine: the $ENGINE that this machine runs ($SOCKET)"
    else
        SOCKET=$STATE/$ENGINE.sock
        quietly "Starting $ENGINE" "start_$ENGINE" "$STATE" "$SOCKET" && return
        last_words
        fail "$ENGINE is installed but does not start; what it says is above and in $STATE/$ENGINE.log."
    fi
}

# engine_address: what the service is told: where the engine answers.
engine_address() {
    if [ "$ENGINE" = fake ]; then printf 'fake://%s/fake' "$STATE"; else printf 'unix://%s' "$SOCKET"; fi
}

engine_is_here() {
    case $ENGINE in
        podman) command -v podman ;;
        docker) command -v dockerd || running_engine docker ;;
    esac >/dev/null 2>&1
}

install_missing_engine() {
    if ! may_be_root; then
        fail "$ENGINE is not installed, and only root may install it." \
            "Ask an administrator for: apt-get install podman crun uidmap slirp4netns fuse-overlayfs" \
            "Then run script/up again as yourself: podman needs no root after that. (--engine fake tries Higgins without containers.)"
    fi
    command -v apt-get >/dev/null 2>&1 ||
        fail "$ENGINE is not installed, and this machine has no apt-get to install it with." \
            "Install podman (or docker) with the machine's own package manager, then run script/up again."
    read_package_lists
    quietly "Installing $ENGINE" install_engine "$ENGINE" && engine_is_here && return
    last_words
    fail "$ENGINE could not be installed; apt's words are above and in $LOG." "When this works, run script/up again: apt-get install $ENGINE"
}

# check_rootless: what podman needs of a machine before it can serve an ordinary user.
check_rootless() {
    [ "$ENGINE" = podman ] && [ "$(id -u)" -ne 0 ] || return 0
    if ! grep -qs "^$(id -un):" /etc/subuid || ! grep -qs "^$(id -un):" /etc/subgid; then
        fail "podman needs a range of user ids for $(id -un), and /etc/subuid or /etc/subgid has none." \
            "Ask an administrator for: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)" "Then: podman system migrate, and script/up again."
    fi
    command -v newuidmap >/dev/null 2>&1 ||
        fail "podman without root needs the package uidmap." "Ask an administrator for: apt-get install uidmap"
    [ ! -e /dev/net/tun ] || { [ -r /dev/net/tun ] && [ -w /dev/net/tun ]; } ||
        fail "podman without root gives containers their network by /dev/net/tun, which $(id -un) may not open." \
            "Ask an administrator for its usual mode: chmod 666 /dev/net/tun"
}

# limits_of_this_machine: prints what rootless podman cannot do here, one sentence a line; nothing when all works.
limits_of_this_machine() {
    [ "$ENGINE" = podman ] && [ "$(id -u)" -ne 0 ] || return 0
    say "Podman runs without root here, so addresses of containers answer from other containers only, not from this machine."
    if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
        say "Limits of memory, cpu and pids do not hold without root on cgroup v1."
    elif ! grep -qsw memory "/sys/fs/cgroup/user.slice/user-$(id -u).slice/user@$(id -u).service/cgroup.controllers"; then
        say "Limits of memory, cpu and pids do not hold: systemd has not delegated them to you (needs a login session with systemd --user)."
    fi
    [ ! -d /run/systemd/system ] || [ -e "/var/lib/systemd/linger/$(id -un)" ] ||
        say "systemd ends your containers when you log out, unless you allow them to stay: loginctl enable-linger"
}
