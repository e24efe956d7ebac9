"""How many hold each name, counted right in threads too."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet


class Counts:
    """Looked into without a lock; a name that nobody holds takes no room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._held

    def __bool__(self) -> bool:
        return bool(self._held)

    @property
    def names(self) -> AbstractSet[str]:
        return self._held.keys()

    def take(self, names: Iterable[str]) -> None:
        with self._lock:
            for name in names:
                self._held[name] = self._held.get(name, 0) + 1

    def give_back(self, names: Iterable[str]) -> None:
        """What was taken once before."""
        with self._lock:
            for name in names:
                left = self._held[name] - 1
                if left:
                    self._held[name] = left
                else:
                    del self._held[name]
