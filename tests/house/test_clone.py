"""A clone is enough: with nothing beside it every test is collected, and what reads data finds it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OF_DATA = ("tests/core/test_bincode.py", "tests/core/test_proto_cases.py")
GIVEN = ("TIERSTORE_TEST_", "TRACES", "PYTHONPATH", "PYTEST_")
"""What the environment may name, a worker of a shared run among it, and a stranger's does not."""


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def copy_of(root: Path, target: Path) -> None:
    """A clone where all is committed, else the files as they are that would be in one."""
    if not git(root, "status", "--porcelain"):
        git(root, "clone", "--quiet", str(root), str(target))
        return
    for name in git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, target = Path(__file__).parents[2], tmp_path_factory.mktemp("empty") / "tierstore"
    copy_of(root, target)
    for module in (root / "python/tierstore").glob("_native*.so"):  # built, not kept
        shutil.copy2(module, target / "python/tierstore")
    return target


def pytest_in(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(GIVEN)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=clone,
        env=environment | {"PYTHONPATH": str(clone / "python")},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_every_test_of_a_clone_is_collected(clone: Path):
    done = pytest_in(clone, "--collect-only", "tests", "benches/serialization.py", "benches/cache_operations.py")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "tests/house/test_clone.py::" in done.stdout


def test_the_data_of_a_clone_is_in_it(clone: Path):
    done = pytest_in(clone, *OF_DATA)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "skipped" not in done.stdout
