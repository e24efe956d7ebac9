"""L1 of one kind: the process's own cache, with a fence, a version and a lifetime at each entry (rules 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from tierstore._native import Hits, OwnerLoop, TimedEntry
from tierstore.cache import Cache
from tierstore.records import attach
from tierstore.tiers.freshness import Freshness
from tierstore.tiers.kind import ABSENT, ABSENT_TTL_S, Meta

Entry = TimedEntry
"""`until`: hits are answered without a thought; `ends`: the end of its lifetime. It stays for the fail-safe until it is evicted."""


class L1:
    """Values of one kind by key. `clock` is the runtime's."""

    def __init__(
        self,
        freshness: Freshness,
        clock: Callable[[], float],
        *,
        ttl_s: float,
        max_entries: int,
        max_bytes: int | None,
        immutable: bool,
        owner_loop: OwnerLoop | None,
    ) -> None:
        self.cache: Cache[Any, Any] = Cache(max_entries, max_weight=max_bytes)
        self._freshness = freshness
        self._clock = clock
        self._immutable = immutable
        self.begin = self.cache.begin
        hits = Hits(self.cache, freshness, clock, ABSENT, immutable, owner_loop, ttl_s, ABSENT_TTL_S)
        self.hit: Callable[[Hashable], Any] = hits.hit
        self.keep = hits.keep
        self.refused = 0
        self.looks = 0

    def peek_many(self, keys: list[Any]) -> list[Any]:
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

    def behind(self, shown: Mapping[Any, int]) -> tuple[list[Any], bool]:
        """The keys of which it has nothing, or something older than these versions; and whether it has nothing later of any."""
        keys, is_current = [], True
        for (key, version), entry in zip(shown.items(), self.cache.get_many(list(shown)), strict=True):
            self.looks += entry is not None
            if entry is None or entry.version < version:
                keys.append(key)
            elif entry.version > version:
                is_current = False
        return keys, is_current

    def ripe(self, key: Hashable) -> Entry | None:
        """The entry if it is near its end but still good, and no caller got it as such yet: it is to be loaded anew."""
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

    def versions(self, most: int) -> dict[Hashable, int] | None:
        """What it holds, by key; None if that is more than `most`."""
        if len(self.cache) > most:
            return None
        return {key: entry.version for key, entry in self.cache.items()}

    def can_stand_in(self, key: Hashable, max_stale_s: float) -> bool:
        """Whether `stale` has an answer."""
        return self._lapsed(key, max_stale_s) is not None

    def _lapsed(self, key: Hashable, max_stale_s: float) -> Entry | None:
        """The entry, whether or not it is still good, unless it is older. An absence is none: nothing could mark it as stale."""
        entry = self.look(key)
        if entry is None or entry.value is ABSENT or self._clock() - entry.loaded_at > max_stale_s:
            return None
        return entry

    def stale(self, key: Hashable, max_stale_s: float) -> Any:
        """What it still has of the key, marked stale, unless that is older; else None."""
        entry = self._lapsed(key, max_stale_s)
        if entry is None:
            return None
        answer = entry.value.replace()
        attach(answer, Meta("l1", entry.loaded_at, self._clock, stale=True))
        return answer

    # Changes

    def later(self, key: Hashable, version: int) -> Entry | bool:
        """The entry, if its version is a later one; else False. (As `keep` returns, which keeps what was loaded.)"""
        there = self.look(key)
        return there if there is not None and there.version > version else False

    def drop(self, key: Hashable) -> None:
        """The key has changed: its entry goes, and fills under way are refused."""
        self.cache.invalidate(key)

    def drop_many(self, keys: list[Any]) -> None:
        self.cache.invalidate_many(keys)

    def clear(self) -> None:
        self.cache.clear()
