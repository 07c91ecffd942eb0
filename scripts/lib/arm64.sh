# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Builds for arm64 on an x86_64 machine and runs the result under emulation. It needs common.sh,
# packages.sh and sam.sh. rustup's standard library for arm64 may be out of reach; Debian's
# unstable suite has one, in a folder of its own.

ARM64_ROOT= # that folder

# arm64_find TOOLS: makes the folder below TOOLS; fails if it cannot be had here.
arm64_find() {
    ARM64_ROOT=$1/arm64
    if [[ -e $ARM64_ROOT/installed ]]; then
        return 0
    fi
    ((EUID == 0)) || return 1
    local missing=()
    command -v debootstrap >/dev/null || missing+=(debootstrap)
    command -v qemu-aarch64-static >/dev/null || missing+=(qemu-user-static)
    install_packages "${missing[@]}"
    say "installing Debian's arm64 compiler into $ARM64_ROOT, once (a minute or two)"
    # A run that was interrupted may have left it mounted.
    arm64_unmount
    rm -rf --one-file-system "$ARM64_ROOT"
    {
        debootstrap --variant=minbase --include=ca-certificates sid "$ARM64_ROOT" &&
            chroot "$ARM64_ROOT" dpkg --add-architecture arm64 &&
            arm64_apt update &&
            arm64_apt install -y --no-install-recommends rustc cargo libstd-rust-dev:arm64 \
                gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc libc6-dev cmake &&
            rm -rf "$ARM64_ROOT"/var/cache/apt/archives/*.deb
    } >"$SCRATCH/arm64.log" 2>&1 || {
        tail -n 20 "$SCRATCH/arm64.log" >&2
        return 1
    }
    arm64_unmount
    : >"$ARM64_ROOT/installed"
}

# A mirror may lag behind, and this suite's lists expire within a week. They are signed all the same.
arm64_apt() {
    chroot "$ARM64_ROOT" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Check-Valid-Until=false "$@"
}

# arm64_build BINARY FOLDER COMMAND: makes FOLDER/bootstrap by this command of cargo-lambda. Nothing
# is mounted but /proc: sources and dependencies are copied, results stay for the next build.
arm64_build() {
    local binary=$1 folder=$2 command=$3 inside=$ARM64_ROOT/fourstep
    rm -rf "$inside/source"
    mkdir -p "$inside/source" "$inside/bin" "$inside/home/.cargo" "$folder"
    git ls-files -z -- '*.toml' '*.rs' '*.pem' 'docs/*.md' Cargo.lock | xargs -0 cp --preserve=timestamps --parents -t "$inside/source"
    show cargo vendor --quiet --locked "$inside/vendor" >/dev/null
    printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "%s"\n' \
        /fourstep/vendor >"$inside/home/.cargo/config.toml"
    cp "$SAM_BIN/cargo-lambda" "$inside/bin/"
    rm -rf "$inside/zig"
    cp -r "$("$SAM_BIN/python" -c 'import ziglang; print(ziglang.__path__[0])')" "$inside/zig"

    # rustc asks it where it is.
    on_exit arm64_unmount
    mountpoint -q "$ARM64_ROOT/proc" || mount -t proc proc "$ARM64_ROOT/proc"
    # Not optimised, which halves the time: scripts/release makes what ships.
    chroot "$ARM64_ROOT" env -i HOME=/fourstep/home CARGO_TARGET_DIR=/fourstep/target \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
        PATH=/fourstep/bin:/fourstep/zig:/usr/sbin:/usr/bin:/sbin:/bin \
        sh -c "cd /fourstep/source && $command"
    arm64_unmount
    cp "$inside/target/lambda/$binary/bootstrap" "$folder/bootstrap"
}

arm64_unmount() {
    if mountpoint -q "$ARM64_ROOT/proc"; then
        umount "$ARM64_ROOT/proc"
    fi
}

# arm64_emulated BINARY SCRIPT: makes SCRIPT, which runs BINARY under emulation.
arm64_emulated() {
    printf '#!/bin/sh\nexec qemu-aarch64-static -L %q %q\n' \
        "$ARM64_ROOT/usr/aarch64-linux-gnu" "$1" >"$2"
    chmod 0755 "$2"
}
