"""What the tiers count. Hits of L1 are counted by the cache itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(slots=True)
class Counters:
    """What one engine did since it was opened; plain numbers, one more or less under threads does not matter."""

    l1_flushes: int = 0
    writes: int = 0
    keys_changed: int = 0
    deliveries_failed: int = 0
    redelivered: int = 0
    invalidations_received: int = 0
    carrier_switches: int = 0

    def asdict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class KindCounters:
    """What the reads of one cached kind came to, below L1."""

    l2_hits: int = 0
    l2_misses: int = 0
    l2_handed_over: int = 0
    l2_fills: int = 0
    l2_fills_refused: int = 0
    l2_corrupt: int = 0
    l2_failures: int = 0
    loads: int = 0
    load_failures: int = 0
    stale_served: int = 0

    @classmethod
    def total(cls, counters: Iterable[KindCounters]) -> KindCounters:
        """The sum over some kinds, those of a store for one."""
        several = list(counters)
        return cls(*(sum(getattr(one, field.name) for one in several) for field in fields(cls)))

    def asdict(self) -> dict[str, Any]:
        return asdict(self)
