"""What a write invalidates: from changed keys to the names in L2 and in the outbox, and back to the keys of L1."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

RECENT_WRITES_KEPT = 16_384


class Change(NamedTuple):
    """One key that a write changed, as `plan.keys` names it, and the row_version of the write."""

    key: str
    version: int


class Named(NamedTuple):
    """The kind and the text of a key, as its name in L2 carries them."""

    kind: str
    text: str


def parse(name: str) -> Named | None:
    """The kind and the key's text of `<prefix>ts1:{<database>:<slot>}:<kind>:<key>`; None for a name of another form."""
    _, found, rest = name.partition("}:")
    kind, colon, text = rest.partition(":")
    return Named(kind, text) if found and colon else None


class Changes:
    """What one transaction has changed so far: kind and key with the highest version. A savepoint takes back what came after it."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, Hashable], int] = {}

    def add(self, kind: str, key: Hashable, version: int) -> None:
        at = (kind, key)
        self._versions[at] = max(version, self._versions.get(at, version))

    def mark(self) -> dict[tuple[str, Hashable], int]:
        """For `rewind`."""
        return dict(self._versions)

    def rewind(self, mark: dict[tuple[str, Hashable], int]) -> None:
        self._versions = mark

    def __bool__(self) -> bool:
        return bool(self._versions)

    def __contains__(self, change: tuple[str, Hashable]) -> bool:
        return change in self._versions

    def __len__(self) -> int:
        return len(self._versions)

    def items(self) -> list[tuple[str, Hashable, int]]:
        return [(kind, key, version) for (kind, key), version in self._versions.items()]


class RecentWrites:
    """What this process changed and applied itself lately: when the carriers report it once more there is nothing to do.

    The latest RECENT_WRITES_KEPT names at least, and twice as many at most.
    """

    def __init__(self) -> None:
        self._new: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def add(self, changes: Iterable[Change]) -> None:
        if len(self._new) >= RECENT_WRITES_KEPT:
            self._new, self._old = {}, self._new
        self._new.update(changes)

    def is_known(self, change: Change) -> bool:
        """Whether that version of the key, or a later one, is of this process."""
        key, version = change
        return self._new.get(key, 0) >= version or self._old.get(key, 0) >= version

    def clear(self) -> None:
        self._new, self._old = {}, {}


def merged(changes: Iterable[Change]) -> list[Change]:
    """One change a key, with its highest version, in the order of the first mention."""
    versions: dict[str, int] = {}
    for change in changes:
        versions[change.key] = max(change.version, versions.get(change.key, change.version))
    return [Change(key, version) for key, version in versions.items()]
