"""Keys in order, for pages of those under a prefix. A new key costs nothing until a page is asked for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator, Sized
from typing import Protocol

SLACK = 64


class Held(Container[str], Sized, Protocol):
    """The keys that are there."""


class SortedKeys:
    """Keys that were dropped stay in the list until there are more of them than of the others."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._new: list[str] = []

    def add(self, key: str) -> None:
        """A key that is there from now on."""
        self._new.append(key)

    def under(self, prefix: str, after: str | None, held: Held) -> Iterator[str]:
        """The held keys that begin with `prefix` and stand behind `after`, in the order of their characters."""
        self._merge(held)
        keys = self._keys
        at = bisect_left(keys, prefix) if after is None else bisect_right(keys, after)
        last: str | None = None
        while at < len(keys) and keys[at].startswith(prefix):
            key, at = keys[at], at + 1
            if key != last and key in held:
                yield key
            last = key

    def _merge(self, held: Held) -> None:
        if self._new:
            self._keys += self._new
            self._new = []
            self._keys.sort()  # two sorted runs and a few more: nearly linear
        if len(self._keys) > 2 * len(held) + SLACK:
            self._keys = sorted({key for key in self._keys if key in held})
