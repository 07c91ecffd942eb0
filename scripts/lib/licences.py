"""Prints the licences of every crate that the shipped executables are made of, with the texts and notices
that the crates carry: `licences.py PACKAGE ... <METADATA`, with what `cargo metadata` prints.

Which licences are allowed is decided in deny.toml. Equal texts stand once.
"""

import json
import pathlib
import sys

CARRIED = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE")


def shipped(metadata, roots):
    """Everything that is linked: not what builds or tests need."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    open_ = [package["id"] for package in metadata["packages"] if package["name"] in roots]
    found = set()
    while open_:
        one = open_.pop()
        if one not in found:
            found.add(one)
            for dependency in nodes[one]["deps"]:
                if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                    open_.append(dependency["pkg"])
    return [package for package in metadata["packages"] if package["id"] in found and package["source"]]


def texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    named = (file for file in folder.rglob("*") if file.is_file() and file.name.upper().startswith(CARRIED))
    # Sources may be called license.rs.
    return sorted({file.read_text(errors="replace").strip() for file in named if file.suffix not in (".rs", ".py", ".go")})


def main(*roots):
    packages = shipped(json.load(sys.stdin), roots)
    packages.sort(key=lambda package: (package["name"], package["version"]))
    carried = {}
    print(f"What Fourstep's executables are made of: {len(packages)} crates.\n")
    for package in packages:
        if not package["license"]:
            sys.exit(f"{package['name']} names no licence")
        name = f"{package['name']} {package['version']}"
        print(f"{name}: {package['license']}; {', '.join(package['authors']) or 'no author is named'}")
        for text in texts(package):
            carried.setdefault(text, []).append(name)
    for text, names in carried.items():
        print(f"\n{'=' * 100}\n{', '.join(names)}\n{'-' * 100}\n{text}")


if __name__ == "__main__":
    main(*sys.argv[1:])
