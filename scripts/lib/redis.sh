# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Redis 7 of this machine, Redis 8 and Valkey 9 of the folder that sid.sh makes. One starts in a tenth of a
# second, so each test starts those that it needs, in a folder of its own below the one that is made here,
# and stops them; what a test that was killed left is stopped here. It needs common.sh, certificates.sh and
# sid.sh.

REDIS_SERVERS=() # the names of those that there are
REDIS_DIRS=()

# What this machine lacks, for install_packages.
redis_missing() { command -v redis-server >/dev/null || printf 'redis-server\n'; }

# redis_prepare NAME ROOT SERVER: sets the variables that begin with NAME: _DIR, with tls/ca.pem in it;
# _ROOT, to be entered by chroot, or nothing; _SERVER, the program.
redis_prepare() {
    local -n dir=$1_DIR root=$1_ROOT server=$1_SERVER
    root=$2 server=$3
    dir=$(mktemp -d "${root:-$SCRATCH}${root:+/tmp}/fourstep.XXXXXX")
    REDIS_DIRS+=("$dir")
    # Each change of rights and of nodes is synchronised with the disk by the only thread.
    [[ -z $root ]] || folder_scratch_mount "$dir"
    mkdir -m 0700 "$dir/tls"
    make_ca "$dir/tls" ca
    make_ca "$dir/tls" other-ca
    # A node of a cluster is a client of the others.
    make_server_certificate "$dir/tls" ca "serverAuth, clientAuth"
    REDIS_SERVERS+=("$1")
}

# redis_add ROOT: what the folder of Debian's unstable suite lacks.
redis_add() {
    [[ -x $1/usr/bin/valkey-server && -x $1/usr/bin/redis-server ]] && return 0
    say "installing valkey-server and redis-server into $1 (some seconds)"
    folder_add "$1" valkey-server redis-server >"$1.log" 2>&1 </dev/null || {
        warn "could not install them:"$'\n'"$(tail -n 20 "$1.log")"
        return 1
    }
}

# Safe to call at any time.
redis_stop() {
    local dir pid
    for dir in "${REDIS_DIRS[@]}"; do
        for pid in "$dir"/*/pid; do
            [[ ! -s $pid ]] || kill -KILL "$(<"$pid")" 2>/dev/null || true
        done
        folder_scratch_remove "$dir"
    done
    REDIS_DIRS=() REDIS_SERVERS=()
}

# redis_version NAME
redis_version() {
    local root=$1_ROOT server=$1_SERVER
    ${!root:+chroot "${!root}"} "${!server}" --version | sed 's/.*v=\([^ ]*\).*/\1/'
}
