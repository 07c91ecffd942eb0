# shellcheck shell=bash
# Installs the SAM CLI with what it builds by, under the target folder. It needs packages.sh.

SAM_BIN= # the folder of sam, cfn-lint, cargo-lambda and their Python

# Pinned: a build should not change because a tool did.
SAM_PACKAGES=(aws-sam-cli==1.170.0 cfn-lint==1.58.0 cargo-lambda==1.9.2 ziglang==0.17.1)

# sam_find TOOLS: TOOLS is the folder to install into.
sam_find() {
    SAM_BIN=$1/sam/bin
    install_python "$1/sam" "${SAM_PACKAGES[@]}"
}

# sam_transform TEMPLATE FILE: the template as CloudFormation sees it, as JSON.
sam_transform() {
    "$SAM_BIN/python" scripts/lib/transform.py "$1" >"$2"
}

# The SAM CLI, with the folder of its companions on PATH; it sends no usage data from here.
sam() {
    SAM_CLI_TELEMETRY=0 PATH=$SAM_BIN:$PATH "$SAM_BIN/sam" "$@"
}
