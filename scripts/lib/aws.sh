# shellcheck shell=bash
# Finds the AWS CLI, or installs it under the target folder. It needs packages.sh.

AWS=

# aws_find TOOLS: TOOLS is the folder to install into.
aws_find() {
    local tools=$1
    # It is asked for its version because a name on PATH may be an empty shell.
    if aws --version >/dev/null 2>&1; then
        AWS=$(command -v aws)
        return 0
    fi
    AWS=$tools/aws/bin/aws
    if "$AWS" --version >/dev/null 2>&1; then
        return 0
    fi
    say "installing the AWS CLI into $tools/aws"
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        install_packages python3-venv
    fi
    python3 -m venv --clear "$tools/aws"
    "$tools/aws/bin/pip" install --quiet --disable-pip-version-check 'awscli>=1.40,<2'
    "$AWS" --version >/dev/null || die "the AWS CLI does not start: $AWS"
}
