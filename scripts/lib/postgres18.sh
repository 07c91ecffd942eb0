# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# A private PostgreSQL 18 beside the one of postgres.sh, run inside sid.sh's folder: from version 16 on an
# admin that may make roles may do less. It needs postgres.sh's functions, certificates.sh and sid.sh.

POSTGRES18_DIR=  # the running cluster's folder, as seen from outside
POSTGRES18_INSIDE= # the same, as seen from inside
POSTGRES18_PORT=
POSTGRES18_CA=
POSTGRES18_LOG=
POSTGRES18_BIN=/usr/lib/postgresql/18/bin

in_sid_as_postgres() { chroot "$SID" runuser -u postgres -- "$@"; }

# postgres18_start PASSWORD: sets the variables above; PASSWORD is the arranger's.
postgres18_start() {
    POSTGRES18_DIR=$(mktemp -d "$SID/tmp/fourstep.XXXXXX")
    POSTGRES18_INSIDE=${POSTGRES18_DIR#"$SID"}
    POSTGRES18_LOG=$POSTGRES18_DIR/log
    # 0711 lets the tests read the log, which is made below, by its name.
    chmod 0711 "$POSTGRES18_DIR"
    mkdir -m 0700 "$POSTGRES18_DIR/socket"
    make_ca "$POSTGRES18_DIR" ca
    make_server_certificate "$POSTGRES18_DIR" ca
    chmod 0600 "$POSTGRES18_DIR"/*.key
    chmod 0644 "$POSTGRES18_DIR"/*.pem
    POSTGRES18_CA=$POSTGRES18_DIR/ca.pem
    (umask 077 && printf '%s\n' "$1" >"$POSTGRES18_DIR/password")
    chroot "$SID" chown -R postgres "$POSTGRES18_INSIDE"
    in_sid_as_postgres "$POSTGRES18_BIN/initdb" --pgdata="$POSTGRES18_INSIDE/data" --no-sync \
        --username="$POSTGRES_ARRANGER" --pwfile="$POSTGRES18_INSIDE/password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >"$SCRATCH/initdb18.log" 2>&1 ||
        die "initdb failed:"$'\n'"$(cat "$SCRATCH/initdb18.log")"
    rm -f "$POSTGRES18_DIR/password"
    postgres_write_hba >"$POSTGRES18_DIR/data/pg_hba.conf"
    postgres18_settings >>"$POSTGRES18_DIR/data/postgresql.conf"
    postgres18_launch
    postgres18_sql <<-'SQL'
		CREATE ROLE hba_reject NOLOGIN;
		CREATE ROLE hba_trust NOLOGIN;
		CREATE ROLE hba_password NOLOGIN;
		CREATE ROLE hba_md5 NOLOGIN;
		CREATE ROLE hba_tls_only NOLOGIN;
		CREATE EXTENSION pg_stat_statements;
	SQL
}

postgres18_settings() {
    cat <<-CONF
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$POSTGRES18_INSIDE/socket'
		max_connections = 60
		ssl = on
		ssl_cert_file = '$POSTGRES18_INSIDE/server.pem'
		ssl_key_file = '$POSTGRES18_INSIDE/server.key'
		fsync = off
		synchronous_commit = off
		full_page_writes = off
		# Nothing of the host's /proc, /dev/shm or io_uring is in the folder.
		dynamic_shared_memory_type = mmap
		io_method = sync
		log_statement = all
		log_min_duration_statement = 0
		log_connections = on
		log_line_prefix = '%m [%p] user=%u db=%d app=%a state=%e '
		lc_messages = 'C'
		shared_preload_libraries = 'pg_stat_statements'
	CONF
}

# As postgres_launch, which says why.
postgres18_launch() {
    local try
    for try in 1 2 3 4 5; do
        POSTGRES18_PORT=$((20000 + RANDOM % 12000))
        if (exec 3<>"/dev/tcp/127.0.0.1/$POSTGRES18_PORT") 2>/dev/null; then
            continue
        fi
        if in_sid_as_postgres "$POSTGRES18_BIN/pg_ctl" start --wait --silent --timeout=60 \
            --pgdata="$POSTGRES18_INSIDE/data" --log="$POSTGRES18_INSIDE/log" \
            --options="-p $POSTGRES18_PORT" >/dev/null; then
            return 0
        fi
        warn "PostgreSQL 18 did not start on port $POSTGRES18_PORT (try $try of 5)"
    done
    die "PostgreSQL 18 does not start:"$'\n'"$(cat "$POSTGRES18_LOG" 2>/dev/null)"
}

# Runs standard input as the arranger, over the socket.
postgres18_sql() {
    in_sid_as_postgres "$POSTGRES18_BIN/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
        --host="$POSTGRES18_INSIDE/socket" --port="$POSTGRES18_PORT" \
        --username="$POSTGRES_ARRANGER" --dbname=postgres
}

# Safe to call at any time. The folder is not under the scratch folder, so it is removed here.
postgres18_stop() {
    [[ -n $POSTGRES18_DIR ]] || return 0
    if [[ -e $POSTGRES18_DIR/data/postmaster.pid ]]; then
        in_sid_as_postgres "$POSTGRES18_BIN/pg_ctl" stop --wait --silent --mode=immediate \
            --pgdata="$POSTGRES18_INSIDE/data" >/dev/null || warn "PostgreSQL 18 did not stop: see $POSTGRES18_DIR"
    fi
    rm -rf -- "$POSTGRES18_DIR"
    POSTGRES18_DIR=
}
