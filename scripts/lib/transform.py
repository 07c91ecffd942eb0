"""Prints a template as JSON, transformed as CloudFormation does it: `transform.py TEMPLATE`.

Parameters, conditions and functions stay in it; the tests resolve them.
"""

import json
import logging
import os
import sys

# The library asks the SDK for the Region's partition; nothing is ever called.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """No function names one, so there is no list of them to load."""

    def load(self):
        return {}


def main(template):
    with open(template) as file:
        document = yaml_parse(file.read())
    parameters = {
        name: definition.get("Default") for name, definition in document["Parameters"].items()
    }
    for resource in document["Resources"].values():
        # `sam deploy` uploads the artifact and writes its address here.
        if resource["Type"] == "AWS::Serverless::Function":
            code = resource["Properties"]["CodeUri"]
            if not code.startswith("s3://"):
                resource["Properties"]["CodeUri"] = "s3://artifacts/function.zip"
    # It complains at its end about metrics that nobody collected.
    logging.disable(logging.WARNING)
    print(json.dumps(transform(document, parameters, NoManagedPolicies()), indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
