# How the scripts talk: one line a step on the terminal, everything else in a log file. Sourced, never run.
# The caller may set LOG (a file); without it the details go nowhere.

say() { printf '%s\n' "$@"; }

# fail MESSAGE...: says what is wrong and what to do, then ends the script.
fail() {
    printf '\n%s: %s\n' "${0#"$PWD"/}" "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

# quietly WHAT COMMAND...: runs a step that takes a while; says what it does and how long it took. Answers the command's exit code.
quietly() {
    local what=$1 since=$SECONDS code=0
    shift
    if [ -t 1 ]; then printf '%s ... ' "$what"; fi
    printf '\n## %s: %s\n' "$(date -u +%FT%TZ)" "$*" >>"${LOG:-/dev/null}"
    "$@" >>"${LOG:-/dev/null}" 2>&1 </dev/null || code=$?
    [ -t 1 ] || printf '%s ... ' "$what"
    if [ "$code" -eq 0 ]; then say "done ($((SECONDS - since)) s)"; else say "failed"; fi
    return "$code"
}

# last_words: the end of what the last step wrote into the log, for an error message.
last_words() {
    [ -r "${LOG:-/dev/null}" ] && awk '/^## /{text = ""; next} {text = text $0 "\n"} END{printf "%s", text}' "$LOG" | tail -n 12 | sed 's/^/  | /' >&2
    return 0
}
