"""`KeyValue` in this process: the embedded form, and the one that simulations use. Both faces; nothing in it waits."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tierstore.backends import Change, Fill, Lease, Seen
from tierstore.backends.fences import Fences
from tierstore.plan.keys import slot_tag
from tierstore.runtime import Deadline, Runtime

MAX_VALUES = 100_000
RUN_ID_BYTES = 20
SLACK = 64
NEVER_S = 3600.0


class _Lifetimes:
    """When the entries of a dict end, and how many there may be."""

    def __init__(self, held: dict[str, Any], limit: int) -> None:
        self._held = held
        self._limit = limit
        self._ends: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def set(self, key: str, end: float) -> None:
        self._ends[key] = end
        heapq.heappush(self._heap, (end, key))
        if len(self._heap) > 2 * len(self._held) + SLACK:  # most of it is about entries that were replaced or dropped
            self._ends = {key: self._ends[key] for key in self._held}
            self._heap = [(end, key) for key, end in self._ends.items()]
            heapq.heapify(self._heap)

    def expire(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            end, key = heapq.heappop(self._heap)
            if self._ends.get(key) == end:
                del self._ends[key]
                self._held.pop(key, None)
        while len(self._held) > self._limit:
            del self._held[next(iter(self._held))]


class MemoryKeyValue:
    """Holds at most `max_values` values and as many leases; the oldest keys go first."""

    def __init__(self, runtime: Runtime, *, max_values: int = MAX_VALUES) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self.fences = Fences()
        self._values = _Lifetimes(self.fences.values, max_values)
        self._leases = _Lifetimes(self.fences.leases, max_values)
        self._hand_overs = _Lifetimes(self.fences.hand_overs, max_values)
        self._run_id = runtime.random_bytes(RUN_ID_BYTES).hex()

    reign = 0

    async def still_reigns(self, reign: int, *, deadline: Deadline) -> bool:
        """Nobody takes over from it."""
        return True

    def watch_reigns(self, began: Callable[[], None]) -> None:
        return None

    async def open(self, deadline: Deadline) -> None:
        return None

    async def get_many(self, keys: Sequence[str], *, deadline: Deadline) -> list[bytes | None]:
        with self._lock:
            self._expire()
            values = map(self.fences.values.get, keys)
            return [None if value is None else value.content for value in values]

    async def lease_many(
        self,
        keys: Sequence[str],
        *,
        token: bytes,
        lease_ms: int,
        deadline: Deadline,
        trusted: bool = True,
        seen: Sequence[Seen | None] | None = None,
    ) -> list[Lease]:
        shown = seen or [None] * len(keys)
        with self._lock:
            self._expire()
            return [
                self._lease(key, token, lease_ms / 1000, trusted, one) for key, one in zip(keys, shown, strict=True)
            ]

    def _lease(self, key: str, token: bytes, lease_s: float, trusted: bool, seen: Seen | None) -> Lease:
        lease = self.fences.lease(key, slot_tag(key), token, trusted=trusted, seen=seen)
        if lease.held:
            self._leases.set(key, self._runtime.monotonic() + lease_s)
        return lease

    async def fill_many(self, fills: Sequence[Fill], *, deadline: Deadline) -> list[bool]:
        with self._lock:
            self._expire()
            return [self._fill(fill) for fill in fills]

    def _fill(self, fill: Fill) -> bool:
        now, accepted = self._runtime.monotonic(), self.fences.fill(fill, slot_tag(fill.key))
        if accepted:
            self._values.set(fill.key, now + fill.ttl_ms / 1000)
        handed = self.fences.hand_overs.get(fill.key)
        if handed is not None and handed.token == fill.token:
            self._hand_overs.set(fill.key, now + fill.hand_over_ms / 1000)
        return accepted

    async def release_many(self, keys: Sequence[str], *, token: bytes, deadline: Deadline) -> None:
        with self._lock:
            for key in keys:
                self.fences.give_back(key, token)

    async def invalidate(self, changes: Sequence[Change], *, floor: int, deadline: Deadline) -> None:
        with self._lock:
            for change in changes:
                self.fences.invalidate(change.key)
                self.fences.rise(slot_tag(change.key), floor)

    def _expire(self) -> None:
        now = self._runtime.monotonic()
        self._values.expire(now)
        self._leases.expire(now)
        self._hand_overs.expire(now)

    async def identity(self, deadline: Deadline) -> str:
        return self._run_id

    async def warnings(self, deadline: Deadline) -> list[str]:
        return []

    async def probe(self) -> float:
        """It never goes away."""
        return NEVER_S

    async def ping(self, deadline: Deadline) -> str:
        return "memory"

    async def close(self, deadline: Deadline) -> None:
        return None
