"""A run that workers share: the tests of a group stay together."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FILE = """
import os
import pytest

@pytest.mark.parametrize("number", range(20))
def test_where(number):
    with open(__file__ + ".ran", "a") as ran:
        print(os.getpid(), file=ran)
"""


def test_the_tests_of_a_file_run_in_one_worker(pytester: pytest.Pytester, monkeypatch):
    """pytest-xdist reads the group from a test's name; with pytest 9.2 it finds nothing there, and every test goes where one is free."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_one=FILE, test_two=FILE)
    done = pytester.runpytest_subprocess("-p", "tests.plugins.workers", "--numprocesses=2", "--dist=loadgroup")
    done.assert_outcomes(passed=40)
    for name in ("test_one", "test_two"):
        assert len(set((pytester.path / f"{name}.py.ran").read_text().split())) == 1
