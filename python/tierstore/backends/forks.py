"""Handles that a forked child inherits are never used and never closed there.

Closing one would speak on the parent's socket (PostgreSQL's library says goodbye to the server) or drop the parent's view of its
locks (SQLite forbids using a connection across a fork at all). So a driver compares `generation()` with the one it connected in;
where they differ it hands the old handles to `leak` and connects anew.
"""

from __future__ import annotations

import ctypes
import os

_generation = 0


def generation() -> int:
    """How many forks lie between this process and the one that imported tierstore."""
    return _generation


def leak(handle: object) -> None:
    """Keep `handle` alive until the process ends, its shutdown included: a list would be emptied then, and close it after all."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))


def _in_child() -> None:
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
