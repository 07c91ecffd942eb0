# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# A private PostgreSQL cluster in a folder of its own, with TLS, on a free port.
# It needs common.sh and certificates.sh.

POSTGRES_BIN=     # where initdb, pg_ctl, postgres and psql are
POSTGRES_DIR=     # the running cluster's folder
POSTGRES_PORT=
POSTGRES_ARRANGER=arranger # its superuser
POSTGRES_CA=      # the CA that signed its certificate
POSTGRES_OTHER_CA= # a CA that signed nothing
POSTGRES_LOG=
POSTGRES_ALSO_LISTEN= # to be set before the start: a further address, for its whole network

# Finds the newest server; fails if there is none.
postgres_find() {
    local candidates bin
    mapfile -t candidates < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV)
    if command -v initdb >/dev/null; then
        candidates+=("$(dirname "$(readlink -f "$(command -v initdb)")")")
    fi
    for bin in "${candidates[@]}"; do
        if [[ -x $bin/initdb && -x $bin/pg_ctl && -x $bin/psql ]]; then
            POSTGRES_BIN=$bin
            return 0
        fi
    done
    return 1
}

# PostgreSQL refuses to run as root. Debian's package makes the user it runs as then.
as_postgres() {
    if ((EUID == 0)); then
        # From the root folder: that user may be unable to enter this one.
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

own_by_postgres() {
    if ((EUID == 0)); then
        chown postgres "$@"
    fi
}

# postgres_start DIR PASSWORD: sets the variables above; PASSWORD is the arranger's.
postgres_start() {
    POSTGRES_DIR=$1
    if ((EUID == 0)); then
        id -u postgres >/dev/null 2>&1 ||
            die "as root, PostgreSQL needs a user named postgres to run as (Debian's package makes it)"
        as_postgres test -x "${POSTGRES_DIR%/*}" ||
            die "the user postgres cannot reach ${POSTGRES_DIR%/*}: set TMPDIR to a folder that all may enter"
    fi
    # 0700 keeps everybody else from the socket, which asks for no password.
    mkdir -m 0700 "$POSTGRES_DIR" "$POSTGRES_DIR/socket"
    own_by_postgres "$POSTGRES_DIR" "$POSTGRES_DIR/socket"
    POSTGRES_LOG=$POSTGRES_DIR/log

    postgres_certificates
    postgres_initdb "$2"
    postgres_write_hba >"$POSTGRES_DIR/data/pg_hba.conf"
    postgres_settings >>"$POSTGRES_DIR/data/postgresql.conf"
    postgres_launch
    postgres_arrange
}

postgres_certificates() {
    local dir=$POSTGRES_DIR.tls
    mkdir -m 0711 "$dir"
    make_ca "$dir" ca
    make_ca "$dir" other-ca
    make_server_certificate "$dir" ca
    chmod 0600 "$dir"/*.key
    chmod 0644 "$dir"/*.pem
    own_by_postgres "$dir/server.key"
    POSTGRES_CA=$dir/ca.pem
    POSTGRES_OTHER_CA=$dir/other-ca.pem
}

# The arranger is the superuser from the start: no statement with its password is logged.
postgres_initdb() {
    local locale=C
    if locale -a 2>/dev/null | grep -qix -e 'C.utf8' -e 'C.UTF-8'; then
        locale=C.UTF-8
    fi
    (umask 077 && printf '%s\n' "$1" >"$POSTGRES_DIR/password")
    own_by_postgres "$POSTGRES_DIR/password"
    as_postgres "$POSTGRES_BIN/initdb" --pgdata="$POSTGRES_DIR/data" --no-sync \
        --username="$POSTGRES_ARRANGER" --pwfile="$POSTGRES_DIR/password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale="$locale" >"$SCRATCH/initdb.log" 2>&1 ||
        die "initdb failed:"$'\n'"$(cat "$SCRATCH/initdb.log")"
    rm -f "$POSTGRES_DIR/password"
}

# The first line that matches decides. A superuser is in a +group only if it was put there.
#
# A role of the tests matches the last line unless it was put in a group. For the same
# reason what must be refused needs a line with `reject`: it answers with SQLSTATE 28000,
# as a server without any matching line does, only the words differ.
postgres_write_hba() {
    cat <<-'HBA'
		local    all    all                      trust
		local    replication all                 trust
		host     nohba  all            samehost  reject
		host     all    +hba_reject    samehost  reject
		host     all    +hba_trust     samehost  trust
		host     all    +hba_password  samehost  password
		host     all    +hba_md5       samehost  md5
		hostssl  all    +hba_tls_only  samehost  scram-sha-256
		host     all    +hba_tls_only  samehost  reject
		host     all    all            samehost  scram-sha-256
	HBA
    if [[ -n $POSTGRES_ALSO_LISTEN ]]; then
        printf 'host all all samenet scram-sha-256\n'
    fi
}

postgres_settings() {
    cat <<-CONF
		listen_addresses = '127.0.0.1${POSTGRES_ALSO_LISTEN:+,$POSTGRES_ALSO_LISTEN}'
		unix_socket_directories = '$POSTGRES_DIR/socket'
		max_connections = 200
		# For slots such as a blue/green deployment has.
		wal_level = logical
		# DROP DATABASE makes a checkpoint, which removes what a replica has not received by then.
		wal_keep_size = 2GB
		ssl = on
		ssl_cert_file = '$POSTGRES_DIR.tls/server.pem'
		ssl_key_file = '$POSTGRES_DIR.tls/server.key'
		# The data is thrown away at the end.
		# An ANALYZE in the middle of a hand-over would be waited for.
		autovacuum = off
		fsync = off
		# Without fsync it costs nothing, and what was answered is in pg_current_wal_flush_lsn().
		synchronous_commit = on
		full_page_writes = off
		# The tests read here what a server would have logged, to find secrets in it,
		# and count logins.
		log_statement = all
		log_min_duration_statement = 0
		log_connections = on
		log_line_prefix = '%m [%p] user=%u db=%d app=%a state=%e '
		lc_messages = 'C'
	CONF
    # It keeps statements' text too, if the system's package brought it.
    if [[ -e $("$POSTGRES_BIN/pg_config" --pkglibdir)/pg_stat_statements.so ]]; then
        printf "shared_preload_libraries = 'pg_stat_statements'\n"
        # All tests together make more statements than it keeps by itself.
        printf "pg_stat_statements.max = 50000\n"
    fi
}

# Another process may take the port between our look and the server's start: try again.
postgres_launch() {
    local try
    for try in 1 2 3 4 5; do
        # Below the range from which the kernel hands out ports to clients.
        POSTGRES_PORT=$((20000 + RANDOM % 12000))
        if (exec 3<>"/dev/tcp/127.0.0.1/$POSTGRES_PORT") 2>/dev/null; then
            continue
        fi
        if as_postgres "$POSTGRES_BIN/pg_ctl" start --wait --silent --timeout=60 \
            --pgdata="$POSTGRES_DIR/data" --log="$POSTGRES_LOG" \
            --options="-p $POSTGRES_PORT" >/dev/null; then
            return 0
        fi
        warn "PostgreSQL did not start on port $POSTGRES_PORT (try $try of 5)"
    done
    die "PostgreSQL does not start:"$'\n'"$(cat "$POSTGRES_LOG" 2>/dev/null)"
}

# postgres_sql [PSQL ARGUMENT...]: runs standard input as the arranger, over the socket.
postgres_sql() {
    as_postgres env -u PGSERVICE "$POSTGRES_BIN/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
        --host="$POSTGRES_DIR/socket" --port="$POSTGRES_PORT" \
        --username="$POSTGRES_ARRANGER" --dbname=postgres "$@"
}

postgres_arrange() {
    postgres_sql <<-'SQL'
		CREATE ROLE hba_reject NOLOGIN;
		CREATE ROLE hba_trust NOLOGIN;
		CREATE ROLE hba_password NOLOGIN;
		CREATE ROLE hba_md5 NOLOGIN;
		CREATE ROLE hba_tls_only NOLOGIN;
		CREATE DATABASE nohba;
		CREATE DATABASE other;
	SQL
    postgres_sql --tuples-only --output=/dev/null <<-'SQL'
		SELECT count(*) > 0 AS statements FROM pg_available_extensions
		    WHERE name = current_setting('shared_preload_libraries') \gset
		\if :statements
		    CREATE EXTENSION pg_stat_statements;
		\endif
	SQL
}

postgres_version() { "$POSTGRES_BIN/postgres" --version | sed 's/^postgres (PostgreSQL) //'; }

# Safe to call at any time, also before or in the middle of a start.
postgres_stop() {
    if [[ -n $POSTGRES_DIR && -e $POSTGRES_DIR/data/postmaster.pid ]]; then
        as_postgres "$POSTGRES_BIN/pg_ctl" stop --wait --silent --mode=immediate \
            --pgdata="$POSTGRES_DIR/data" >/dev/null || warn "PostgreSQL did not stop: see $POSTGRES_DIR"
    fi
}
