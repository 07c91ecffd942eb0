# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# moto, a Secrets Manager that others wrote: installed under the target folder, and run on a free
# port. It needs common.sh and packages.sh.

MOTO_BIN=    # the folder of moto_server
MOTO_URL=    # where it listens
MOTO_SERVER= # its process id

# Pinned: the tests list what it does otherwise than AWS. Flask and its companion are what moto's
# extra `server` is about; the rest of that extra is for services that nobody asks here.
MOTO_PACKAGES=(moto==5.2.5 flask==3.1.3 flask-cors==6.0.5)

# moto_find TOOLS: TOOLS is the folder to install into.
moto_find() {
    MOTO_BIN=$1/moto/bin
    install_python "$1/moto" "${MOTO_PACKAGES[@]}"
}

# moto_start LOG: sets MOTO_URL. Another process may take the port between our look and the
# server's start: then the server ends by itself, and the next port is tried.
moto_start() {
    local log=$1 port try
    on_exit moto_stop
    for ((try = 0; try < 5; try++)); do
        # Below the range from which the kernel hands out ports to clients.
        port=$((20000 + RANDOM % 12000))
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            continue
        fi
        "$MOTO_BIN/moto_server" --host 127.0.0.1 --port "$port" >"$log" 2>&1 &
        MOTO_SERVER=$!
        if moto_ready "$port"; then
            MOTO_URL=http://127.0.0.1:$port
            return 0
        fi
        moto_stop
    done
    die "moto does not start:"$'\n'"$(cat "$log" 2>/dev/null)"
}

moto_ready() {
    local port=$1 look
    for ((look = 0; look < 300; look++)); do
        kill -0 "$MOTO_SERVER" 2>/dev/null || return 1
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return 0
        fi
        sleep 0.2
    done
    return 1
}

# Safe to call at any time.
moto_stop() {
    if [[ -n $MOTO_SERVER ]]; then
        kill "$MOTO_SERVER" 2>/dev/null || true
        wait "$MOTO_SERVER" 2>/dev/null || true
        MOTO_SERVER=
    fi
}
