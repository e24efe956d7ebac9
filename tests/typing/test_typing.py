"""The public types are those that api.md promises: mypy strict over a user's code finds just the errors marked there.

A line of `samples/` that must be refused ends with `# error: code`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent / "samples"
MARK = re.compile(r"# error: ([a-z-]+)$")
REPORT = re.compile(r"(\w+\.py):(\d+): error: .*\[([a-z-]+)\]$")

Errors = dict[str, set[tuple[int, str]]]


@pytest.fixture(scope="module")
def reported() -> Errors:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--config-file=", str(SAMPLES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=SAMPLES.parents[2])
    found: Errors = {path.name: set() for path in SAMPLES.glob("*.py")}
    for line in done.stdout.splitlines():
        if report := REPORT.search(line):
            found.setdefault(report[1], set()).add((int(report[2]), report[3]))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return found


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.py")), ids=lambda path: path.stem)
@pytest.mark.timeout(300)
def test_mypy_finds_exactly_the_marked_errors(sample: Path, reported: Errors):
    lines = enumerate(sample.read_text().splitlines(), 1)
    marked = {(number, found[1]) for number, line in lines if (found := MARK.search(line))}
    assert reported[sample.name] == marked
