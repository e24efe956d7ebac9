"""How several workers share a run (pytest-xdist, `--dist=loadgroup`): each has servers of its own, and gets groups of tests in turn.

A group is what shares the fixtures of a module: the tests of a file, in the contract suites with one backend and one face. The files that
take longest come first, so that no worker is left with a long one when the others are done. Every worker has to find the same tests, so no
name may hold the address of an object.
"""

from __future__ import annotations

import re

import pytest

SHARED = ("store_backend", "store_face", "engine", "face")
"""Parameters that name the backend or the face of a suite."""
SPLIT = "tests/contract/"
"""Whose files are many groups; any other is one: tests of `tests/stores` find what earlier ones wrote."""
LONG = ("tests/house/test_versions.py",)
"""Files that take longest, the longest first."""
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")


def group_of(item: pytest.Item) -> str:
    """The name of the group that a test belongs to."""
    is_split = _file(item).startswith(SPLIT) and hasattr(item, "callspec")
    parameters = item.callspec.params if is_split else {}
    return "-".join([_file(item), *(str(parameters[name]) for name in SHARED if name in parameters)])


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if changing := [item.nodeid for item in items if _ADDRESS.search(item.nodeid)]:
        raise pytest.UsageError(f"{changing[0]}: the name changes from run to run; give the parameter an id")
    if not hasattr(config, "workerinput"):
        return
    order = {file: number for number, file in enumerate(LONG)}
    items.sort(key=lambda item: order.get(_file(item), len(LONG)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
