# shellcheck shell=bash
# What every script here starts with: how it speaks, where it works, how it cleans up.

say() { printf '%s\n' "== $*"; }
warn() { printf '%s\n' "!! $*" >&2; }
die() {
    warn "$*"
    exit 1
}

# A script's help is what stands at its head.
case ${1:-} in
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "scripts/$(basename "$0")"
        exit
        ;;
esac

# not_run WITH_FUZZ WITH_SAM: what tests that failed kept from being run after them.
not_run() {
    local left=()
    [[ $1 == no ]] || left+=(scripts/fuzz)
    [[ $2 == no ]] || left+=(scripts/test-sam scripts/test-arm64)
    ((${#left[@]} == 0)) || warn "NOT RUN, as tests failed before: ${left[*]}"
}

# Runs a command after showing it, so that a reader can repeat it by hand.
show() {
    printf '%s\n' "+ $*"
    "$@"
}

# documented PAGE NAME: the commands that stand in a page below the mark of the script that asks, with this name.
# tests/it/documents/blocks.rs holds that it asks for each.
documented() {
    local commands
    commands=$(awk -v mark="<!-- scripts/${0##*/}: $2 -->" '
        $0 == mark { found = 1; next }
        found && /^```/ { if (inside) exit; inside = 1; next }
        found && inside' "$1")
    [[ -n $commands ]] || die "$1 has no commands marked $2"
    printf '%s\n' "$commands"
}

# Cargo's own answer, because the folder can be set by variable or by configuration.
target_dir() {
    cargo metadata --format-version 1 --no-deps --locked |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# One scratch folder for each run. It is gone at the end, however the script ends,
# but for SIGKILL. A script adds what it must stop with `on_exit`.
SCRATCH=
ON_EXIT=()

on_exit() { ON_EXIT=("$*" "${ON_EXIT[@]}"); }

clean_up() {
    local status=$? action
    # A second Ctrl-C must not leave a server behind.
    trap '' INT TERM HUP
    set +e
    for action in "${ON_EXIT[@]}"; do
        $action
    done
    if [[ -n $SCRATCH ]]; then
        rm -rf -- "$SCRATCH"
    fi
    exit "$status"
}

# make_scratch [PARENT]
make_scratch() {
    local parent=${1:-${TMPDIR:-/tmp}}
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    SCRATCH=$(mktemp -d "$parent/fourstep.XXXXXX")
    # A server under another user has to pass through, but not to look around.
    chmod 0711 "$SCRATCH"
}

# Servers make and remove thousands of small files and wait for the disk at many statements. Where memory
# is plenty their data is kept there.
memory_is_plenty() { awk -v least="${1:-8000000}" '/^MemAvailable:/ { exit !($2 >= least) }' /proc/meminfo; }

# Where make_scratch may put such data: in memory, unless the user names a place.
scratch_for_servers() {
    local memory=/dev/shm
    if [[ -z ${TMPDIR:-} && -w $memory ]] && memory_is_plenty &&
        [[ $(findmnt -no OPTIONS --target "$memory") != *noexec* ]] &&
        (($(df --output=avail "$memory" | tail -n 1) >= 4000000)); then
        printf '%s\n' "$memory"
    fi
}

# Letters and digits only: it goes into SQL, JSON and the environment as it is.
random_password() { openssl rand -hex 16; }
