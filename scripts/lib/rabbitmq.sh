# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# A RabbitMQ with its management API, in a folder and on ports of its own. It is installed and started
# beside the compiler: it takes some seconds, and one is enough for all tests. It needs common.sh,
# alone.sh and packages.sh.

RABBITMQ_PORT= # of the management API
RABBITMQ_BIN=/usr/lib/rabbitmq/bin/rabbitmq-server

# rabbitmq_prepare DIR PASSWORD: installs what is missing and waits until it is up. DIR is its folder,
# PASSWORD that of the administrator called arranger. In the background: it sets nothing.
rabbitmq_prepare() {
    local dir=$1 password=$2
    [[ -x $RABBITMQ_BIN ]] || install_packages rabbitmq-server
    mkdir -m 0700 "$dir" "$dir/log"
    printf '[rabbitmq_management].\n' >"$dir/plugins"
    cat >"$dir/rabbitmq.conf" <<END
listeners.tcp = none
management.tcp.ip = 127.0.0.1
management.tcp.port = $RABBITMQ_PORT
default_user = arranger
default_pass = $password
log.console = false
END
    # Erlang's registry of names is started here, or the server would start one that outlives it.
    # shellcheck disable=SC2016 # the other shell expands it
    HOME=$dir ERL_EPMD_PORT=$((RABBITMQ_PORT + 1)) ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_DIST_PORT=$((RABBITMQ_PORT + 2)) RABBITMQ_NODENAME=fourstep@localhost \
        RABBITMQ_MNESIA_BASE=$dir/mnesia RABBITMQ_LOG_BASE=$dir/log RABBITMQ_PID_FILE=$dir/server.pid \
        RABBITMQ_ENABLED_PLUGINS_FILE=$dir/plugins RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf \
        RABBITMQ_CONF_ENV_FILE=/dev/null \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" \
        start_alone "$dir" bash -c 'epmd & exec "$1"' - "$RABBITMQ_BIN"
    # The last thing that it opens.
    wait_for_port "$RABBITMQ_PORT" "$dir/output"
}

# The version that is installed.
rabbitmq_version() { dpkg-query -W -f '${Version}' rabbitmq-server | sed 's/-.*//'; }

# rabbitmq_port: three ports that are free together.
rabbitmq_port() {
    local port
    for ((port = 14000 + $$ % 300 * 3; ; port += 3)); do
        if ! { : </dev/tcp/127.0.0.1/$port; } 2>/dev/null &&
            ! { : </dev/tcp/127.0.0.1/$((port + 1)); } 2>/dev/null &&
            ! { : </dev/tcp/127.0.0.1/$((port + 2)); } 2>/dev/null; then
            printf '%s\n' "$port"
            return
        fi
    done
}
