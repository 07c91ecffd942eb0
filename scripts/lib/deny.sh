# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Finds cargo-deny, or builds it under the target folder. It needs common.sh.

DENY=()

# deny_find TOOLS: TOOLS is the folder to install into.
deny_find() {
    local tools=$1 command
    for command in cargo-deny "$tools/bin/cargo-deny"; do
        if deny_is_new_enough "$command"; then
            DENY=("$command")
            return 0
        fi
    done
    say "building cargo-deny into $tools, once (a minute or two)"
    # Its own profile links with "fat" optimisation, which takes minutes; this runs for three seconds.
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
        show cargo install cargo-deny --locked --version 0.20.2 --root "$tools"
    DENY=("$tools/bin/cargo-deny")
}

# Older ones do not understand deny.toml.
deny_is_new_enough() {
    local version
    version=$("$1" --version 2>/dev/null | sed 's/^cargo-deny //') || return 1
    [[ -n $version && $(printf '%s\n' 0.18.0 "$version" | sort -V | head -n 1) == 0.18.0 ]]
}
