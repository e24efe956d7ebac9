"""pyright sees the types of state as mypy does: its errors stand on the lines that are marked, and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parent / "samples" / "state.py"


@pytest.mark.timeout(300)
def test_pyright_finds_exactly_the_marked_errors(tmp_path: Path):
    settings = {"include": [str(SAMPLE)], "typeCheckingMode": "standard", "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, "--project", str(tmp_path)], capture_output=True, text=True, timeout=300)
    report = json.loads(done.stdout)
    found = {one["range"]["start"]["line"] + 1 for one in report["generalDiagnostics"] if one["severity"] == "error"}
    lines = enumerate(SAMPLE.read_text().splitlines(), 1)
    assert report["summary"]["filesAnalyzed"] == 1
    assert found == {number for number, line in lines if "# error:" in line}, done.stdout
