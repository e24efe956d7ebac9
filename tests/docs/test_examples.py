"""Every Python example of the README and the docs runs, each in a fresh process and folder, on real servers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for number, match in enumerate(FENCE.finditer(page.read_text()), 1):
            line = page.read_text()[: match.start()].count("\n") + 2
            yield pytest.param(match[1], id=f"{page.relative_to(ROOT)}:{line}#{number}")


@pytest.mark.parametrize("source", list(examples()))
def test_example_runs(source, tmp_path, server_environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        cwd=tmp_path,
        env=os.environ | server_environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
