# The Python environment: .venv in the checkout, exactly what the hashed lock files say. Sourced after say.sh and apt.sh.

# find_python: prints the path of a Python that is 3.11 or newer and can make environments; nothing when there is none.
find_python() {
    local name
    for name in python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.14; do
        "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        "$name" -c 'import sys; print(sys.executable)'
        return
    done
}

# need_python: sets PYTHON; installs Debian's when none fits.
need_python() {
    PYTHON=$(find_python)
    [ -n "$PYTHON" ] && return
    need_packages python3 python3-venv
    PYTHON=$(find_python)
    [ -n "$PYTHON" ] && return
    fail "Python 3.11 or newer is needed, and $(python3 --version 2>&1) is what this system has." \
        "Debian 12 and newer have it. On an older one, put a newer python3 first on the PATH and run the script again."
}

# need_environment RUN_OR_DEV: makes $TOP/.venv hold what requirements.txt (and, for dev, requirements-dev.txt) say, and Higgins itself.
# Nothing is done when the same was installed before. An environment for development serves for running too.
need_environment() {
    local kind=$1 wanted
    exec 8<"$TOP/pyproject.toml"
    flock 8
    wanted=$(environment_mark "$kind")
    if ! environment_is "$kind" "$wanted"; then
        [ -w "$TOP" ] || [ -w "$TOP/.venv" ] ||
            fail "the checkout $TOP is not yours to write, and the Python environment belongs into it." \
                "Clone it as the user who runs it, or let its owner run the script once."
        need_python
        fill_environment "$kind"
        printf '%s\n' "$wanted" >"$TOP/.venv/higgins-$kind"
        [ "$kind" = run ] || environment_mark run >"$TOP/.venv/higgins-run"
    fi
    exec 8>&-
}

# environment_mark KIND: what an environment must have been made from to be still right.
environment_mark() {
    local locks=(requirements-build.txt requirements.txt)
    [ "$1" = run ] || locks+=(requirements-dev.txt)
    (cd "$TOP" && pwd -P && cat "${locks[@]}" && sed -n '/^\[project/,/^\[tool/p' pyproject.toml) | sha256sum | cut -d ' ' -f 1
}

# environment_is KIND MARK: is it there, of that mark, and does its Python still start?
environment_is() {
    [ "$(cat "$TOP/.venv/higgins-$1" 2>/dev/null)" = "$2" ] && "$TOP/.venv/bin/python" -c '' 2>/dev/null
}

# fill_environment KIND: plain pip, so that the machine's own pip settings (index, proxy, certificates) hold; every file is checked against its hash.
fill_environment() {
    local venv=$TOP/.venv lock=requirements.txt
    rm -f "$venv/higgins-run" "$venv/higgins-dev"
    [ "$1" = run ] || lock=requirements-dev.txt
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 || ! grep -qsF "$venv" "$venv/pyvenv.cfg"; then
        quietly "Making the Python environment ($("$PYTHON" --version))" "$PYTHON" -m venv --clear "$venv" ||
            environment_failed "the Python environment could not be made in $venv."
    fi
    quietly "Installing the Python packages of $lock" pip_install --require-hashes -r "$TOP/requirements-build.txt" -r "$TOP/$lock" ||
        environment_failed "the Python packages of $lock could not be installed."
    quietly "Installing Higgins from $TOP" pip_install --no-deps --no-build-isolation --editable "$TOP" ||
        environment_failed "Higgins could not be installed into $venv."
}

pip_install() {
    "$TOP/.venv/bin/python" -m pip --disable-pip-version-check --no-input --quiet install --no-warn-script-location "$@"
}

environment_failed() {
    last_words
    fail "$1" "If the package index cannot be reached, check the network, the proxy and pip's settings (pip config list); then run the script again." \
        "The whole log: ${LOG:-(none)}"
}
