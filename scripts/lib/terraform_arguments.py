"""Holds every argument of a Terraform module against the AWS provider's own list of them:
`terraform_arguments.py BINDINGS FOLDER ...`.

BINDINGS is the npm package @cdktf/provider-aws, which is generated from the provider's schema: one
folder for each resource, whose declarations have every argument, its nested blocks, and what is required.
"""

import pathlib
import re
import sys

import hcl2

META = {"count", "for_each", "depends_on", "lifecycle", "provider"}


def camel(name):
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


class Schema:
    def __init__(self, bindings, kind, prefix):
        folder = prefix + kind.removeprefix("aws_").replace("_", "-")
        text = (bindings / "lib" / folder / "index.d.ts").read_text()
        self.interfaces = {}
        for name, body in re.findall(r"export interface (\w+)(?: extends [^{]+)? \{(.*?)\n\}", text, re.S):
            self.interfaces[name] = {
                argument: (optional == "", written)
                for argument, optional, written in re.findall(r"readonly (\w+)(\??): ([^;]+);", body)
            }
        self.top = next(name for name in self.interfaces if name.endswith("Config"))


def blocks_of(body):
    """Arguments and nested blocks by name; a dynamic block as what it becomes."""
    for name, value in body.items():
        if name.startswith("__"):
            continue
        if name == "dynamic":
            for block in value:
                for inner, content in block.items():
                    yield plain(inner), content["content"]
        else:
            yield plain(name), value


def plain(text):
    return text.strip('"')


def check(where, schema, interface, body):
    """The faults of one block."""
    known = schema.interfaces[interface]
    given = set()
    for name, value in blocks_of(body):
        if name in META:
            continue
        argument = camel(name)
        given.add(argument)
        if argument not in known:
            yield f"{where}: the provider has no argument {name}"
            continue
        inner = next((word for word in re.findall(r"\w+", known[argument][1]) if word in schema.interfaces), None)
        if inner and isinstance(value, list):
            for block in value:
                if isinstance(block, dict):
                    yield from check(f"{where}.{name}", schema, inner, block)
    for argument, (required, _) in known.items():
        if required and argument not in given:
            yield f"{where}: {argument} is required"


def main(bindings, *folders):
    bindings = pathlib.Path(bindings)
    faults, resources, arguments = [], 0, 0
    for file in sorted(file for folder in folders for file in pathlib.Path(folder).rglob("*.tf")):
        with open(file) as text:
            document = hcl2.load(text)
        for section, prefix in (("resource", ""), ("data", "data-aws-")):
            for entry in document.get(section, []):
                for kind, named in entry.items():
                    for name, body in named.items():
                        schema = Schema(bindings, plain(kind), prefix)
                        where = f"{file}: {plain(kind)}.{plain(name)}"
                        resources += 1
                        arguments += sum(1 for argument, _ in blocks_of(body) if argument not in META)
                        faults += check(where, schema, schema.top, body)
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{arguments} arguments of {resources} resources and data sources, {len(faults)} faults")
    sys.exit(bool(faults) or resources < 15)


if __name__ == "__main__":
    main(*sys.argv[1:])
