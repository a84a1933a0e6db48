# Debian packages: installed when missing, with an answer for a machine that has no apt, no root or no mirror. Sourced after say.sh.

is_root() { [ "$(id -u)" -eq 0 ]; }

# may_be_root: is this root, or a user with sudo that asks for no password?
may_be_root() { is_root || sudo -n true 2>/dev/null; }

as_root() {
    if is_root; then "$@"; else sudo -n "$@"; fi
}

has_package() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need_packages PACKAGE...: installs those that are not there yet; ends the script with what to do when it cannot.
need_packages() {
    local missing=() package
    for package in "$@"; do
        has_package "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    command -v apt-get >/dev/null 2>&1 ||
        fail "this machine has no apt-get, and these Debian packages are missing: ${missing[*]}." \
            "Install what they hold with the machine's own package manager, then run the script again." \
            "The scripts are made for Debian 12 and newer."
    may_be_root ||
        fail "these Debian packages are missing, and only root may install them: ${missing[*]}." \
            "Ask an administrator for: apt-get install ${missing[*]}" \
            "Then run the script again; it needs no root for the rest."
    install_packages "${missing[@]}"
}

# need_packages_asleep PACKAGE...: the same, and no service that a package brings is started by its installation.
need_packages_asleep() {
    local policy=/usr/sbin/policy-rc.d made= status=0
    if is_root && [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=1
    fi
    (need_packages "$@") || status=1
    [ -z "$made" ] || rm -f "$policy"
    return $status
}

# install_packages PACKAGE...: as root, from the mirrors that the machine's own apt sources name.
install_packages() {
    apt-cache show "$@" >/dev/null 2>&1 || read_package_lists
    quietly "Installing $*" apt_get install --yes --no-install-recommends "$@" && return 0
    # Lists that are older than the mirror name versions that it no longer has.
    as_root rm -f "$FRESH_LISTS" && read_package_lists
    quietly "Installing $*" apt_get install --yes --no-install-recommends "$@" && return 0
    last_words
    fail "apt-get could not install: $*." "When this works, run the script again: apt-get install $*"
}

# read_package_lists: apt-get update, once an hour at most.
FRESH_LISTS=/var/lib/apt/lists/higgins-read
read_package_lists() {
    may_be_root || return 0
    [ -z "$(find "$FRESH_LISTS" -mmin -60 2>/dev/null)" ] || return 0
    quietly "Reading the package lists" apt_get update && as_root touch "$FRESH_LISTS" && return
    last_words
    fail "apt-get update does not work: the machine's Debian mirror cannot be reached." \
        "Check the network, the proxy and /etc/apt/sources.list (try: apt-get update), then run the script again."
}

# A lock held by an unattended upgrade is waited for; an unreachable mirror is an error, which plain update only warns of.
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 \
        -o APT::Update::Error-Mode=any "$@"
}
