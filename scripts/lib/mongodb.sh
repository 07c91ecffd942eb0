# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Private MongoDB servers with TLS, on free ports: one by itself, a replica set, and a mongos before a
# cluster without shards; a server that others wrote for today's protocol; and a client that shares no
# code with rotate-mongodb. It needs common.sh, packages.sh, certificates.sh and sid.sh.

MONGODB_ARRANGER=arranger # the administrator of all of them

MONGODB_DIR=        # the folder of certificates, data and logs, inside the one that sid.sh makes
MONGODB_PORT=       # one by itself
MONGODB_SET_PORT=   # a replica set: the primary at first,
MONGODB_OTHER_PORT= # the member beside it, and an arbiter
MONGODB_MONGOS_PORT=
MONGODB_NEW_PORT=   # SecantusDB
MONGODB_CLIENT=     # where the client listens
MONGODB_TOOLS=
MONGODB_PIDS=()

# Pinned. SecantusDB is under the GPL: it is run, and never linked. A newer pymongo refuses MongoDB 3.6.
SECANTUS_PACKAGES=(secantusdb==0.7.0b3)
PYMONGO_PACKAGES=(pymongo==3.13.0)

# mongodb_find TOOLS: what is started below, installed into TOOLS.
mongodb_find() {
    MONGODB_TOOLS=$1
    focal_find "$1" || return
    install_python "$1/secantus" "${SECANTUS_PACKAGES[@]}" || return
    install_python "$1/pymongo" "${PYMONGO_PACKAGES[@]}"
}

# mongodb_start PASSWORD: all of them; PASSWORD is the arranger's.
mongodb_start() {
    local password=$1 config arbiter
    folder_scratch MONGODB_DIR "$FOCAL"
    # A member that waits for the disk is no longer primary. The journals alone take 1.5 GB.
    folder_scratch_mount "$MONGODB_DIR" 4g 16000000
    # The members of the set know each other by the name in their certificate.
    printf '127.0.0.1 localhost\n' >"$FOCAL/etc/hosts"
    mongodb_certificates "$MONGODB_DIR/tls"
    mongodb_client_start
    local set=(--replSet fourstep --oplogSize 16)
    local tls=(--sslMode preferSSL)
    mongodb_launch MONGODB_PORT one mongod "${tls[@]}"
    mongodb_launch MONGODB_SET_PORT set mongod "${tls[@]}" "${set[@]}"
    mongodb_launch MONGODB_OTHER_PORT other mongod "${tls[@]}" "${set[@]}"
    mongodb_launch arbiter arbiter mongod "${tls[@]}" "${set[@]}"
    mongodb_launch config config mongod "${tls[@]}" --configsvr --replSet config --oplogSize 16
    mongodb_ask "$config" '{"replSetInitiate": {"_id": "config", "configsvr": true,
        "members": [{"_id": 0, "host": "localhost:'"$config"'"}]}}'
    # What a secondary has is what the primary had a moment ago; who is elected is not left to chance.
    mongodb_ask "$MONGODB_SET_PORT" '{"replSetInitiate": {"_id": "fourstep", "members": [
        {"_id": 0, "host": "localhost:'"$MONGODB_SET_PORT"'", "priority": 2},
        {"_id": 1, "host": "localhost:'"$MONGODB_OTHER_PORT"'", "priority": 1},
        {"_id": 2, "host": "localhost:'"$arbiter"'", "arbiterOnly": true}],
        "settings": {"electionTimeoutMillis": 3000, "heartbeatIntervalMillis": 500}}}'
    mongodb_launch MONGODB_MONGOS_PORT mongos mongos "${tls[@]}" --configdb "config/localhost:$config"
    mongodb_arrange "$MONGODB_PORT" "$password"
    mongodb_arrange "$MONGODB_SET_PORT" "$password"
    mongodb_arrange "$MONGODB_MONGOS_PORT" "$password"
    mongodb_new_start "$password"
}

mongodb_certificates() {
    mkdir -m 0700 "$1"
    make_ca "$1" ca
    make_ca "$1" other-ca
    make_server_certificate "$1" ca "serverAuth, clientAuth"
    cat "$1/server.pem" "$1/server.key" >"$1/both.pem"
    openssl rand -base64 90 >"$1/members.key"
    chmod 0600 "$1/members.key"
}

# mongodb_launch VARIABLE NAME PROGRAM OPTION...: starts one on a free port and waits until it listens.
mongodb_launch() {
    local -n port=$1
    local name=$2 program=$3 inside=${MONGODB_DIR#"$FOCAL"} data=() try
    shift 3
    mkdir "$MONGODB_DIR/$name"
    local verbose=-v
    [[ $program == mongos ]] || verbose=-vv data=(--dbpath "$inside/$name" --wiredTigerCacheSizeGB 0.25)
    for try in 1 2 3 4 5; do
        # Below the range from which the kernel hands out ports to clients.
        port=$((20000 + RANDOM % 12000))
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            continue
        fi
        # mongod logs each command. At -vv a mongos logs what it passes on, a new password too.
        chroot "$FOCAL" "$program" --port "$port" --bind_ip localhost "${data[@]}" "$@" \
            --logpath "$inside/$name.log" --logappend "$verbose" --keyFile "$inside/tls/members.key" \
            --sslPEMKeyFile "$inside/tls/both.pem" --sslCAFile "$inside/tls/ca.pem" \
            --sslAllowConnectionsWithoutCertificates --nounixsocket >/dev/null 2>&1 &
        MONGODB_PIDS+=($!)
        printf '%s\n' $! >"$MONGODB_DIR/$name.pid"
        if mongodb_listens "$port" $!; then
            return 0
        fi
        warn "$program did not start on port $port (try $try of 5)"
    done
    die "$program does not start:"$'\n'"$(tail -n 20 "$MONGODB_DIR/$name.log" 2>/dev/null)"
}

# mongodb_listens PORT PROCESS
mongodb_listens() {
    local wait
    for ((wait = 0; wait < 600; wait++)); do
        kill -0 "$2" 2>/dev/null || return 1
        if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}

mongodb_client_start() {
    local port=$MONGODB_DIR/client.port wait
    "$MONGODB_TOOLS/pymongo/bin/python" scripts/lib/mongodb_client.py "$port" "$MONGODB_DIR/tls/ca.pem" \
        >"$MONGODB_DIR/client.log" 2>&1 &
    MONGODB_PIDS+=($!)
    for ((wait = 0; wait < 600; wait++)); do
        if [[ -s $port ]]; then
            MONGODB_CLIENT=127.0.0.1:$(<"$port")
            return 0
        fi
        sleep 0.1
    done
    die "the client of MongoDB does not start:"$'\n'"$(cat "$MONGODB_DIR/client.log")"
}

# mongodb_ask PORT COMMAND [USER PASSWORD]: one command in the database admin, until it succeeds.
mongodb_ask() {
    local answer wait user=${3:+\"$3\"} password=${4:+\"$4\"}
    for ((wait = 0; wait < 200; wait++)); do
        answer=$(python3 -c '
import socket, sys
with socket.create_connection(sys.argv[1].split(":")) as client:
    client.sendall((" ".join(sys.stdin.read().split()) + "\n").encode())
    print(client.makefile().readline())' "$MONGODB_CLIENT" <<<"{\"port\": $1, \"user\": ${user:-null},
            \"password\": ${password:-null}, \"database\": \"admin\", \"command\": $2}")
        [[ $answer != *'"error"'* ]] && return 0
        sleep 0.1
    done
    die "MongoDB on port $1: $answer"
}

# mongodb_arrange PORT PASSWORD: the arranger, by the exception for who is there first.
mongodb_arrange() {
    mongodb_ask "$1" '{"createUser": "'"$MONGODB_ARRANGER"'", "pwd": "'"$2"'", "roles": ["root"]}'
}

# mongodb_new_start PASSWORD: the arranger is made while it asks nobody who he is.
mongodb_new_start() {
    local secantus=("$MONGODB_TOOLS/secantus/bin/secantusd-py" --storage-path "$MONGODB_DIR/new")
    local tls=(--tls-cert-file "$MONGODB_DIR/tls/server.pem" --tls-key-file "$MONGODB_DIR/tls/server.key")
    mongodb_new_launch "${secantus[@]}"
    mongodb_ask "$MONGODB_NEW_PORT" '{"createUser": "'"$MONGODB_ARRANGER"'", "pwd": "'"$1"'", "roles": ["root"]}'
    kill "${MONGODB_PIDS[-1]}"
    wait "${MONGODB_PIDS[-1]}" 2>/dev/null || true
    # Its number may be another process's from now on.
    unset 'MONGODB_PIDS[-1]'
    mongodb_new_launch "${secantus[@]}" --auth "${tls[@]}"
}

mongodb_new_launch() {
    local try
    for try in 1 2 3 4 5; do
        MONGODB_NEW_PORT=$((20000 + RANDOM % 12000))
        if (exec 3<>"/dev/tcp/127.0.0.1/$MONGODB_NEW_PORT") 2>/dev/null; then
            continue
        fi
        "$@" --port "$MONGODB_NEW_PORT" >"$MONGODB_DIR/new.log" 2>&1 &
        MONGODB_PIDS+=($!)
        if mongodb_listens "$MONGODB_NEW_PORT" $!; then
            return 0
        fi
    done
    die "SecantusDB does not start:"$'\n'"$(tail -n 20 "$MONGODB_DIR/new.log")"
}

# Safe to call at any time. One that a test stopped still has to end.
mongodb_stop() {
    local pid
    for pid in "${MONGODB_PIDS[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
        # Its status is that it was killed.
        wait "$pid" 2>/dev/null || true
    done
    MONGODB_PIDS=()
    if [[ -n $MONGODB_DIR ]]; then
        folder_scratch_remove "$MONGODB_DIR"
    fi
}

mongodb_version() { chroot "$FOCAL" mongod --version | sed -n 's/^db version v//p'; }
