"""Which record class has which kind: the number that says, in a buffer, what the buffer holds.

A number belongs to the class that was declared with it first. It passes to another class when that class stands in the same source
file under the same qualified name (a module that is loaded again, a cell of a notebook that is run again, a class statement in a
function that is called again), or names its predecessor: `class NoteTwo(Record, kind=7, revision=2, replaces=NoteOne)`. Whoever had
the number keeps its records and its `from_bytes`; `codec.decode` gives the new class.
"""

from __future__ import annotations

import sys
import threading

MAX_KIND = 65_534
LIBRARY_KINDS = range(0xF000, MAX_KIND + 1)
"""61,440 and up: what tierstore itself declares."""

_holders: dict[int, type] = {}
_lock = threading.Lock()


def check_kind(cls: type, kind: object) -> None:
    """TypeError unless `kind` is a number that the class may have, taken or not."""
    if isinstance(kind, bool) or not isinstance(kind, int):
        raise TypeError(f"{cls.__name__}: kind must be int, not {type(kind).__name__}")
    if kind in LIBRARY_KINDS and not _is_library(cls):
        raise TypeError(
            f"{cls.__name__}: kind {kind} is reserved for tierstore; use a number from 0 to {LIBRARY_KINDS.start - 1}"
        )
    if _is_library(cls) and kind not in LIBRARY_KINDS:
        raise TypeError(
            f"{cls.__name__}: a record of tierstore has a kind from {LIBRARY_KINDS.start} to {MAX_KIND}, got {kind}"
        )
    if not 0 <= kind <= MAX_KIND:
        raise TypeError(f"{cls.__name__}: kind must be from 0 to {LIBRARY_KINDS.start - 1}, got {kind}")


def claim(cls: type, kind: int, replaces: type | None) -> None:
    """Give the class its number. TypeError if another class has it."""
    with _lock:
        holder = _holders.get(kind)
        if holder is not None and holder is not replaces and _origin(holder) not in (_origin(cls), _origin(replaces)):
            raise TypeError(
                f"{_full_name(cls)}: kind {kind} belongs to {_full_name(holder)}; give one of the two another number, "
                f"or pass replaces={holder.__name__} if this class takes its place"
            )
        _holders[kind] = cls


def _is_library(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "tierstore"


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _origin(cls: type | None) -> tuple[str, str] | None:
    """Where the class statement stands: its file (`__main__` and an import of the same file are one), else its module, and its name."""
    if cls is None:
        return None
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return (file or cls.__module__, cls.__qualname__)
