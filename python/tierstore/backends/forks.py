"""Handles that a forked child inherits are never used and never closed there.

Closing one would speak on the parent's socket (PostgreSQL's library says goodbye to the server) or drop the parent's view of its
locks (SQLite forbids using a connection across a fork at all). So a driver compares `runtime.generation()` with the one it connected in;
where they differ it hands the old handles to `leak` and connects anew.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tierstore.errors import ConnectionError

PAUSE_S = 0.5
"""How long a fork waits for a write under way. A transaction that the forking thread itself holds open never ends meanwhile."""


class Pausable(Protocol):
    path: Path
    """The file that it writes."""

    def pause(self, seconds: float) -> Callable[[], object] | None:
        """Keep everybody from starting: what lets them go on; None if somebody was still at it after `seconds`."""
        ...


_pausable: weakref.WeakSet[Pausable] = weakref.WeakSet()
_paused: list[Callable[[], object]] = []
_torn: set[Path] = set()
"""In a forked child: files that the parent was writing at the fork."""
_being_torn: set[Path] = set()


def leak(handle: object) -> None:
    """Keep `handle` alive until the process ends, its shutdown included: a list would be emptied then, and close it after all."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))


def pause_while_forking(what: Pausable) -> None:
    """No fork happens while `what` is at work.

    SQLite keeps its locks in the memory of the process too: a child made in the middle of a write would see the file locked for ever.
    """
    _pausable.add(what)


def fork_at_any_time(what: Pausable) -> None:
    """It is at work no more."""
    _pausable.discard(what)


def check_whole(path: Path) -> None:
    """ConnectionError in a child that was forked in the middle of a write to the file, whose end could not be waited for."""
    if path in _torn:
        raise ConnectionError(
            f"this process was forked in the middle of a write to {path}, and SQLite keeps its lock in memory: start processes by "
            "spawn, or fork while no transaction is open",
            tier="database",
        )


def _before() -> None:
    _being_torn.clear()
    for what in list(_pausable):
        resume = what.pause(PAUSE_S)
        if resume is None:
            _being_torn.add(what.path)
        else:
            _paused.append(resume)


def _in_parent() -> None:
    while _paused:
        _paused.pop()()


def _in_child() -> None:
    _paused.clear()
    _pausable.clear()
    _torn.update(_being_torn)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
