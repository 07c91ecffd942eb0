"""AWS's own driver for Amazon Redshift logs in to the tests' front, with which it shares no code.

    redshift_client.py PORT USER, the password on standard input

It says `in`, or `refused` where the password was wrong. Any other failure is an error.
"""

import sys

import redshift_connector

port, user = int(sys.argv[1]), sys.argv[2]
password = sys.stdin.read()
try:
    redshift_connector.connect(
        host="localhost", port=port, user=user, password=password, database="dev", ssl=False
    ).close()
except Exception as error:
    said = error.args[0] if error.args else {}
    if not (isinstance(said, dict) and (said.get("C"), said.get("R")) == ("28000", "auth_failed")):
        raise
    print("refused")
else:
    print("in")
