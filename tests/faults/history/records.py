"""What a history is made of: the calls that processes made, the changes that the database holds, and the faults of the time.

Every process writes one line a call, when it has ended: append only, one `write` each, so that a process that is killed loses none that
it had got an answer to. Times are those of the machine's one monotonic clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A schema as a call answered it. `row_version` orders the rows of one id."""

    id: str
    subject: str
    version: str
    state: str
    row_version: int


class Shown(NamedTuple):
    """What a read by key answered. `row` None: there is none. `stale`: it was marked so."""

    key: str
    row: Row | None
    stale: bool = False


class Wrote(NamedTuple):
    """What a write was acknowledged to have done. `row` None: a deletion, which answers no version."""

    action: str
    id: str
    row: Row | None = None


@dataclass(slots=True)
class Call:
    """One call. `limit`: its timeout in seconds. `rows`: of a list or search, all of `listed` if that names a subject.

    `token`: the call (process and number) whose token it passed. `rest`: made when all was healed and quiet.
    """

    process: str
    number: int
    task: int
    name: str
    began: float
    ended: float
    read: str = "session"
    limit: float = 5.0
    shown: list[Shown] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    listed: str = ""
    wrote: list[Wrote] = field(default_factory=list)
    token: tuple[str, int] | None = None
    error: str = ""
    rest: bool = False

    @property
    def at(self) -> tuple[str, int]:
        return self.process, self.number

    @property
    def is_read(self) -> bool:
        return self.name in READS

    def __str__(self) -> str:
        answers = [f"{one.key} = {_text(one.row)}{' stale' if one.stale else ''}" for one in self.shown]
        answers += [f"{one.action} {_text(one.row) if one.row else one.id}" for one in self.wrote]
        if self.rows or self.listed:
            answers.append(f"rows {self.listed}: {', '.join(map(_text, self.rows)) or 'none'}")
        if self.token:
            answers.append("token of {}#{}".format(*self.token))
        how = "at rest" if self.rest else self.read
        text = f"{self.began:.4f}–{self.ended:.4f} {self.process}#{self.number} task {self.task} {self.name} ({how})"
        return f"{text}: {'; '.join(answers)}{' ' + self.error if self.error else ''}"


NAMES = tuple(one.name for one in fields(Call))
READS = ("get", "get_many", "get_version", "get_latest", "get_latest_many", "list", "search")
WRITES = ("register", "set_state", "delete", "restore", "purge", "transaction")
LAG = "lag"
"""Not a call: the process got no turn for that time."""


class Commit(NamedTuple):
    """One change of one row, as a trigger noted it in the transaction that made it, at `at`. `by`: the process that wrote it."""

    transaction: int
    row: Row
    owner_version: int
    by: str
    at: float = 0.0
    is_deleted: bool = False
    is_purged: bool = False


class Fault(NamedTuple):
    """`database`: reads may fail while it lasts."""

    name: str
    began: float
    ended: float
    database: bool = False

    def __str__(self) -> str:
        return f"{self.began:.4f}–{self.ended:.4f} {self.name}"


def by_id(id: str) -> str:
    return f"id {id}"


def by_version(subject: str, version: str) -> str:
    return f"version {subject} {version}"


def latest(subject: str) -> str:
    return f"latest {subject}"


def latest_any(subject: str) -> str:
    """Pre-releases included."""
    return f"latest-any {subject}"


def _text(row: Row | None) -> str:
    return "none" if row is None else f"{row.subject} {row.version} {row.state} {row.row_version} ({row.id[-6:]})"


def to_line(call: Call) -> bytes:
    return json.dumps([getattr(call, name) for name in NAMES]).encode() + b"\n"


def read_calls(folder: Path) -> list[Call]:
    """All that the processes noted, in the order in which they began."""
    calls = [_call(json.loads(line)) for path in folder.glob("*.log") for line in _whole_lines(path)]
    return sorted(calls, key=lambda call: call.began)


def _whole_lines(path: Path) -> list[bytes]:
    """A process that was killed may leave a part of its last."""
    return path.read_bytes().split(b"\n")[:-1]


def _call(values: list[Any]) -> Call:
    call = Call(*values)
    call.shown = [Shown(key, _row(row), stale) for key, row, stale in call.shown]
    call.rows = [Row(*row) for row in call.rows]
    call.wrote = [Wrote(action, id, _row(row)) for action, id, row in call.wrote]
    call.token = None if call.token is None else (call.token[0], call.token[1])
    return call


def _row(plain: list[Any] | None) -> Row | None:
    return None if plain is None else Row(*plain)
