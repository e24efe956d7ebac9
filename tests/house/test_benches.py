"""The suites that the source document names run, in their short form: each call once, nothing timed."""

import subprocess
import sys

import pytest

SUITES = {
    "cache_operations": "S1-52",
    "serialization": "S1-53",
    "concurrent_access": "S1-54",
    "cache_hit_rates": "S1-55",
}


@pytest.mark.parametrize(
    "suite", [pytest.param(name, marks=pytest.mark.requirement(row)) for name, row in SUITES.items()]
)
def test_suite_runs(root, suite):
    command = [sys.executable, "-m", "pytest", "-q", "--benchmark-disable", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, f"benches/{suite}.py"], cwd=root, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
