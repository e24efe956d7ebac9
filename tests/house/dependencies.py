"""The packages of one extra and of the project itself, one a line: `python -m tests.house.dependencies dev`.

pip can install an extra only together with the project, which needs the native module; this lets the libraries come first.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
OWN_EXTRA = re.compile(r"tierstore\[(.+)\]")


def packages(extra: str) -> list[str]:
    """What the project and its extra need; extras that name extras of our own are followed."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    return sorted({*project["dependencies"], *_follow(project["optional-dependencies"], extra)})


def _follow(extras: dict[str, list[str]], extra: str) -> Iterator[str]:
    for line in extras[extra]:
        if own := OWN_EXTRA.fullmatch(line):
            for name in own[1].split(","):
                yield from _follow(extras, name)
        else:
            yield line


if __name__ == "__main__":
    print("\n".join(packages(sys.argv[1])))
