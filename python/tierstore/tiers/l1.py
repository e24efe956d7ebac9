"""L1 of one kind: the process's own cache, with a fence, a version and a lifetime at each entry (rules 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from tierstore._native import Hits, Home, TimedEntry
from tierstore.cache import Cache
from tierstore.records import Record
from tierstore.tiers.flight import Flight
from tierstore.tiers.freshness import Freshness
from tierstore.tiers.kind import ABSENT, ABSENT_TTL_S

JITTER = 0.1
"""A lifetime is cut by up to this share, so that what was filled together does not expire together."""
Entry = TimedEntry
"""`until`: hits are answered without a thought; `ends`: the end of its lifetime. It stays for the fail-safe until it is evicted."""
ABSENT_BYTES = 64


class L1:
    """Values of one kind by key. `clock` is the runtime's, `random` answers 0 to 1."""

    def __init__(
        self,
        freshness: Freshness,
        clock: Callable[[], float],
        random: Callable[[], float],
        *,
        ttl_s: float,
        max_entries: int,
        max_bytes: int | None,
        weigh: Callable[[Any], int] | None,
        immutable: bool,
        home: Home | None,
    ) -> None:
        self.cache: Cache[Any, Any] = Cache(max_entries, max_weight=None if weigh is None else max_bytes)
        self._weigh = weigh
        self._freshness = freshness
        self._clock = clock
        self._random = random
        self._ttl_s = ttl_s
        self._immutable = immutable
        self.begin = self.cache.begin
        hits = Hits(self.cache, freshness, clock, ABSENT, immutable, home)
        self.hit: Callable[[Hashable], Any] = hits.hit
        self.keep = hits.keep
        self.refused = 0
        self.looks = 0

    def hits(self, keys: list[Any]) -> list[Any]:
        """`hit` for each key, with one look at the clock."""
        now = self._clock()
        fresh = now < self._freshness.until
        return [self._usable(entry, now, fresh) for entry in self.cache.get_many(keys)]

    def _usable(self, entry: Entry | None, now: float, fresh: bool) -> Any:
        if entry is None or now >= entry.until or not (fresh or (self._immutable and entry.value is not ABSENT)):
            return None
        return entry.value

    # The slower looks

    def look(self, key: Hashable) -> Entry | None:
        """The entry as it is, expired or not, fresh or not."""
        entry: Entry | None = self.cache.get(key)
        if entry is not None:
            self.looks += 1  # the cache counts it as a hit; it is none
        return entry

    def ripe(self, key: Hashable) -> Entry | None:
        """The entry if it is near its end but still good, and nobody was told so yet: it is to be loaded anew."""
        entry = self.look(key)
        if entry is None:
            return None
        self.looks += 1  # a hit looked just before, and did not take it
        if not entry.until <= self._clock() < entry.ends:
            return None
        if not (self._freshness.is_fresh() or (self._immutable and entry.value is not ABSENT)):
            return None
        entry.until = entry.ends
        return entry

    # Changes

    def fill(self, flight: Flight, record: Record | None, version: int, now: float, *, accept: bool) -> Entry | None:
        """Keep what was loaded, unless the key was invalidated meanwhile. An entry of a later version that is there is the answer.

        Rule 4: never a lower version than what is there. `accept` False keeps nothing.
        """
        value, ttl_s = (ABSENT, ABSENT_TTL_S) if record is None else (record, self._ttl_s)
        if accept:
            ttl_s *= 1 - JITTER * self._random()
            weight = 1 if self._weigh is None else ABSENT_BYTES if record is None else self._weigh(record)
            kept = self.keep(flight.ticket, value, version, now, ttl_s, weight)
        else:
            there = self.look(flight.key)
            kept = there if there is not None and there.version > version else False
        if kept is True:
            return None
        self.refused += 1
        return kept or None

    def drop(self, key: Hashable) -> None:
        """The key has changed: its entry goes, and fills under way are refused."""
        self.cache.invalidate(key)

    def clear(self) -> None:
        self.cache.clear()
