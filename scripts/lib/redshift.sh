# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts
# Amazon Redshift cannot be started here. The tests have a front before PostgreSQL that logs in as it
# does; this makes its certificates, and installs AWS's own driver, which is asked whether a password
# works there. It needs common.sh, packages.sh and certificates.sh.

REDSHIFT_DIR=    # the certificates, in tls/
REDSHIFT_PYTHON= # the Python that has the driver

# Pinned, what they need included.
REDSHIFT_PACKAGES=(redshift_connector==2.2.0 asn1crypto==1.5.1 beautifulsoup4==4.15.0 boto3==1.44.8
    botocore==1.44.8 certifi==2026.10.19.post1 charset-normalizer==3.5.3 idna==3.20 jmespath==1.1.0
    lxml==6.1.3 packaging==26.4 python-dateutil==2.9.0.post0 pytz==2026.6 requests==2.34.2
    s3transfer==0.19.3 scramp==1.4.18 six==1.17.0 soupsieve==4.1.3 typing_extensions==4.16.0
    urllib3==2.8.0)

# redshift_prepare TOOLS DIR: TOOLS is the folder to install into, DIR that of the certificates.
redshift_prepare() {
    REDSHIFT_DIR=$2
    REDSHIFT_PYTHON=$1/redshift/bin/python
    install_python "$1/redshift" "${REDSHIFT_PACKAGES[@]}"
    mkdir -p "$2/tls"
    make_ca "$2/tls" ca
    make_server_certificate "$2/tls" ca
}
