"""Which files a store has open, and whether their names still lead to them.

A file that was deleted, or that another was put in the place of, can still be written to, and all that is written is lost with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tierstore.errors import ConnectionError


class Held:
    """The files or folders of these names, as they are now; those that are not there are not held."""

    def __init__(self, paths: Iterable[Path], *, tier: str) -> None:
        self._tier = tier
        self._identities = [(path, found) for path in paths if (found := _identity(path))]

    def check(self) -> None:
        """ConnectionError if a name leads elsewhere now, or nowhere. Some 2 µs a file."""
        for path, identity in self._identities:
            if (now := _identity(path)) != identity:
                raise ConnectionError(_lost(path, gone=now is None), tier=self._tier)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _lost(path: Path, *, gone: bool) -> str:
    what = "was removed" if gone else "was replaced"
    return f"{path} {what} while the store was open, so the store no longer writes; put it back, or close the store and open it again"
