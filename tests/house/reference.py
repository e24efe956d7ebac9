"""Writes the reference of the public API: `python -m tests.house.reference FOLDER`."""

from __future__ import annotations

import subprocess
import sys

MODULES = (
    "tierstore",
    "tierstore.store",
    "tierstore.stores.schemas",
    "tierstore.stores.schemas.calls",
    "tierstore.records",
    "tierstore.cache",
)
"""What `import tierstore` exports, and the modules of what its calls answer."""
NAMED_TUPLES = "ignore:Error parsing type annotation"
"""pdoc cannot look up the names in the constructor of a named tuple, and leaves its page as it is."""


def main(folder: str) -> None:
    pdoc = [sys.executable, "-W", NAMED_TUPLES, "-m", "pdoc", "--output-directory", folder]
    subprocess.run([*pdoc, *MODULES], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
