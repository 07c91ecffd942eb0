# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Docker, and the image that `sam local invoke` runs functions in. It needs common.sh and
# packages.sh. What it starts or makes, it removes again at the end.

DOCKER_BRIDGE= # this machine's address, as containers see it
DOCKER_DAEMON= # the daemon that was started here, by its process id

# Uses the daemon that runs; starts one in the scratch folder if none does.
docker_find() {
    if ! docker info >/dev/null 2>&1; then
        if ! command -v dockerd >/dev/null; then
            install_packages docker.io
        fi
        # The package starts a daemon by itself where the system can.
        docker info >/dev/null 2>&1 || docker_start
    fi
    DOCKER_BRIDGE=$(docker network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}')
    [[ -n $DOCKER_BRIDGE ]] || die "Docker's bridge has no address"
}

docker_start() {
    ((EUID == 0)) || die "no Docker daemon runs, and only root can start one"
    on_exit docker_stop
    # Its data is in the scratch folder, so nothing of it stays; its own socket, so that it is in
    # nobody's way. The address is Docker's usual one, which events/env.json names.
    export DOCKER_HOST=unix://$SCRATCH/docker.sock
    dockerd --host="$DOCKER_HOST" --data-root="$SCRATCH/docker" --exec-root="$SCRATCH/docker-run" \
        --pidfile="$SCRATCH/docker.pid" --bip=172.17.0.1/16 >"$SCRATCH/docker.log" 2>&1 &
    DOCKER_DAEMON=$!
    local try
    for ((try = 0; try < 120; try++)); do
        if docker info >/dev/null 2>&1; then
            return 0
        fi
        kill -0 "$DOCKER_DAEMON" 2>/dev/null || break
        sleep 0.5
    done
    die "the Docker daemon does not start:"$'\n'"$(tail -n 20 "$SCRATCH/docker.log")"
}

docker_stop() {
    if [[ -n $DOCKER_DAEMON ]]; then
        kill "$DOCKER_DAEMON" 2>/dev/null
        wait "$DOCKER_DAEMON" 2>/dev/null
        ip link delete docker0 2>/dev/null
    fi
}

docker_forget() { docker image rm --force "$@" >/dev/null 2>&1; }

# docker_base_image TOOLS: the image `sam` builds on. Where the public one is out of reach, one of
# the same name is made of Debian, for this run; TOOLS keeps what it is made of.
docker_base_image() {
    local image=public.ecr.aws/lambda/provided:al2023-x86_64 archive=$1/lambda-image.tar
    if docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image" >/dev/null 2>&1; then
        return 0
    fi
    say "the image $image cannot be pulled: making one of Debian in its place"
    if [[ ! -e $archive ]]; then
        ((EUID == 0)) || die "only root can make the image"
        command -v debootstrap >/dev/null || install_packages debootstrap
        debootstrap --variant=minbase --include=ca-certificates bookworm "$SCRATCH/image" \
            >"$SCRATCH/debootstrap.log" 2>&1 ||
            die "debootstrap failed:"$'\n'"$(tail -n 20 "$SCRATCH/debootstrap.log")"
        tar -C "$SCRATCH/image" -c . >"$archive.part"
        mv "$archive.part" "$archive"
        rm -rf "$SCRATCH/image"
    fi
    # Named as the real one it would fool whoever uses Docker here afterwards.
    on_exit docker_forget "$image" public.ecr.aws/lambda/provided:al2023-rapid-x86_64
    docker import --change 'WORKDIR /var/task' \
        --change 'ENTRYPOINT ["/var/rapid/aws-lambda-rie"]' "$archive" "$image" >/dev/null
}
