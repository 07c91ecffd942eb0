# shellcheck shell=bash
# A server of the tests with a port, and a process group, of its own. It needs common.sh.

# free_port FIRST: the first port from there on at which nobody listens.
free_port() {
    local port
    for ((port = $1; ; port++)); do
        if ! { : </dev/tcp/127.0.0.1/$port; } 2>/dev/null; then
            printf '%s\n' "$port"
            return
        fi
    done
}

# start_alone DIR COMMAND...: in the background and in a process group of its own, which stop_alone ends
# as a whole; DIR/output is what it says.
start_alone() {
    local dir=$1
    shift
    # shellcheck disable=SC2016 # the other shell expands it
    setsid bash -c 'echo $$ >"$1"; shift; exec "$@"' - "$dir/group" "$@" >"$dir/output" 2>&1 </dev/null &
    # Else the shell tells that it was killed, at the end of all, as if something had failed.
    disown
}

# stop_alone DIR: safe to call at any time, and again: by then the number may be another group's.
stop_alone() {
    [[ ! -s $1/group ]] || kill -KILL -- "-$(<"$1/group")" 2>/dev/null || true
    rm -f "$1/group"
}

# wait_for_port PORT OUTPUT: for three minutes, as the compiler runs beside it; OUTPUT is what the server said.
wait_for_port() {
    local tries
    for ((tries = 0; tries < 1800; tries++)); do
        if { : </dev/tcp/127.0.0.1/"$1"; } 2>/dev/null; then
            return 0
        fi
        sleep 0.1
    done
    warn "nobody listens on port $1:"$'\n'"$(tail -n 20 "$2")"
    return 1
}
