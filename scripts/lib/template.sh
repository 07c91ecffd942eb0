# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Installs what AWS's Python template for PostgreSQL and its host need, under the target folder. The
# template itself is not ours and is not shipped. It needs common.sh and packages.sh.

TEMPLATE_PYTHON=

# Pinned: a figure should not change because a library did.
TEMPLATE_PACKAGES=(awslambdaric==4.2.2 boto3==1.44.5 PyGreSQL==6.2.3)

# template_find TOOLS: TOOLS is the folder to install into.
template_find() {
    local dir=$1/template missing=()
    TEMPLATE_PYTHON=$dir/bin/python
    # What is installed is written down last, so that half an installation is none.
    if [[ $(cat "$dir/installed" 2>/dev/null) == "${TEMPLATE_PACKAGES[*]}" ]]; then
        return 0
    fi
    say "installing ${TEMPLATE_PACKAGES[*]} into $dir"
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
    # PyGreSQL is compiled against libpq.
    python3 -c 'import os, sysconfig as s; assert os.path.exists(s.get_path("include") + "/Python.h")' \
        2>/dev/null || missing+=(python3-dev)
    command -v pg_config >/dev/null && [[ -e $(pg_config --includedir)/libpq-fe.h ]] ||
        missing+=(libpq-dev)
    install_packages "${missing[@]}"
    python3 -m venv --clear "$dir"
    "$dir/bin/pip" install --quiet --disable-pip-version-check "${TEMPLATE_PACKAGES[@]}"
    printf '%s\n' "${TEMPLATE_PACKAGES[*]}" >"$dir/installed"
}
