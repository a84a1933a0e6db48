# The state directory of one installation: where it is, what was chosen for it, whether its service runs. Sourced after say.sh.

# use_state DIR: sets STATE (absolute) and LOG, and makes the directory; DIR may be empty for the default.
use_state() {
    local dir=$1
    if [ -z "$dir" ]; then
        if [ "$(id -u)" -eq 0 ]; then dir=/var/lib/higgins; else dir=${XDG_STATE_HOME:-$HOME/.local/state}/higgins; fi
    fi
    STATE=$(realpath -m -- "$dir")
    LOG=$STATE/log/install.log
    # A unix socket's path ends at 107 bytes, and sockets live in here.
    [ ${#STATE} -le 80 ] ||
        fail "the state directory's path is too long (${#STATE} characters, 80 at most): $STATE" "Give a shorter one with --state DIR."
}

# make_state: what only `up` needs: the directory, private to its owner.
make_state() {
    (umask 077 && mkdir -p "$STATE/log") 2>/dev/null && [ -w "$STATE" ] && : 2>/dev/null >>"$LOG" ||
        fail "the state directory $STATE cannot be written by $(id -un)." \
            "Give another one with --state DIR, or have this one made yours: chown -R $(id -un) $STATE"
}

# chosen engine|port|auth: what this state was last started with; nothing for a new one. The service itself writes it.
chosen() {
    local conf=$STATE/higgins.conf
    case $1 in
        engine) cat "$STATE/engine.name" 2>/dev/null ;;
        port) sed -n 's/^port = //p' "$conf" 2>/dev/null ;;
        auth) sed -n 's/^backend = http_basic$/basic/p; s/^backend = noauth$/none/p' "$conf" 2>/dev/null ;;
    esac
}

# service_pid: prints the process id of this state's running service; nothing (and 1) when it does not run.
service_pid() {
    local pid
    pid=$(cat "$STATE/higgins.pid" 2>/dev/null)
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    tr "\\0" " " 2>/dev/null <"/proc/$pid/cmdline" | grep -q higgins && printf '%s\n' "$pid"
}
