# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Microsoft SQL Server cannot be started here. Each test starts a server of its own,
# scripts/lib/sqlserver_server.py, whose protocol others wrote; this makes their certificates, installs
# that protocol, and finds FreeTDS's tsql, which is asked whether a password works there. It needs
# common.sh, packages.sh and certificates.sh.

SQLSERVER_DIR=    # the certificates, in tls/
SQLSERVER_PYTHON= # the Python that has the protocol
SQLSERVER_TSQL=   # FreeTDS's client

# Pinned, what they need included. The last one is imported by nothing that is used here.
SQLSERVER_PACKAGES=(pysqlbridge==2.1.3 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12 pyOpenVBA==6.5.0)

# What this machine lacks, for install_packages.
sqlserver_missing() { command -v tsql >/dev/null || printf 'freetds-bin\n'; }

# sqlserver_prepare TOOLS DIR: TOOLS is the folder to install into, DIR that of the certificates.
sqlserver_prepare() {
    SQLSERVER_DIR=$2
    SQLSERVER_PYTHON=$1/sqlserver/bin/python
    SQLSERVER_TSQL=$(command -v tsql)
    install_python "$1/sqlserver" "${SQLSERVER_PACKAGES[@]}"
    mkdir -p "$2/tls"
    make_ca "$2/tls" ca
    make_ca "$2/tls" other-ca
    make_server_certificate "$2/tls" ca
}

# The client's version.
tsql_version() { "$SQLSERVER_TSQL" -C | sed -n 's/.*Version: freetds v//p'; }
