# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# What may stand beside or before a PostgreSQL server: a read-only replica, and a pooler. Both for the
# cluster that postgres.sh started. It needs common.sh, certificates.sh and postgres.sh.

REPLICA_DIR=
REPLICA_PORT=
POOLER_DIR=
POOLER_PORT=
POOLER_BINARY=

# Finds PgBouncer; fails if there is none.
pooler_find() {
    POOLER_BINARY=$(command -v pgbouncer) || POOLER_BINARY=/usr/sbin/pgbouncer
    [[ -x $POOLER_BINARY ]]
}

# replica_start: a physical standby. Its certificate has expired, and its pg_hba.conf has lines for the
# database postgres alone.
replica_start() {
    REPLICA_DIR=$POSTGRES_DIR.replica
    local tls=$POSTGRES_DIR.tls
    mkdir -m 0700 "$REPLICA_DIR"
    own_by_postgres "$REPLICA_DIR"
    make_expired_certificate "$tls" ca
    chmod 0600 "$tls"/*.key
    own_by_postgres "$tls/expired.key"
    as_postgres "$POSTGRES_BIN/pg_basebackup" --pgdata="$REPLICA_DIR/data" --checkpoint=fast --no-sync \
        --wal-method=stream --write-recovery-conf --host="$POSTGRES_DIR/socket" \
        --port="$POSTGRES_PORT" --username="$POSTGRES_ARRANGER" --no-password \
        >"$SCRATCH/basebackup.log" 2>&1 || die "pg_basebackup failed:"$'\n'"$(cat "$SCRATCH/basebackup.log")"
    printf 'host postgres all samehost scram-sha-256\n' >"$REPLICA_DIR/data/pg_hba.conf"
    # What stands last counts.
    cat >>"$REPLICA_DIR/data/postgresql.conf" <<-CONF
		listen_addresses = '127.0.0.1'
		unix_socket_directories = ''
		ssl_cert_file = '$tls/expired.pem'
		ssl_key_file = '$tls/expired.key'
		# No session here holds up what is replayed.
		hot_standby_feedback = on
	CONF
    local try
    for try in 1 2 3 4 5; do
        REPLICA_PORT=$((20000 + RANDOM % 12000))
        if (exec 3<>"/dev/tcp/127.0.0.1/$REPLICA_PORT") 2>/dev/null; then
            continue
        fi
        if as_postgres "$POSTGRES_BIN/pg_ctl" start --wait --silent --timeout=60 \
            --pgdata="$REPLICA_DIR/data" --log="$REPLICA_DIR/log" \
            --options="-p $REPLICA_PORT" >/dev/null; then
            return 0
        fi
    done
    die "the replica does not start:"$'\n'"$(cat "$REPLICA_DIR/log" 2>/dev/null)"
}

replica_stop() {
    if [[ -n $REPLICA_DIR && -e $REPLICA_DIR/data/postmaster.pid ]]; then
        as_postgres "$POSTGRES_BIN/pg_ctl" stop --wait --silent --mode=immediate \
            --pgdata="$REPLICA_DIR/data" >/dev/null || warn "the replica did not stop: see $REPLICA_DIR"
    fi
}

# pooler_start PASSWORD: PgBouncer, without TLS. PASSWORD is the arranger's. The database `mapped` is
# entered as a user of the pooler's own whoever comes, `transaction` is the database postgres with its
# transactions pooled in place of its sessions, and behind `gone` there is no server. It asks the server
# for passwords, but for those that it keeps itself: PASSWORD is `kept`'s too.
pooler_start() {
    local dir=$POSTGRES_DIR.pooler
    POOLER_DIR=$dir
    pooler_find || die "no pgbouncer was found"
    mkdir -m 0700 "$dir"
    # The pooler's own users. The server's log and statistics, which the tests read, are not to have their
    # password.
    postgres_sql <<-SQL
		SET log_statement = none;
		SET pg_stat_statements.track_utility = off;
		SET log_min_duration_statement = -1;
		CREATE ROLE pooled LOGIN PASSWORD '$1';
		CREATE ROLE kept LOGIN PASSWORD '$1';
	SQL
    (umask 077 && printf '"%s" "%s"\n' "$POSTGRES_ARRANGER" "$1" pooled "$1" kept "$1" >"$dir/users")
    POOLER_PORT=$((20000 + RANDOM % 12000))
    while (exec 3<>"/dev/tcp/127.0.0.1/$POOLER_PORT") 2>/dev/null; do
        POOLER_PORT=$((20000 + RANDOM % 12000))
    done
    cat >"$dir/ini" <<-INI
		[databases]
		mapped = host=127.0.0.1 port=$POSTGRES_PORT dbname=postgres user=pooled
		transaction = host=127.0.0.1 port=$POSTGRES_PORT dbname=postgres pool_mode=transaction
		gone = host=127.0.0.1 port=1 dbname=postgres
		* = host=127.0.0.1 port=$POSTGRES_PORT
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $POOLER_PORT
		unix_socket_dir =
		auth_type = scram-sha-256
		auth_file = $dir/users
		auth_user = $POSTGRES_ARRANGER
		auth_query = SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolname = \$1
		pool_mode = session
		query_wait_timeout = 8
		server_idle_timeout = 60
		server_login_retry = 1
		ignore_startup_parameters = extra_float_digits
		logfile = $dir/log
		pidfile = $dir/pid
	INI
    own_by_postgres "$dir" "$dir/users" "$dir/ini"
    # It refuses to run as root.
    as_postgres "$POOLER_BINARY" --daemon "$dir/ini" >"$SCRATCH/pooler.log" 2>&1 ||
        die "the pooler does not start:"$'\n'"$(cat "$SCRATCH/pooler.log")"
    local try
    for ((try = 0; try < 600; try++)); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$POOLER_PORT") 2>/dev/null; then
            return 0
        fi
        sleep 0.1
    done
    die "the pooler does not start:"$'\n'"$(cat "$dir/log" 2>/dev/null)"
}

pooler_stop() {
    if [[ -n $POOLER_DIR && -e $POOLER_DIR/pid ]]; then
        kill "$(<"$POOLER_DIR/pid")" 2>/dev/null || true
    fi
}
