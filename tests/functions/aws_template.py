"""One step of one of AWS's rotation templates, as Lambda has it done.

    aws_template.py FOLDER EVENT CA

FOLDER has the template's lambda_function.py, and EVENT is JSON. The templates of PostgreSQL and MySQL trust the
authorities in a file of Lambda's image; the file CA takes its place. MongoDB's trusts what SSL_CERT_FILE names.
"""

import json
import sys

IN_THE_IMAGE = "/etc/pki/tls/cert.pem"


def trusting(connect, ca):
    """The driver's `connect`, with the other file."""

    def instead(value):
        if isinstance(value, dict):
            return {key: instead(one) for key, one in value.items()}
        return ca if value == IN_THE_IMAGE else value

    return lambda *values, **named: connect(*values, **instead(named))


def main():
    folder, event, ca = sys.argv[1:]
    sys.path.insert(0, folder)
    import lambda_function

    for driver in ("pgdb", "pymysql"):
        if driver in sys.modules:
            sys.modules[driver].connect = trusting(sys.modules[driver].connect, ca)
    lambda_function.lambda_handler(json.loads(event), None)


if __name__ == "__main__":
    main()
