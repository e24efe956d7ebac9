"""The checker proves itself: a made history with each kind of violation is caught by its name, and what the guarantees allow passes."""

from __future__ import annotations

import itertools

import pytest

from tests.faults.history.checker import Checker
from tests.faults.history.records import (
    LAG,
    Call,
    Commit,
    Fault,
    Row,
    Shown,
    Wrote,
    by_id,
    by_version,
    latest,
    read_calls,
    to_line,
)
from tests.faults.history.report import explain

SUBJECT, VERSION = "s", "1.0.0"
LIMIT_S = 1.0
_numbers = itertools.count(1)


def row(row_version: int, state: str = "active", id: str = "i", version: str = VERSION) -> Row:
    return Row(id, SUBJECT, version, state, row_version)


ACTIVE, DEPRECATED, AGAIN = row(2), row(4, "deprecated"), row(6)
NEWER, HALF, WHOLE = row(10, id="n", version="1.1.0"), row(12, "deprecated"), row(13)
COMMITS = [
    Commit(1, ACTIVE, 1, "p"),
    Commit(2, DEPRECATED, 3, "p"),
    Commit(3, AGAIN, 5, "p"),
    Commit(4, row(8), 7, "p", 0.9, is_deleted=True),
    Commit(5, NEWER, 9, "p"),
    Commit(6, HALF, 11, "p"),
    Commit(6, WHOLE, 11, "p"),
]
"""Registered, deprecated, active again, deleted; a newer version; then the first once more, changed twice in one transaction."""


def call(process: str, began: float, name: str = "get", *, seconds: float = 0.1, task: int = 0, **more) -> Call:
    more = {"limit": LIMIT_S} | more
    return Call(process, next(_numbers), task, name, began, began + seconds, **more)


def shows(process: str, began: float, found: Row | None, key: str = by_id("i"), *, stale: bool = False, **more) -> Call:
    return call(process, began, shown=[Shown(key, found, stale)], **more)


def lists(process: str, began: float, *rows: Row, name: str = "list", **more) -> Call:
    return call(process, began, name, rows=list(rows), listed=SUBJECT if name == "list" else "", **more)


def writes(process: str, began: float, *rows: Row, name: str = "set_state", **more) -> Call:
    return call(process, began, name, wrote=[Wrote(name, one.id, one) for one in rows], **more)


def deletes(process: str, began: float) -> Call:
    return call(process, began, "delete", wrote=[Wrote("delete", "i")])


def after(source: Call, made: Call) -> list[Call]:
    """`made` passes the token of `source`."""
    made.token = source.at
    return [source, made]


WRONG = {
    "I1 an older version": [shows("p", 1, DEPRECATED), shows("p", 2, ACTIVE)],
    "I1 back from absence": [shows("p", 0.7, AGAIN), shows("p", 1, None), shows("p", 2, AGAIN)],
    "I1 an older version, marked stale": [shows("p", 1, DEPRECATED), shows("p", 2, ACTIVE, stale=True)],
    "I1 after a list": [lists("p", 1, DEPRECATED), shows("p", 2, ACTIVE)],
    "I1 after a search": [lists("p", 1, DEPRECATED, name="search"), shows("p", 2, ACTIVE)],
    "I1 by another key": [shows("p", 1, AGAIN, latest(SUBJECT)), shows("p", 2, DEPRECATED)],
    "I1 in a list": [shows("p", 1, DEPRECATED), lists("p", 2, ACTIVE)],
    "I1 the latest": [
        shows("p", 1, ACTIVE, latest(SUBJECT)),
        shows("p", 2, DEPRECATED, latest(SUBJECT)),
        shows("p", 3, ACTIVE, latest(SUBJECT)),
    ],
    "I2 by id": [writes("p", 1, DEPRECATED), shows("p", 2, ACTIVE)],
    "I2 by version": [writes("p", 1, DEPRECATED), shows("p", 2, ACTIVE, by_version(SUBJECT, VERSION))],
    "I2 latest": [writes("p", 1, NEWER, name="register"), shows("p", 2, AGAIN, latest(SUBJECT))],
    "I2 in a list of the same task": [writes("p", 1, DEPRECATED), lists("p", 2, ACTIVE)],
    "I2 after a deletion": [deletes("p", 1), shows("p", 2, AGAIN)],
    "I3 by id": after(writes("p", 1, DEPRECATED), shows("q", 2, ACTIVE)),
    "I3 in a list": after(writes("p", 1, DEPRECATED), lists("q", 2, ACTIVE)),
    "I4 session": [writes("p", 1, DEPRECATED), shows("q", 4.2, ACTIVE)],
    "I4 bounded": [writes("p", 1, DEPRECATED), shows("q", 2.5, ACTIVE, read="bounded:300ms")],
    "I4 latest": [writes("p", 1, DEPRECATED), shows("q", 1.2, ACTIVE, read="latest")],
    "I4 by what another process was shown": [shows("p", 1, DEPRECATED), shows("q", 4.2, ACTIVE)],
    "I4 a list": [writes("p", 1, DEPRECATED), lists("q", 4.2, ACTIVE)],
    "I4 absent (I11)": [writes("p", 1, NEWER, name="register"), shows("q", 4.2, None, by_id("n"))],
    "I5 a write that is not there": [writes("p", 1, row(99))],
    "I5 a deletion that is not there": [deletes("q", 1)],
    "I5 a deletion before the one that is there": [deletes("p", 0.5)],
    "I5 two deletions where there is one": [deletes("p", 1), deletes("p", 1.05)],
    "I5 a transaction in parts": [writes("p", 1, ACTIVE, NEWER, name="transaction")],
    "I6 never committed": [shows("p", 1, row(99))],
    "I1 absent once more, before its end": [shows("p", 0.1, ACTIVE), shows("p", 0.3, None)],
    "I6 of an unknown key": [shows("p", 1, row(99, id="u"), by_id("u"))],
    "I6 another value of that version": [shows("p", 1, row(4, "active"))],
    "I6 half of a transaction": [shows("p", 1, HALF)],
    "I6 a list of two times": [lists("p", 1, DEPRECATED, NEWER)],
    "I6 a write that answered something else": [writes("p", 1, row(4, "archived"))],
    "I7 in a cache at rest": [shows("p", 9, AGAIN, rest=True)],
    "I7 a list at rest": [lists("p", 9, AGAIN, rest=True)],
    "I9 too long": [shows("p", 1, ACTIVE, seconds=1.3)],
    "I10 stale where latest was asked for": [shows("p", 1, ACTIVE, stale=True, read="latest")],
    "calls another error": [call("p", 1, error="!KeyError: 'x'")],
    "calls a read that failed": [call("p", 1, error="ConnectionError: gone")],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_violation_is_caught(name):
    checker = Checker(WRONG[name], COMMITS)
    found = checker.check()
    assert [violation.promise for violation in found] == [name.split()[0]], found
    shown = explain(found[0], checker, [Fault("redis paused", 0.5, 1.5)])
    assert str(found[0].call) in shown


RIGHT = {
    "a plain life": [writes("p", 1, DEPRECATED), shows("p", 2, DEPRECATED), writes("p", 3, AGAIN), shows("q", 9, AGAIN),
                     deletes("p", 10), shows("p", 11, None)],
    "an old value within the horizon": [writes("p", 1, DEPRECATED), shows("q", 3.9, ACTIVE)],
    "an old value that is marked": [writes("p", 1, DEPRECATED), shows("q", 30, ACTIVE, stale=True)],
    "an old value that any read may give": [writes("p", 1, DEPRECATED), shows("q", 30, ACTIVE, read="any")],
    "two reads at once, in either order": [shows("p", 1, DEPRECATED, seconds=0.5), shows("p", 1.2, ACTIVE)],
    "a read that began before the write returned": [writes("p", 1, DEPRECATED), shows("p", 1.05, ACTIVE)],
    "a value that was there twice": [shows("p", 1, None), shows("p", 2, ACTIVE), shows("p", 3, None)],
    "a write whose answer was lost": [call("p", 1, "set_state", error="OutcomeUnknownError: ?"), shows("q", 2, DEPRECATED)],
    "a list of another task": [writes("p", 1, DEPRECATED), lists("p", 2, ACTIVE, task=1)],
    "a list of one time": [lists("p", 1, NEWER), lists("p", 2, NEWER, WHOLE)],
    "what nobody ever wrote": [shows("p", 1, None, by_id("u"))],
    "at rest": [shows("p", 9, WHOLE, rest=True), lists("p", 9, WHOLE, NEWER, rest=True), shows("p", 9, NEWER, latest(SUBJECT), rest=True)],
    "held up": [Call("p", 0, 0, LAG, 1.1, 1.9), shows("p", 1, ACTIVE, seconds=1.8)],
    "a caller that left": [call("p", 1, error="cancelled")],
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_allowed_passes(name):
    assert Checker(RIGHT[name], COMMITS).check() == []


def test_of_two_deletions_at_once_either_may_be_the_later_one():
    """The one that began first ended last, and was the second; between the two the schema was there again."""
    commits = [
        Commit(1, ACTIVE, 1, "p"),
        Commit(2, row(4), 3, "p", 1.55, is_deleted=True),
        Commit(3, AGAIN, 5, "q", 1.8),
        Commit(4, row(8), 7, "p", 3.0, is_deleted=True),
    ]
    slow = call("p", 1.0, "delete", seconds=3.0, limit=4.0, wrote=[Wrote("delete", "i")])
    between = [deletes("p", 1.5), shows("p", 2.0, AGAIN)]
    assert Checker([slow, *between], commits).check() == []
    assert [one.promise for one in Checker([slow, *between, shows("p", 4.5, ACTIVE)], commits).check()] == ["I1"]


def test_reads_may_fail_while_the_database_does():
    failed = [call("p", 1, error="ConnectionError: gone")]
    assert Checker(failed, COMMITS, [Fault("database: paused", 0.5, 1.0, database=True)]).check() == []
    assert Checker(failed, COMMITS, [Fault("redis paused", 0.5, 1.0)]).check() != []


def test_a_call_comes_back_from_its_line(tmp_path):
    made = [*after(writes("p", 1, DEPRECATED), lists("q", 2, ACTIVE, NEWER)), deletes("p", 3), shows("p", 4, None)]
    (tmp_path / "p.log").write_bytes(b"".join(map(to_line, made)))
    assert read_calls(tmp_path) == made
