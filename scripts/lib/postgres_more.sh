# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Further private PostgreSQL servers beside the one of postgres.sh: other versions, run inside sid.sh's
# folders, and servers that a test may restart. From version 16 on an admin that may make roles may do
# less. It needs postgres.sh's functions, certificates.sh and sid.sh.
#
# Each has a NAME, with which its variables begin:
#   NAME_PORT, NAME_CA, NAME_LOG   as of the first server
#   NAME_RESTART                   a command that restarts it on the same port, open sessions or not

POSTGRES_MORE=() # the names of those that were started; NAME_STOP is what stops one

POSTGRES18_PORT=
POSTGRES_OLD_PORT=

# postgres_more_start NAME ROOT BIN PASSWORD: ROOT is the folder to run it in, or nothing for this system's
# own; BIN is where its programs are, as seen from there; PASSWORD is the arranger's.
postgres_more_start() {
    local -n port=$1_PORT ca=$1_CA log=$1_LOG restart=$1_RESTART dir=$1_DIR stop=$1_STOP
    local root=$2 bin=$3 inside run=()
    if [[ -n $root ]]; then
        folder_scratch "$1_DIR" "$root"
        run=(chroot "$root")
    else
        dir=$(mktemp -d "$SCRATCH/postgres.XXXXXX")
    fi
    POSTGRES_MORE+=("$1")
    [[ -z $root ]] || folder_scratch_mount "$dir"
    ((EUID != 0)) || run+=(runuser -u postgres --)
    inside=${dir#"$root"}
    postgres_more_folder "$1" "$dir" "$root" "$4"
    log=$dir/log
    ca=$dir/ca.pem
    postgres_more_run "${run[@]}" "$bin/initdb" --pgdata="$inside/data" --no-sync \
        --username="$POSTGRES_ARRANGER" --pwfile="$inside/password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >"$dir/initdb.log" 2>&1 ||
        die "initdb failed:"$'\n'"$(cat "$dir/initdb.log")"
    rm -f "$dir/password"
    postgres_write_hba >"$dir/data/pg_hba.conf"
    postgres_more_settings "$inside" "$(<"$dir/data/PG_VERSION")" >>"$dir/data/postgresql.conf"
    local control=("${run[@]}" "$bin/pg_ctl" --wait --silent --timeout=60 --pgdata="$inside/data")
    stop="cd / && $(printf '%q ' "${control[@]}" stop --mode=immediate) >/dev/null"
    restart="cd / && $(printf '%q ' "${control[@]}" restart --mode=fast --log="$inside/log") >/dev/null"
    postgres_more_launch "$1" "$inside/log" "${control[@]}"
    postgres_more_run "${run[@]}" "$bin/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
        --host="$inside/socket" --port="$port" --username="$POSTGRES_ARRANGER" --dbname=postgres <<-'SQL'
		CREATE ROLE hba_reject NOLOGIN;
		CREATE ROLE hba_trust NOLOGIN;
		CREATE ROLE hba_password NOLOGIN;
		CREATE ROLE hba_md5 NOLOGIN;
		CREATE ROLE hba_tls_only NOLOGIN;
		CREATE EXTENSION pg_stat_statements;
		CREATE DATABASE other;
	SQL
}

# From the root folder: the user postgres may be unable to enter this one.
postgres_more_run() { (cd / && "$@"); }

# postgres_more_folder NAME DIR ROOT PASSWORD: the server's folder, with certificates, and the arranger's
# password for initdb. The certificate of those named TWIN has no name.
postgres_more_folder() {
    local name=$1 owner
    shift
    local dir=$1
    # 0711 lets the tests read the log, which is made below, by its name.
    chmod 0711 "$dir"
    mkdir -m 0700 "$dir/socket"
    make_ca "$dir" ca
    case $name in
        *_TWIN) make_unnamed_certificate "$dir" ca ;;
        *) make_server_certificate "$dir" ca ;;
    esac
    chmod 0600 "$dir"/*.key
    chmod 0644 "$dir"/*.pem
    (umask 077 && printf '%s\n' "$3" >"$dir/password")
    if ((EUID == 0)); then
        owner=$(sed -n 's/^postgres:[^:]*:\([0-9]*\):.*/\1/p' "$2/etc/passwd")
        chown -R "$owner" "$dir"
    fi
}

# postgres_more_settings INSIDE VERSION
postgres_more_settings() {
    cat <<-CONF
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$1/socket'
		max_connections = 200
		# For slots such as a blue/green deployment has.
		wal_level = logical
		shared_buffers = 32MB
		ssl = on
		ssl_cert_file = '$1/server.pem'
		ssl_key_file = '$1/server.key'
		# An ANALYZE in the middle of a hand-over would be waited for.
		autovacuum = off
		fsync = off
		# Without fsync it costs nothing, and what was answered is in pg_current_wal_flush_lsn().
		synchronous_commit = on
		full_page_writes = off
		# Nothing of the host's /proc, /dev/shm or io_uring is in a folder.
		dynamic_shared_memory_type = mmap
		log_statement = all
		log_min_duration_statement = 0
		log_connections = on
		log_line_prefix = '%m [%p] user=%u db=%d app=%a state=%e '
		lc_messages = 'C'
		password_encryption = 'scram-sha-256'
		shared_preload_libraries = 'pg_stat_statements'
	CONF
    if (($2 >= 18)); then
        printf 'io_method = sync\n'
    fi
}

# postgres_more_launch NAME LOG CONTROL...: as postgres_launch, which says why.
postgres_more_launch() {
    local name=$1 log=$2 try
    local -n chosen=$1_PORT
    shift 2
    for try in 1 2 3 4 5; do
        chosen=$((20000 + RANDOM % 12000))
        if (exec 3<>"/dev/tcp/127.0.0.1/$chosen") 2>/dev/null; then
            continue
        fi
        if postgres_more_run "$@" start --log="$log" --options="-p $chosen" >/dev/null; then
            return 0
        fi
        warn "$name did not start on port $chosen (try $try of 5)"
    done
    local -n written=${name}_LOG
    die "$name does not start:"$'\n'"$(cat "$written" 2>/dev/null)"
}

# Safe to call at any time. The folders are not all under the scratch folder, so they are removed here.
postgres_more_stop() {
    local name
    for name in "${POSTGRES_MORE[@]}"; do
        local -n folder=${name}_DIR command=${name}_STOP
        if [[ -e $folder/data/postmaster.pid ]]; then
            bash -c "$command" || warn "$name did not stop: see $folder"
        fi
        folder_scratch_remove "$folder"
    done
    POSTGRES_MORE=()
}
