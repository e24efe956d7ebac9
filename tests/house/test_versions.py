"""The native module is meant for each version of CPython that wheels are made for, also where only one is installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.house.wheels import PYTHONS

ROOT = Path(__file__).parents[2]
CONFIG = """implementation=CPython
version={version}
shared=true
target_abi=CPython-{kind}-{version}
pointer_width=64
build_flags={flags}
suppress_build_script_link_lines=false
"""


def check(folder: Path, version: str, *, free: bool = False):
    kind, flags = ("free_threaded", "Py_GIL_DISABLED") if free else ("gil_enabled", "")
    config = folder / "python.txt"
    config.write_text(CONFIG.format(version=version, kind=kind, flags=flags))
    command = ["cargo", "check", "--quiet", "--locked", "--package", "tierstore-binding"]
    return subprocess.run(
        [*command, "--target-dir", str(ROOT / "target" / "versions")],
        cwd=ROOT,
        env={**os.environ, "PYO3_CONFIG_FILE": str(config), "RUSTFLAGS": "--deny warnings"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)  # each compiles PyO3 anew
@pytest.mark.parametrize("python", PYTHONS)
def test_the_module_compiles_for(python: str, tmp_path: Path):
    number = python.removeprefix("cp3").removesuffix("t")
    done = check(tmp_path, f"3.{number}", free=python.endswith("t"))
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["3.10", "3.15"])
def test_an_interpreter_whose_structures_are_not_known_is_refused(version: str, tmp_path: Path):
    done = check(tmp_path, version)
    assert done.returncode != 0
    assert "CPython 3.11 to 3.14" in done.stderr
    assert f"this is CPython {version}" in done.stderr
