"""What README and docs tell to run is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from benches.__main__ import names

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def told(pattern: str) -> dict[str, str]:
    """What the pattern finds on all pages, and on which."""
    return {found: page.name for page in PAGES for found in re.findall(pattern, page.read_text())}


@pytest.mark.parametrize(
    ("pattern", "is_there"),
    [
        (r"`make ([a-z]+)[ `]", TARGETS.__contains__),
        (r"BENCH=([a-z_0-9]+)", names().__contains__),
        (r"--example ([a-z_]+)", lambda name: (ROOT / f"rust/core/examples/{name}.rs").exists()),
        (r"python -m ((?:tests|benches|tierstore)[\w.]*)", lambda name: importlib.util.find_spec(name) is not None),
        (r"fuzz run (\w+)", lambda name: (ROOT / f"rust/core/fuzz/fuzz_targets/{name}.rs").exists()),
    ],
    ids=["target", "bench", "example", "module", "fuzz target"],
)
def test_what_the_pages_tell_to_run_is_there(pattern, is_there):
    found = told(pattern)
    assert found, "no page tells to run any"
    assert not {name: page for name, page in found.items() if not is_there(name)}
