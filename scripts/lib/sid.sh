# shellcheck shell=bash
# A folder with Debian's unstable suite in it, for servers that the stable one does not have: MySQL and
# the newest PostgreSQL; and one with Ubuntu 22.04 in it, for the oldest MySQL that is packaged. It needs
# common.sh and packages.sh, and works as root only, because of chroot.

SID=   # the folder, to be entered by chroot
JAMMY= # Ubuntu's

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
    rm -rf --one-file-system -- "$SID"
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
    # Neither starts a server, nor makes a cluster of its own.
    printf '#!/bin/sh\nexit 101\n' >"$SID/usr/sbin/policy-rc.d" || return
    chmod +x "$SID/usr/sbin/policy-rc.d" || return
    mkdir -p "$SID/etc/postgresql-common/createcluster.d" || return
    printf 'create_main_cluster = false\n' \
        >"$SID/etc/postgresql-common/createcluster.d/fourstep.conf" || return
    sid_add "${SID_PACKAGES[@]}"
}

# sid_add PACKAGE...: what more is to be in the folder.
sid_add() {
    # The packages' scripts want /proc; the mount is gone with the command's own namespace.
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount -- sh -c '
        mount -t proc proc "$0/proc" &&
        DEBIAN_FRONTEND=noninteractive chroot "$0" apt-get install -qq -y --no-install-recommends "$@"
    ' "$SID" "$@"
}

# jammy_find TOOLS: the same with Ubuntu, whose keys come from the folder that sid_find made.
jammy_find() {
    JAMMY=$1/jammy
    if [[ -e $JAMMY/installed ]]; then
        return 0
    fi
    say "installing MySQL 8.0 into $JAMMY (about half a minute, 400 MB)"
    rm -rf --one-file-system -- "$JAMMY"
    if ! jammy_install >"$JAMMY.log" 2>&1; then
        warn "could not install MySQL 8.0:"$'\n'"$(tail -n 20 "$JAMMY.log")"
        return 1
    fi
    rm -f "$JAMMY.log"
    touch "$JAMMY/installed"
}

jammy_install() {
    # The other folder may have been made on another day, before this machine was.
    command -v debootstrap >/dev/null || install_packages debootstrap || return
    sid_add ubuntu-keyring || return
    debootstrap --variant=minbase --include=mysql-server-core-8.0,mysql-client-core-8.0 \
        --keyring="$SID/usr/share/keyrings/ubuntu-archive-keyring.gpg" \
        jammy "$JAMMY" http://archive.ubuntu.com/ubuntu
}
