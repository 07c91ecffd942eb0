# shellcheck shell=bash
# Certificates made on the spot, for servers on this machine.

# make_ca DIR NAME: DIR/NAME.pem and its key DIR/NAME.key.
make_ca() {
    local dir=$1 name=$2
    # A configuration of our own: the system's may add extensions a second time.
    cat >"$dir/$name.cnf" <<-CONF
		[req]
		prompt = no
		distinguished_name = name
		x509_extensions = ca
		[name]
		CN = Fourstep test CA ($name)
		[ca]
		basicConstraints = critical, CA:TRUE
		keyUsage = critical, keyCertSign, cRLSign
		subjectKeyIdentifier = hash
	CONF
    quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 \
        -days 30 -config "$dir/$name.cnf" -keyout "$dir/$name.key" -out "$dir/$name.pem"
}

# make_server_certificate DIR CA [USAGE]: DIR/server.pem and DIR/server.key, signed by that CA.
# It names localhost and nothing else, so that 127.0.0.1 is a mismatch to test with.
make_server_certificate() {
    local dir=$1 ca=$2 usage=${3:-serverAuth}
    cat >"$dir/server.cnf" <<-CONF
		basicConstraints = critical, CA:FALSE
		keyUsage = critical, digitalSignature
		extendedKeyUsage = $usage
		subjectAltName = DNS:localhost
	CONF
    quietly openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 \
        -subj "/CN=localhost" -keyout "$dir/server.key" -out "$dir/server.csr"
    quietly openssl x509 -req -sha256 -days 30 -in "$dir/server.csr" -extfile "$dir/server.cnf" \
        -CA "$dir/$ca.pem" -CAkey "$dir/$ca.key" -CAcreateserial -out "$dir/server.pem"
}

# make_unnamed_certificate DIR CA: DIR/server.pem and DIR/server.key, signed by that CA, without a
# subjectAltName: as MySQL makes them for itself.
make_unnamed_certificate() {
    local dir=$1 ca=$2
    printf 'basicConstraints = CA:FALSE\n' >"$dir/server.cnf"
    quietly openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 \
        -subj "/CN=Server_Auto_Generated_Server_Certificate" -keyout "$dir/server.key" -out "$dir/server.csr"
    quietly openssl x509 -req -sha256 -days 30 -in "$dir/server.csr" -extfile "$dir/server.cnf" \
        -CA "$dir/$ca.pem" -CAkey "$dir/$ca.key" -CAcreateserial -out "$dir/server.pem"
}

# make_expired_certificate DIR CA: DIR/expired.pem and DIR/expired.key, good in every way but that it
# ran out in 2021. It needs DIR/server.cnf, which make_server_certificate leaves.
make_expired_certificate() {
    local dir=$1 ca=$2
    quietly openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 \
        -subj "/CN=localhost" -keyout "$dir/expired.key" -out "$dir/expired.csr"
    # Not every openssl lets `openssl x509` begin in the past; `openssl ca` does, and keeps books.
    cat >"$dir/expired.cnf" <<-CONF
		[ca]
		default_ca = expired
		[expired]
		database = $dir/expired.index
		new_certs_dir = $dir
		default_md = sha256
		policy = any
		rand_serial = yes
		[any]
		commonName = supplied
	CONF
    : >"$dir/expired.index"
    quietly openssl ca -batch -notext -config "$dir/expired.cnf" -extfile "$dir/server.cnf" \
        -startdate 20210101000000Z -enddate 20210201000000Z -in "$dir/expired.csr" \
        -cert "$dir/$ca.pem" -keyfile "$dir/$ca.key" -out "$dir/expired.pem"
}

# openssl tells its progress on standard error: shown only if it fails.
quietly() {
    local output
    output=$("$@" 2>&1) || die "failed: $*"$'\n'"$output"
}
