# shellcheck shell=bash
# Installs the SAM CLI with what it builds by, under the target folder. It needs packages.sh.

SAM_BIN= # the folder of sam, cfn-lint, cargo-lambda and their Python

# Pinned: a build should not change because a tool did.
SAM_PACKAGES=(aws-sam-cli==1.170.0 cfn-lint==1.58.0 cargo-lambda==1.9.2 ziglang==0.17.1)

# sam_find TOOLS: TOOLS is the folder to install into.
sam_find() {
    local dir=$1/sam
    SAM_BIN=$dir/bin
    # What is installed is written down last, so that half an installation is none.
    if [[ $(cat "$dir/installed" 2>/dev/null) == "${SAM_PACKAGES[*]}" ]]; then
        return 0
    fi
    say "installing ${SAM_PACKAGES[*]} into $dir"
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        install_packages python3-venv
    fi
    python3 -m venv --clear "$dir"
    "$SAM_BIN/pip" install --quiet --disable-pip-version-check "${SAM_PACKAGES[@]}"
    printf '%s\n' "${SAM_PACKAGES[*]}" >"$dir/installed"
}

# sam_transform FILE: the template as CloudFormation sees it, as JSON.
sam_transform() {
    "$SAM_BIN/python" scripts/lib/transform.py template.yaml >"$1"
}

# The SAM CLI, with the folder of its companions on PATH; it sends no usage data from here.
sam() {
    SAM_CLI_TELEMETRY=0 PATH=$SAM_BIN:$PATH "$SAM_BIN/sam" "$@"
}
