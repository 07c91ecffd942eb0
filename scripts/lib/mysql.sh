# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Private MySQL and MariaDB servers in folders of their own, with TLS, on free ports; both log every
# statement. It needs common.sh, packages.sh, certificates.sh and sid.sh.

MYSQL_ARRANGER=arranger # the administrator of both

MYSQL_DIR=    # MySQL's folder, which is inside one of the folders that sid.sh makes
MYSQL_PORT=
MYSQL_CLIENT= # the command of its client, in words
MYSQL80_DIR=
MYSQL80_PORT=
MYSQL80_CLIENT=
MYSQL_DIRS=() # of every MySQL that was started
MARIADB_DIR=
MARIADB_PORT=
MARIADB_CLIENT=mariadb
MARIADB_STRICT_DIR=
MARIADB_STRICT_PORT=
MARIADB_STRICT_CLIENT=mariadb

# Each server's folder holds tls/ca.pem, tls/other-ca.pem, general.log, slow.log and error.log.

# What this machine lacks, for install_packages. The whole package, because the plugins are in it.
mariadb_missing() {
    [[ -e /usr/lib/mysql/plugin/auth_ed25519.so ]] || printf 'mariadb-server\n'
}

# mysql_start NAME ROOT PASSWORD: the MySQL in a folder that sid.sh found; sets the variables that begin
# with NAME. PASSWORD is the arranger's.
mysql_start() {
    local -n at=$1_DIR client=$1_CLIENT
    local root=$2
    folder_scratch "$1_DIR" "$root"
    MYSQL_DIRS+=("$at")
    folder_scratch_mount "$at"
    client="chroot $root mysql"
    local inside=${at#"$root"}
    mysql_certificates "$1" "$at"
    local server=(chroot "$root" mysqld)
    mysql_initialize "$root" "$at" "${server[@]}"
    # TLS 1.2: its messages can be counted, and rotate-mysql is killed at each of them. The tickets
    # of 1.3 come at any time. The capacity is known from 8.0.30 on.
    mysql_launch "$1_PORT" "$at" "$inside" "${server[@]}" --no-defaults --mysqlx=OFF \
        --secure-file-priv= --skip-log-bin --loose-innodb-redo-log-capacity=8M --tls-version=TLSv1.2
    mysql_arrange "$at" "$inside" "$3" chroot "$root" mysql
}

# mysql_initialize ROOT DIR SERVER...: makes DIR/data. What it makes takes ten seconds and is the same each
# time, so it is kept in the root, without the file that makes a server one of its own.
mysql_initialize() {
    local kept=$1/var/lib/fourstep-initialized dir=$2 inside=${2#"$1"}
    shift 2
    if [[ ! -e $kept ]]; then
        "$@" --no-defaults --initialize-insecure --user=root --datadir="$inside/data" >"$dir/init.log" 2>&1 ||
            die "MySQL does not initialize:"$'\n'"$(tail -n 20 "$dir/init.log")"
        rm -f "$dir/data/auto.cnf"
        # In one step: another run may do the same.
        mv -T "$dir/data" "$kept" 2>/dev/null || true
    fi
    cp -a "$kept" "$dir/data"
}

# mariadb_start NAME DIR PASSWORD OPTION...: sets the variables that begin with NAME.
mariadb_start() {
    local -n at=$1_DIR
    local name=$1 password=$3
    at=$2
    shift 3
    mkdir -m 0700 "$at"
    mysql_certificates "$name" "$at"
    mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$at/data" --skip-test-db \
        --skip-name-resolve --auth-root-authentication-method=normal >"$at/init.log" 2>&1 ||
        die "MariaDB does not initialize:"$'\n'"$(tail -n 20 "$at/init.log")"
    mysql_launch "${name}_PORT" "$at" "$at" mariadbd --no-defaults --skip-log-bin \
        --innodb-log-file-size=8M "$@"
    mysql_arrange "$at" "$at" "$password" mariadb
}

# mysql_certificates NAME DIR: those named TWIN or STRICT have one without a name, as MySQL makes it.
mysql_certificates() {
    local tls=$2/tls
    mkdir -m 0700 "$tls"
    make_ca "$tls" ca
    make_ca "$tls" other-ca
    case $1 in
        *_TWIN | *_STRICT) make_unnamed_certificate "$tls" ca ;;
        *) make_server_certificate "$tls" ca ;;
    esac
}

# mysql_launch VARIABLE DIR INSIDE SERVER...: starts the server on a free port and waits until it
# listens. INSIDE is DIR as the server sees it.
mysql_launch() {
    local -n port=$1
    local dir=$2 inside=$3 try
    shift 3
    for try in 1 2 3 4 5; do
        # Below the range from which the kernel hands out ports to clients.
        port=$((20000 + RANDOM % 12000))
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            continue
        fi
        # The data is thrown away at the end, and the machine may be small.
        mysql_supervise "$@" --user="$(id -un)" --datadir="$inside/data" --port="$port" --bind-address=127.0.0.1 \
            --socket="$inside/socket" --pid-file="$inside/pid" --log-error="$inside/error.log" \
            --ssl-ca="$inside/tls/ca.pem" --ssl-cert="$inside/tls/server.pem" \
            --ssl-key="$inside/tls/server.key" --skip-name-resolve --max-connections=200 \
            --innodb-buffer-pool-size=16M --innodb-flush-log-at-trx-commit=0 \
            --general-log-file="$inside/general.log" --slow-query-log-file="$inside/slow.log" \
            --long-query-time=0 --log-output=FILE >/dev/null 2>&1 &
        if mysql_is_up "$dir" "$port" $!; then
            return 0
        fi
        warn "the server did not start on port $port (try $try of 5)"
    done
    die "the server does not start:"$'\n'"$(tail -n 20 "$dir/error.log" 2>/dev/null)"
}

# Runs a server, and again whenever SQL's RESTART has ended it, which is refused without such a parent.
mysql_supervise() {
    local status=16
    while ((status == 16)); do
        status=0
        MYSQLD_PARENT_PID=$BASHPID "$@" || status=$?
    done
    return "$status"
}

mysql_is_up() {
    local dir=$1 port=$2 process=$3 wait
    for ((wait = 0; wait < 600; wait++)); do
        if ! kill -0 "$process" 2>/dev/null; then
            return 1
        fi
        # The first start of a server ends with its pid file.
        if [[ -s $dir/pid ]] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}

# mysql_arrange DIR INSIDE PASSWORD CLIENT...: the arranger, made before anything is logged.
mysql_arrange() {
    local dir=$1 inside=$2 password=$3
    shift 3
    "$@" --no-defaults --socket="$inside/socket" --user=root <<-SQL ||
		CREATE USER '$MYSQL_ARRANGER'@'%' IDENTIFIED BY '$password';
		GRANT ALL PRIVILEGES ON *.* TO '$MYSQL_ARRANGER'@'%' WITH GRANT OPTION;
		GRANT PROXY ON ''@'' TO '$MYSQL_ARRANGER'@'%' WITH GRANT OPTION;
		CREATE DATABASE app;
		SET GLOBAL general_log = ON;
		SET GLOBAL slow_query_log = ON;
	SQL
        die "cannot arrange the server in $dir"
}

# Safe to call at any time, also before or in the middle of a start.
mysql_stop() {
    local dir
    for dir in "${MYSQL_DIRS[@]}"; do
        mysql_stop_in "$dir"
        folder_scratch_remove "$dir"
    done
    MYSQL_DIRS=()
}

mariadb_stop() {
    mysql_stop_in "$MARIADB_DIR"
    mysql_stop_in "$MARIADB_STRICT_DIR"
}

mysql_stop_in() {
    local pid wait
    if [[ -n $1 && -s $1/pid ]]; then
        pid=$(<"$1/pid")
        kill -KILL "$pid" 2>/dev/null || true
        for ((wait = 0; wait < 50; wait++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        # When this is called again the number may be another process's.
        rm -f "$1/pid"
    fi
}

# mysql_version ROOT
mysql_version() { chroot "$1" mysqld --version | sed 's/.*Ver \([^ ]*\).*/\1/'; }
mariadb_version() { mariadbd --version | sed 's/.*Ver \([^ -]*\).*/\1/'; }
