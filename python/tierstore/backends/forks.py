"""Handles that a forked child inherits are never used and never closed there.

Closing one would speak on the parent's socket (PostgreSQL's library says goodbye to the server) or drop the parent's view of its
locks (SQLite forbids using a connection across a fork at all). So a driver compares `generation()` with the one it connected in;
where they differ it hands the old handles to `leak` and connects anew.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Protocol

PAUSE_S = 0.5
"""How long a fork waits for a write under way. A transaction that the forking thread itself holds open never ends meanwhile."""


class Pausable(Protocol):
    def pause(self, seconds: float) -> bool:
        """Keep everybody from starting; False if somebody was still at it after `seconds`."""
        ...

    def resume(self) -> None: ...


_generation = 0
_pausable: weakref.WeakSet[Pausable] = weakref.WeakSet()
_paused: list[Pausable] = []


def generation() -> int:
    """How many forks lie between this process and the one that imported tierstore."""
    return _generation


def leak(handle: object) -> None:
    """Keep `handle` alive until the process ends, its shutdown included: a list would be emptied then, and close it after all."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))


def pause_while_forking(what: Pausable) -> None:
    """No fork happens while `what` is at work.

    SQLite keeps its locks in the memory of the process too: a child made in the middle of a write would see the file locked for ever.
    """
    _pausable.add(what)


def _before() -> None:
    _paused.extend(what for what in list(_pausable) if what.pause(PAUSE_S))


def _in_parent() -> None:
    while _paused:
        _paused.pop().resume()


def _in_child() -> None:
    global _generation
    _generation += 1
    _paused.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
