"""When the watched keys end: nobody is told by the server in good time, so that a watcher asks for a key when it is due."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from tierstore.errors import ConfigError

SLACK = 64
LATE_MS = 20
"""A key is asked for so long after its end: then the server has noticed too."""
NEVER_MS = 3_600_000


class Ends:
    """Ends of keys in ms since the epoch by the server's clock; `clock`: monotonic seconds here. Some 250 bytes a key with an end."""

    def __init__(self, clock: Callable[[], float], most: int) -> None:
        self._clock = clock
        self._most = most
        self._ahead_ms = 0.0
        self._ends: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def clear(self) -> None:
        self._ends, self._heap = {}, []

    def server_says(self, now_ms: int) -> None:
        """What the server's clock shows."""
        self._ahead_ms = now_ms - self._clock() * 1000

    def set(self, key: str, ends_ms: int | None) -> None:
        """A key has a new end, or none. ConfigError if there are too many."""
        if ends_ms is None:
            self._ends.pop(key, None)
            return
        self._ends[key] = ends_ms
        heapq.heappush(self._heap, (ends_ms, key))
        if len(self._ends) > self._most:
            raise ConfigError(
                f"more than {self._most} keys with an end are under the watched prefix: watch a longer prefix, or raise max_watched"
            )
        if len(self._heap) > 2 * len(self._ends) + SLACK:  # most of it is about ends that were replaced
            self.again()

    def wait_ms(self) -> float:
        """Until a key is to be asked for; never negative."""
        while self._heap and self._ends.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if not self._heap:
            return NEVER_MS
        return max(0.0, self._heap[0][0] + LATE_MS - self._clock() * 1000 - self._ahead_ms)

    def due(self, most: int) -> list[str]:
        """Keys to be asked for now. Each is `set` by what is answered; until then it is not due again."""
        keys: list[str] = []
        while len(keys) < most and self._heap and self.wait_ms() <= 0:
            keys.append(heapq.heappop(self._heap)[1])
        return keys

    def again(self) -> None:
        """Answers were lost: what was asked is due again."""
        self._heap = [(ends_ms, key) for key, ends_ms in self._ends.items()]
        heapq.heapify(self._heap)

    def end_of(self, key: str) -> int | None:
        return self._ends.get(key)
