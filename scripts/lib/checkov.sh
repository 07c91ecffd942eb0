# shellcheck shell=bash
# Installs checkov, which looks for what a security team would ask about. It needs packages.sh.

CHECKOV_BIN=

# Pinned: a new check should be met by a change of its own.
CHECKOV_PACKAGES=(checkov==3.3.30)

# checkov_find TOOLS: TOOLS is the folder to install into.
checkov_find() {
    CHECKOV_BIN=$1/checkov/bin
    install_python "$1/checkov" "${CHECKOV_PACKAGES[@]}"
}

# checkov ARGUMENT...: it asks nobody on the network.
checkov() {
    show "$CHECKOV_BIN/checkov" --config-file .checkov.yaml "$@"
}
