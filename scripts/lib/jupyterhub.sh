# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# A JupyterHub in a folder and on a port of its own, without the proxy that users would reach it by. It
# is installed and started beside the compiler, and one is enough for all tests. It needs common.sh,
# alone.sh and packages.sh.

JUPYTERHUB_PORT= # of the hub itself

# Pinned, what it needs included.
JUPYTERHUB_PACKAGES=(jupyterhub==6.1.1 aiodns==4.0.4 aiohappyeyeballs==2.7.1 aiohttp==3.14.5
    aiosignal==1.4.0 alembic==1.20.1 annotated-types==0.8.0 arrow==1.4.0 attrs==26.1.0
    certifi==2026.10.19.post1 certipy==0.2.3 cffi==2.1.1 charset-normalizer==3.5.3 cryptography==50.0.2
    fqdn==1.6.0 frozenlist==1.8.0 idna==3.20 isoduration==20.11.0 Jinja2==3.1.6 jsonpointer==3.12
    jsonschema==4.26.0 jsonschema-specifications==2025.9.1 jupyter-events==0.12.1 lark==1.3.1
    Mako==1.4.3 MarkupSafe==3.0.4 multidict==7.2.1 oauthlib==4.0.1 packaging==26.4 pamela==1.2.0
    prometheus_client==0.26.0 propcache==0.5.4 pycares==5.2.1 pycparser==3.12 pydantic==2.14.4
    pydantic_core==2.50.5 python-dateutil==4.0.0 python-json-logger==4.2.0 PyYAML==6.0.4
    referencing==0.37.0 requests==2.34.2 rfc3339-validator==0.1.4 rfc3986-validator==0.1.1
    rfc3987-syntax==1.1.0 rpds-py==2026.9.1 six==1.17.0 SQLAlchemy==2.1.9 tornado==6.6.1
    traitlets==5.16.1 typing_extensions==4.16.0 tzdata==2026.6 uri-template==1.3.0 urllib3==2.8.0
    webcolors==25.10.0 yarl==1.25.1)

# jupyterhub_prepare DIR TOKEN TOOLS: installs it below TOOLS and waits until it is up. DIR is its folder,
# TOKEN that of the service called arranger. In the background: it sets nothing.
jupyterhub_prepare() {
    local dir=$1 token=$2 hub=$3/jupyterhub/bin/jupyterhub
    install_python "$3/jupyterhub" "${JUPYTERHUB_PACKAGES[@]}" || return
    mkdir -m 0700 "$dir"
    HUB_PORT=$JUPYTERHUB_PORT HUB_TOKEN=$token HUB_DIR=$dir \
        start_alone "$dir" "$hub" --config scripts/lib/jupyterhub_config.py
    wait_for_port "$JUPYTERHUB_PORT" "$dir/output"
}
