# Starting, waiting for and ending the cloud's processes. Sourced inside the cloud's namespaces after say.sh and place.sh.

# start NAME COMMAND...: in the background, in a session of its own; nothing when it runs already.
start() {
    local name=$1
    shift
    alive "$name" && return
    setsid nohup "$@" >>"$CLOUD/log/$name.log" 2>&1 </dev/null &
    echo $! >"$CLOUD/run/$name.pid"
}

alive() {
    local pid
    pid=$(cat "$CLOUD/run/$1.pid" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# finish NAME: asks it to end, waits, and ends it (with what it started) if it has not.
finish() {
    local pid turn
    if alive "$1"; then
        pid=$(cat "$CLOUD/run/$1.pid")
        kill "$pid" 2>/dev/null
        for turn in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.05
        done
        kill -9 -- "-$pid" 2>/dev/null
    fi
    rm -f "$CLOUD/run/$1.pid"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# until_so SECONDS COMMAND...: asks again and again until the command succeeds; 1 when the time is over: five times that, for a busy machine.
until_so() {
    local deadline=$((SECONDS + 5 * $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || { echo "waited in vain for: $*" >&2; return 1; }
        sleep 0.2
    done
}

# answers URL: does an HTTP service answer there, if only to say that a token is missing?
answers() {
    case $(curl --silent --max-time 30 --output /dev/null --write-out '%{http_code}' "$1") in
        2?? | 3?? | 401) return 0 ;;
        *) return 1 ;;
    esac
}

UWSGI_OPTIONS=()

# serve NAME PORT MODULE PROCESSES THREADS [CONFIG]: a WSGI service under uWSGI.
# The services read the command line of their process; uWSGI leaves them one of their own, which gunicorn does not.
# UWSGI_OPTIONS may hold more of its options.
# An answer closes its connection: uWSGI's plain HTTP socket does, and clients must be told.
serve() {
    start "$1" "$SERVICES/bin/uwsgi" --master --die-on-term --lazy-apps --enable-threads --need-app --http-socket "127.0.0.1:$2" --module "$3" \
        --processes "$4" --threads "$5" --buffer-size 65535 --thunder-lock --disable-logging --add-header 'Connection: close' \
        --http-chunked-input --chunked-input-limit 67108864 --chunked-input-timeout 60 --worker-reload-mercy 5 --socket-timeout 300 \
        ${6:+--pyargv "--config-file $6"} "${UWSGI_OPTIONS[@]}"
}

# once NAME COMMAND...: runs a step that a cloud's directory needs a single time, such as making the tables.
once() {
    local done_file=$CLOUD/var/$1.done
    shift
    [ -e "$done_file" ] || { "$@" && : >"$done_file"; }
}
