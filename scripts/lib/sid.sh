# shellcheck shell=bash
# A folder with Debian's unstable suite in it, for servers that the stable one does not have: MySQL and
# the newest PostgreSQL; and three with Ubuntu in them: 22.04 for the oldest MySQL that is packaged, 20.04
# for MongoDB, 18.04 for PostgreSQL 10, the oldest that knows SCRAM. It needs common.sh and packages.sh, and works as root
# only, because of chroot.

SID=    # the folder, to be entered by chroot
JAMMY=  # Ubuntu 22.04's
FOCAL=  # Ubuntu 20.04's
BIONIC= # Ubuntu 18.04's

# What is made here can be made again: nothing waits until each file is on the disk.
export DPKG_FORCE=unsafe-io

SID_PACKAGES=(mysql-server-core mysql-client-core postgresql-18)

# sid_find TOOLS: TOOLS is the folder to install into. Fails, saying why, where it cannot be made.
sid_find() {
    SID=$1/sid
    # What is installed is written down last, so that half an installation is none.
    if [[ $(cat "$SID/installed" 2>/dev/null) == "${SID_PACKAGES[*]}" ]]; then
        return 0
    fi
    if ((EUID != 0)); then
        warn "$SID can be made and entered by root only"
        return 1
    fi
    command -v debootstrap >/dev/null || install_packages debootstrap
    say "installing ${SID_PACKAGES[*]} into $SID (about a minute, 1 GB)"
    folder_clear "$SID"
    mkdir -p "$SID"
    if ! sid_install >"$SID.log" 2>&1; then
        warn "could not install ${SID_PACKAGES[*]}:"$'\n'"$(tail -n 20 "$SID.log")"
        return 1
    fi
    rm -f "$SID.log"
    printf '%s\n' "${SID_PACKAGES[*]}" >"$SID/installed"
}

# Each command by itself: `set -e` does not hold inside a condition.
sid_install() {
    debootstrap --variant=minbase --include=ca-certificates sid "$SID" || return
    folder_add "$SID" "${SID_PACKAGES[@]}"
}

# folder_add FOLDER PACKAGE...: what more is to be in it.
folder_add() {
    # Neither starts a server, nor makes a cluster of its own.
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d" || return
    chmod +x "$1/usr/sbin/policy-rc.d" || return
    mkdir -p "$1/etc/postgresql-common/createcluster.d" || return
    printf 'create_main_cluster = false\n' \
        >"$1/etc/postgresql-common/createcluster.d/fourstep.conf" || return
    # The packages' scripts want /proc; the mount is gone with the command's own namespace.
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount -- sh -c '
        mount -t proc proc "$0/proc" &&
        DEBIAN_FRONTEND=noninteractive chroot "$0" apt-get install -qq -y --no-install-recommends "$@"
    ' "$@"
}

jammy_find() {
    JAMMY=$1/jammy
    ubuntu_find jammy "$JAMMY" mysql-server-core-8.0 mysql-client-core-8.0
}

focal_find() {
    FOCAL=$1/focal
    ubuntu_find focal "$FOCAL" mongodb-server-core
}

bionic_find() {
    BIONIC=$1/bionic
    ubuntu_find bionic "$BIONIC" postgresql-10
}

# ubuntu_find SUITE FOLDER PACKAGE...: as sid_find. Ubuntu's keys come from the folder that it made.
ubuntu_find() {
    local suite=$1 folder=$2
    shift 2
    if [[ -e $folder/installed ]]; then
        return 0
    fi
    say "installing $* into $folder (about half a minute, 200 to 400 MB)"
    folder_clear "$folder"
    if ! ubuntu_install "$suite" "$folder" "$@" >"$folder.log" 2>&1; then
        warn "could not install $*:"$'\n'"$(tail -n 20 "$folder.log")"
        return 1
    fi
    rm -f "$folder.log"
    touch "$folder/installed"
}

ubuntu_install() {
    local suite=$1 folder=$2 keys=$SID/usr/share/keyrings/ubuntu-archive-keyring.gpg
    shift 2
    # The other folder may have been made on another day, before this machine was.
    command -v debootstrap >/dev/null || install_packages debootstrap || return
    [[ -e $keys ]] || folder_add "$SID" ubuntu-keyring || return
    debootstrap --variant=minbase --components=main,universe --keyring="$keys" "$suite" "$folder" \
        http://archive.ubuntu.com/ubuntu || return
    folder_add "$folder" "$@"
}

# folder_clear FOLDER: removes what an earlier run left there, a server's folder in memory too.
folder_clear() {
    local mounts point folder
    folder=$(realpath --canonicalize-missing -- "$1")
    mapfile -t mounts </proc/self/mounts
    # The later ones may stand on the earlier ones.
    while read -r _ point _; do
        [[ $point != "$folder"/* ]] || umount --lazy "$point"
    done < <(printf '%s\n' "${mounts[@]}" | tac)
    rm -rf --one-file-system -- "$1"
}

# folder_scratch VARIABLE FOLDER: a new folder for one server's data, inside FOLDER.
folder_scratch() {
    local -n made=$1
    made=$(mktemp -d "$2/tmp/fourstep.XXXXXX")
}

# folder_scratch_mount FOLDER [SIZE [KILOBYTES]]: puts it in memory, where that is plenty (so many are free)
# and the machine allows it. To be called once it is noted for removal: a run that is ended in between must not leave the mount.
folder_scratch_mount() {
    ! memory_is_plenty "${3:-}" || mount -t tmpfs -o "mode=0700,size=${2:-2g}" tmpfs "$1" 2>/dev/null || true
}

# folder_scratch_remove FOLDER: safe to call again.
folder_scratch_remove() {
    ! mountpoint --quiet "$1" || umount --lazy "$1"
    rm -rf --one-file-system -- "$1"
}
