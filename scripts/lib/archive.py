"""Makes a zip whose bytes depend on its files' bytes alone: `archive.py OUT NAME=FILE ...`.

The files stand sorted by name, with one fixed time and one of two modes. They are stored, not
compressed: what a compressor makes of the same bytes differs from one zlib to the next. Lambda
unpacks a function when it is deployed, so a cold start does not notice.
"""

import os
import sys
import zipfile


def main(out, *entries):
    named = sorted(entry.split("=", 1) for entry in entries)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, path in named:
            # The earliest time that a zip can hold.
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix, whose modes are kept
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
            info.external_attr = (0o100000 | mode) << 16
            with open(path, "rb") as file:
                archive.writestr(info, file.read())


if __name__ == "__main__":
    main(*sys.argv[1:])
