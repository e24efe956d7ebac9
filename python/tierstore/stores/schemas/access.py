"""Which schemas are read how often: counted in memory, written in batches.

A read appends its id to a ring: no lock and no allocation on a hit. The ring keeps the last RING_READS reads between two flushes, so
that a process that reads more than that writes down a sample of its latest reads, and memory stays bounded. (That hot entries stay
longer in L1 is L1's own affair: `tiers/l1.py`.)
"""

from __future__ import annotations

from collections import Counter, deque

RING_READS = 65_536
FLUSH_S = 60.0
KEPT_DAYS = 30


class Access:
    """`seen(id)` for every read; `drain()` for the job that writes the counts."""

    def __init__(self) -> None:
        self._ring: deque[str] = deque(maxlen=RING_READS)
        self.seen = self._ring.append

    def drain(self) -> Counter[str]:
        """The counts since the last call."""
        counts: Counter[str] = Counter()
        for _ in range(len(self._ring)):
            counts[self._ring.popleft()] += 1
        return counts

    def give_back(self, counts: Counter[str]) -> None:
        """Counts that could not be written, for the next flush."""
        self._ring.extendleft(counts.elements())
