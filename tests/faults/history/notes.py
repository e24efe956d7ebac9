"""The log of one process: a line a call, written when the call has ended; and the tokens that it hands to others."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.faults.history.records import LAG, Call, Row, to_line

TAIL_BYTES = 2_000


class Token(NamedTuple):
    """A token, and the call whose write it covers."""

    token: str
    process: str
    number: int
    row: Row


class Notes:
    """`folder` is shared by all processes."""

    def __init__(self, folder: Path, process: str) -> None:
        self._folder = folder
        self._process = process
        self._numbers = itertools.count(1)
        self._log = os.open(folder / f"{process}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._tokens = os.open(folder / f"{process}.tokens", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.count = 0

    def begin(self, task: int, name: str, read: str = "session", limit: float = 5.0) -> Call:
        now = time.monotonic()
        return Call(self._process, next(self._numbers), task, name, now, now, read, limit)

    def end(self, call: Call, ended: float) -> None:
        call.ended = ended
        self.count += 1
        os.write(self._log, to_line(call))

    def lag(self, began: float, ended: float) -> None:
        os.write(self._log, to_line(Call(self._process, 0, 0, LAG, began, ended)))

    def hand_out(self, token: str, call: Call, row: Row) -> None:
        line = json.dumps([token, call.process, call.number, row])
        os.write(self._tokens, line.encode() + b"\n")

    def token_of_another(self, random: Random) -> Token | None:
        """The last one that another process handed out."""
        others = [path for path in sorted(self._folder.glob("*.tokens")) if path.stem != self._process]
        lines = _last_lines(random.choice(others)) if others else []
        if not lines:
            return None
        found: list[Any] = json.loads(lines[-1])
        return Token(found[0], found[1], found[2], Row(*found[3]))


def _last_lines(path: Path) -> list[bytes]:
    """Whole lines only."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        text = file.read()
    whole, newline, _ = text.rpartition(b"\n")
    lines = whole.split(b"\n") if newline else []
    return lines if size <= TAIL_BYTES else lines[1:]
