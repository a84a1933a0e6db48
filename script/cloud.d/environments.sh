# What the cloud is made of: Debian's packages, and Python environments from hashed locks, kept for every later cloud. Sourced after say, apt, python and place.

CLOUD_PACKAGES=(mariadb-server-core mariadb-client-core rabbitmq-server memcached openvswitch-switch ovn-central ovn-host
    iproute2 iputils-ping util-linux curl e2fsprogs openssl)

need_cloud_packages() {
    local engine
    need_packages_asleep "${CLOUD_PACKAGES[@]}" || return
    for engine in podman docker; do
        install_engine "$engine" || return
    done
    # No mirror can be reached from inside.
    quietly "Making an image of busybox" busybox_tar
}

# need_cloud_environments: sets SERVICES and DASHBOARD; makes them when they are not there.
need_cloud_environments() {
    SERVICES=$(environment_place services)
    DASHBOARD=$(environment_place dashboard)
    make_environment services "$SERVICES" true
    make_environment dashboard "$DASHBOARD" arrange_dashboard
}

# environment_place NAME: its path holds the hash of what it is made from, so that a new lock is a new environment, and a running cloud keeps its own.
environment_place() {
    local hash
    hash=$({ cat "$CLOUD_LIB/$1.lock"; [ "$1" != dashboard ] || { declare -f arrange_dashboard; cat "$CLOUD_LIB"/plugins/_9*_home.py; }; } | sha256sum)
    printf '%s/%s-%s\n' "$CACHE" "$1" "${hash:0:10}"
}

# make_environment NAME DIR ARRANGE: fills DIR by the lock, then calls ARRANGE DIR. A mark is written last, so half of one is made anew.
make_environment() {
    local name=$1 dir=$2 arrange=$3
    touch --no-create "$dir/made" 2>/dev/null
    [ -e "$dir/made" ] && return
    mkdir -p "$CACHE" && exec 7>"$CACHE/$name.lock" && flock 7
    if [ ! -e "$dir/made" ]; then
        need_uv
        drop_old_environments
        quietly "Installing the Python packages of $name" fill_cloud_environment "$name" "$dir" &&
            quietly "Arranging $name" "$arrange" "$dir" && : >"$dir/made" ||
            { last_words; fail "the environment of $name could not be made in $dir." "The whole log: $LOG"; }
    fi
    exec 7>&-
}

# Those that no cloud was started from for two weeks.
drop_old_environments() {
    find "$CACHE" -mindepth 2 -maxdepth 2 -name made -mtime +14 | while read -r mark; do rm -rf "$(dirname "$mark")"; done
}

fill_cloud_environment() {
    "$UV" venv --quiet --clear --python "$PYTHON" "$2" &&
        VIRTUAL_ENV=$2 "$UV" pip install --quiet --require-hashes --compile-bytecode -r "$CLOUD_LIB/$1.lock"
}

# arrange_dashboard DIR: what its install guide asks for: panels of the plugins, settings, pages' static files in one place.
arrange_dashboard() {
    local site
    site=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') || return
    cp "$site"/zun_ui/enabled/_*.py "$site"/heat_dashboard/enabled/_[1-9]*.py "$CLOUD_LIB"/plugins/_9*_home.py \
        "$site/openstack_dashboard/local/enabled/" || return
    # The environment serves many clouds; each names its own settings.
    printf 'import os\nexec(open(os.environ["DASHBOARD_SETTINGS"]).read())\n' >"$site/openstack_dashboard/local/local_settings.py"
    printf 'STATIC_ROOT = "%s/static"\nSECRET_KEY = "only for this step"\n' "$1" >"$1/build_settings.py"
    export DASHBOARD_SETTINGS=$1/build_settings.py DJANGO_SETTINGS_MODULE=openstack_dashboard.settings
    "$1/bin/python" -m django collectstatic --noinput --verbosity 0
}

# need_uv: sets UV and PYTHON. uv does not read pip's settings, and the machine's own index is named there.
need_uv() {
    local index
    need_python
    index=${PIP_INDEX_URL:-$("$PYTHON" -m pip config get global.index-url 2>/dev/null)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}
    UV=$TOP/.venv/bin/uv
    [ -x "$UV" ] && return
    UV=$CACHE/uv/bin/uv
    [ -x "$UV" ] && return
    "$PYTHON" -m venv "$CACHE/uv" && quietly "Installing uv" "$CACHE/uv/bin/python" -m pip install --quiet uv || { last_words; fail "uv could not be installed."; }
}

# lock_environments [--upgrade]: compiles the locks anew.
lock_environments() {
    local name
    LOG=$(mktemp)
    need_uv
    for name in services dashboard; do
        (cd "$CLOUD_LIB" && "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
            --no-emit-index-url --no-emit-find-links --no-header "$@" "$name.in" -o "$name.lock") || fail "$name.in could not be compiled."
        if grep -n '://' "$CLOUD_LIB/$name.lock"; then fail "$name.lock names an address; it may not."; fi
    done
    wc -l "$CLOUD_LIB"/*.lock
    rm -f "$LOG"
}
