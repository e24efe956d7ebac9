"""Which numbered requirements the tests prove, on which backends and faces.

`@pytest.mark.requirement("S1-30", …)` says that a test proves a row of the requirements. A requirement is proven where at least one
marked test passed and none failed or was skipped. Backends and faces are read from the test's parameters and fixtures.

`--requirements=count` prints a line a document, `all` a line an id, `update` rewrites the committed list `requirements.json`, and
`check` fails the run when something on that list is no longer proven. Several workers (pytest-xdist) are one run.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

COMMITTED = Path(__file__).parent.parent / "requirements.json"
BACKENDS = ("sqlite", "postgres", "memory", "redis", "sentinel", "cluster", "folder", "s3", "embedded", "servers")
FACES = ("async", "blocking")
FIXTURES = {"postgres": "postgres", "database": "postgres", "redis_server": "redis", "s3_server": "s3", "bucket": "s3"}
PROPERTY = "requirements"
"""Under which a report says what its test proves."""
ANYWHERE = "core"
"""The backend of a test that names none."""


class Places:
    """The places (backend, or backend and face) where each id was proven, and those where a test of it did not pass."""

    def __init__(self) -> None:
        self._passed: dict[str, set[str]] = defaultdict(set)
        self._missed: dict[str, set[str]] = defaultdict(set)

    def add(self, ids: Sequence[str], places: list[str], *, passed: bool) -> None:
        for id in ids:
            (self._passed if passed else self._missed)[id].update(places)

    def proven(self) -> dict[str, list[str]]:
        places = {id: passed - self._missed[id] for id, passed in self._passed.items()}
        return {id: sorted(places[id]) for id in sorted(places) if places[id]}


def places_of(parameters: dict[str, Any], fixtures: list[str]) -> list[str]:
    """`["s3 async"]` for a test with those parameters; every backend that its parameters or fixtures name."""
    words = {word for value in parameters.values() for word in re.split(r"[^a-z0-9]+", _word(value))}
    backends = [name for name in BACKENDS if name in words]
    backends = backends or sorted({FIXTURES[name] for name in fixtures if name in FIXTURES}) or [ANYWHERE]
    faces = [face for face in FACES if face in words]
    return [f"{backend} {face}" for backend in backends for face in faces] if faces else backends


def _word(value: object) -> str:
    name = value if isinstance(value, str) else getattr(value, "name", None) or getattr(value, "__name__", "")
    return str(name).lower()


def shorter(committed: dict[str, list[str]], proven: dict[str, list[str]]) -> list[str]:
    """What is on the committed list and not proven now."""
    return [
        f"{id} on {place}" for id, places in committed.items() for place in places if place not in proven.get(id, [])
    ]


def count_lines(totals: dict[str, int], proven: dict[str, list[str]]) -> Iterator[str]:
    for document, total in totals.items():
        found = sum(id.startswith(f"{document}-") for id in proven)
        yield f"{document}: {found} of {total}"


def all_lines(totals: dict[str, int], proven: dict[str, list[str]]) -> Iterator[str]:
    for id in known_ids(totals):
        yield f"{id}: {', '.join(proven[id]) if id in proven else 'missing'}"


def known_ids(totals: dict[str, int]) -> list[str]:
    return [f"{document}-{number:02}" for document, total in totals.items() for number in range(1, total + 1)]


class Marker:
    """Writes on each test what it proves and where, so that its report says so, also one that comes from a worker."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            ids = [id for mark in item.iter_markers("requirement") for id in mark.args]
            if ids:
                parameters = item.callspec.params if hasattr(item, "callspec") else {}
                item.user_properties.append((PROPERTY, [ids, places_of(parameters, getattr(item, "fixturenames", []))]))


class Reporter:
    """Gathers the reports of all tests, where the run is summed up: not in a worker."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._committed = json.loads(COMMITTED.read_text())
        self._known = set(known_ids(self._committed["totals"]))
        self._places = Places()
        self._faults: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            for ids, places in (value for name, value in report.user_properties if name == PROPERTY):
                self._places.add(ids, places, passed=report.passed)
                self._faults += [f"{report.nodeid}: no such requirement: {id}" for id in ids if id not in self._known]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """What the test that it ran was to prove is not known."""
        if error:
            self._faults.append(f"worker {node.gateway.id} crashed: the run proves nothing")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        proven = self._places.proven()
        if self._mode == "update" and not self._faults:
            self._committed["proven"] = proven
            COMMITTED.write_text(_compact(self._committed))
        if self._mode == "check":
            lost = shorter(self._committed["proven"], proven)
            self._faults += [f"no longer proven: {one} (if that is meant: make requirements UPDATE=1)" for one in lost]
        if self._faults and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        lines = all_lines if self._mode == "all" else count_lines
        terminalreporter.section("requirements")
        for line in lines(self._committed["totals"], self._places.proven()):
            terminalreporter.write_line(line)
        for fault in self._faults:
            terminalreporter.write_line(fault, red=True)


def _compact(lists: dict[str, Any]) -> str:
    """JSON with one id a line, so that a change is one line in a diff."""
    rows = ",\n".join(f"    {json.dumps(id)}: {json.dumps(places)}" for id, places in lists["proven"].items())
    return f'{{\n  "totals": {json.dumps(lists["totals"])},\n  "proven": {{\n{rows}\n  }}\n}}\n'


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--requirements", choices=["count", "all", "update", "check"], help="report what the tests prove")


def pytest_configure(config: pytest.Config) -> None:
    if mode := config.getoption("--requirements"):
        config.pluginmanager.register(Marker())
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(Reporter(mode))
