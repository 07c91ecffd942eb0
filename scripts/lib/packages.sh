# shellcheck shell=bash
# Installs Debian packages, only those that the caller found missing.

# install_packages PACKAGE...: nothing to do without arguments.
install_packages() {
    (($# > 0)) || return 0
    command -v apt-get >/dev/null ||
        die "missing: $*. There is no apt-get here: install them in your system's way"

    local as_root=()
    if ((EUID != 0)); then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root=(sudo -n)
        else
            warn "missing: $*. Type this, then start the script again:"
            die "    sudo apt-get update && sudo apt-get install --no-install-recommends $*"
        fi
    fi

    say "installing $*"
    # Debian's package would start a server of its own on port 5432: nobody asked for
    # one. The file goes away again, so that a later choice is not ours.
    local no_cluster=/etc/postgresql-common/createcluster.d/fourstep.conf
    if [[ " $* " == *" postgresql "* ]]; then
        "${as_root[@]}" mkdir -p "${no_cluster%/*}"
        printf 'create_main_cluster = false\n' | "${as_root[@]}" tee "$no_cluster" >/dev/null
    fi

    # Another call may be at work in the background.
    local status=0 lock
    exec {lock}<"${BASH_SOURCE[0]}"
    flock "$lock"
    {
        "${as_root[@]}" apt-get update -qq &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" \
                </dev/null >/dev/null
    } || status=$?
    exec {lock}<&-
    "${as_root[@]}" rm -f "$no_cluster"
    # So would these, on ports 6432, 3306, 6379 and 5672, and they cannot be told beforehand.
    local service
    for service in pgbouncer mariadb redis-server rabbitmq-server; do
        if [[ " $* " == *" $service"* ]] && command -v systemctl >/dev/null; then
            "${as_root[@]}" systemctl disable --now --quiet "$service" 2>/dev/null || true
            # Erlang's registry of names, which came with it.
            [[ $service != rabbitmq-server ]] ||
                "${as_root[@]}" systemctl disable --now --quiet epmd.socket epmd 2>/dev/null || true
        fi
    done
    ((status == 0)) || die "could not install: $*"
}

# What compiling needs beside Rust: a linker, and a C compiler for the crate ring.
install_compiler() {
    if ! command -v cc >/dev/null; then
        install_packages gcc libc6-dev
    fi
}

# install_python FOLDER PACKAGE...: a Python environment of its own with these packages.
install_python() {
    local folder=$1
    shift
    # What is installed is written down last, so that half an installation is none.
    if [[ $(cat "$folder/installed" 2>/dev/null) == "$*" ]]; then
        return 0
    fi
    say "installing $* into $folder"
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        install_packages python3-venv
    fi
    python3 -m venv --clear "$folder" &&
        "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" &&
        printf '%s\n' "$*" >"$folder/installed"
}
