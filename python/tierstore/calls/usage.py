"""What is read how often: counted in memory, written to the database in batches.

A read appends its id to a ring: no lock and no allocation on a hit. The ring keeps the last RING_READS reads between two flushes, so
that a process that reads more than that writes down a sample of its latest reads, and memory stays bounded. (That hot entries stay
longer in L1 is L1's own affair: `tiers/l1.py`.)
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from tierstore.runtime import Deadline
from tierstore.tiers.engine import Engine

RING_READS = 65_536
FLUSH_S = 60.0
KEPT_DAYS = 30


class Usage:
    """`seen(id)` for every read; `flush` writes the counts by the queries `log`, `trim` and `refresh` of `<store>_usage.sql`.

    `budget`: the deadline of a flush that is given none.
    """

    def __init__(self, store: str, engine: Engine, budget: Callable[[], Deadline]) -> None:
        self._queries = f"{store}_usage"
        self._engine = engine
        self._budget = budget
        self._ring: deque[str] = deque(maxlen=RING_READS)
        self.seen = self._ring.append

    async def flush(self, deadline: Deadline | None = None) -> float:
        """Write the counts since the last flush; returns the seconds until the next one. Counts that fail wait for it."""
        counts = self.drain()
        if not counts:
            return FLUSH_S
        ids = sorted(counts)
        try:
            async with self._engine.housekeeping(deadline=deadline or self._budget()) as unit:
                params = {"ids": ids, "counts": [counts[identifier] for identifier in ids]}
                await unit.execute(f"{self._queries}.log", params)
                await unit.execute(f"{self._queries}.trim", {"days": KEPT_DAYS})
                await unit.execute(f"{self._queries}.refresh")
        except BaseException:  # cancelled by the close, too, which flushes once more
            self.give_back(counts)
            raise
        return FLUSH_S

    def drain(self) -> Counter[str]:
        """The counts since the last call."""
        counts: Counter[str] = Counter()
        with suppress(IndexError):  # another flush was quicker
            for _ in range(len(self._ring)):
                counts[self._ring.popleft()] += 1
        return counts

    def give_back(self, counts: Counter[str]) -> None:
        """Counts that could not be written, for the next flush: as many as the reads since then leave room for."""
        self._ring.extendleft(islice(counts.elements(), RING_READS - len(self._ring)))
