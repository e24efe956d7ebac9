"""`Pairs` in this process: gone at its end. Both faces; nothing in it waits, and nothing is evicted.

A read takes no lock: what it finds under a key is one tuple, put there in one step. All that changes the dict holds the lock, so that
changes are told in the order in which they were made.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from tierstore.backends.memory.ends import Ends
from tierstore.backends.memory.feed import MemoryFeed
from tierstore.backends.memory.sorted_keys import SortedKeys
from tierstore.backends.pairs import ABSENT_TAG, KEEP_MS, Changed, Feed, Pair, PairCounts, Put
from tierstore.errors import ClosedError, StorageError
from tierstore.plan.integers import added
from tierstore.runtime import Deadline, Job, Runtime

ETAG_BYTES = 8
SWEEP_EVERY_S = 1.0
SWEPT_AT_ONCE = 500
"""Ended pairs that one step removes: about half a millisecond."""
PAIR_BYTES = 350
"""What a pair takes beside its key and value: the entries of three dicts, a tuple, an etag."""


class _Held(NamedTuple):
    value: bytes
    etag: str
    end_ms: int | None


class MemoryPairs:
    """At most `max_entries` pairs: a further key is a StorageError."""

    name: Literal["memory", "sql", "redis"] = "memory"

    def __init__(self, runtime: Runtime, *, max_entries: int) -> None:
        self._runtime = runtime
        self._wall = runtime.wall
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._ends = Ends()
        self._sorted = SortedKeys()
        self._feeds: list[MemoryFeed] = []
        self._bytes = self._told = 0
        self.expired = 0
        """Pairs that were removed because they had ended."""
        self._closed = False

    async def open(self, deadline: Deadline) -> None:
        return None

    # Reading

    def peek(self, key: str) -> bytes | None:
        """The value without a coroutine; None where there is none, or the store was closed."""
        held = self._held.get(key)
        if held is None or (held[2] is not None and held[2] <= self._wall() * 1000):
            return None
        return held[0]

    def _now_ms(self) -> int:
        return int(self._wall() * 1000)

    def _find(self, key: str, now_ms: int) -> _Held | None:
        held = self._held.get(key)
        return None if held is None or (held.end_ms is not None and held.end_ms <= now_ms) else held

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("the store was closed: open another", tier="memory")

    async def get_many(self, keys: Sequence[str], *, deadline: Deadline) -> list[Pair | None]:
        self._check()
        now_ms = self._now_ms()
        found = [self._find(key, now_ms) for key in keys]
        return [None if held is None else Pair(held.value, held.etag) for held in found]

    async def look(self, key: str, *, deadline: Deadline) -> Pair | None:
        self._check()
        held = self._find(key, self._now_ms())
        return None if held is None else Pair(*held)

    async def left_ms(self, key: str, *, deadline: Deadline) -> int | None:
        self._check()
        now_ms = self._now_ms()
        held = self._find(key, now_ms)
        if held is None:
            return None
        return KEEP_MS if held.end_ms is None else held.end_ms - now_ms

    # Writing

    async def put(self, put: Put, *, deadline: Deadline) -> str | None:
        self._check()
        with self._lock:
            now_ms = self._now_ms()
            held = self._find(put.key, now_ms)
            if put.expected is not None and put.expected != (ABSENT_TAG if held is None else held.etag):
                return None
            self._check_room([put.key])
            return self._put(put, held, now_ms)

    async def put_many(self, puts: Sequence[Put], *, deadline: Deadline) -> list[str]:
        self._check()
        with self._lock:
            now_ms = self._now_ms()
            self._check_room([put.key for put in puts])
            return [self._put(put, self._find(put.key, now_ms), now_ms) for put in puts]

    def _check_room(self, keys: Iterable[str]) -> None:
        """Before anything is changed."""
        if len(self._held) + len(more := {key for key in keys if key not in self._held}) <= self._max_entries:
            return
        self._sweep(len(self._held), exact=True)
        if len(self._held) + len(more) > self._max_entries:
            raise StorageError(
                f"state in memory is full: it holds {len(self._held)} keys, and {self._max_entries} is the most. Delete keys, give them "
                "a shorter ttl, raise max_entries of StateConfig, or keep state in the database (backend='sql')",
                tier="memory",
            )

    def _put(self, put: Put, held: _Held | None, now_ms: int) -> str:
        end_ms = self._end_of(put.ttl_ms, held, now_ms)
        made = _Held(put.value, self._runtime.random_bytes(ETAG_BYTES).hex(), end_ms)
        self._keep(put.key, made)
        self._tell(put.key, "set", made)
        return made.etag

    @staticmethod
    def _end_of(ttl_ms: int | None, held: _Held | None, now_ms: int) -> int | None:
        if ttl_ms == KEEP_MS:
            return None if held is None else held.end_ms
        return None if ttl_ms is None else now_ms + ttl_ms

    def _keep(self, key: str, made: _Held) -> None:
        """In place of what is there, which may have ended."""
        before = self._held.get(key)
        if before is None:
            self._sorted.add(key)
            self._bytes += len(key) + len(made.value) + PAIR_BYTES
        else:
            self._bytes += len(made.value) - len(before.value)
        self._held[key] = made
        self._ends.move(key, None if before is None else before.end_ms, made.end_ms)

    def _drop(self, key: str) -> None:
        held = self._held.pop(key)
        self._ends.move(key, held.end_ms, None)
        self._bytes -= len(key) + len(held.value) + PAIR_BYTES

    def _remove(self, key: str, now_ms: int) -> _Held | None:
        """Take away what is there, and tell it. One that has ended is the sweep's."""
        held = self._find(key, now_ms)
        if held is not None:
            self._drop(key)
            self._tell(key, "delete", None)
        return held

    async def delete(self, key: str, *, expected: str | None = None, deadline: Deadline) -> bool | None:
        self._check()
        with self._lock:
            now_ms = self._now_ms()
            held = self._find(key, now_ms)
            if held is not None and expected is not None and expected != held.etag:
                return None
            return self._remove(key, now_ms) is not None

    async def delete_many(self, keys: Sequence[str], *, deadline: Deadline) -> int:
        self._check()
        with self._lock:
            now_ms = self._now_ms()
            return sum(self._remove(key, now_ms) is not None for key in keys)

    async def pop(self, key: str, *, deadline: Deadline) -> bytes | None:
        self._check()
        with self._lock:
            held = self._remove(key, self._now_ms())
            return None if held is None else held.value

    async def expire(self, key: str, ttl_ms: int | None, *, deadline: Deadline) -> bool:
        self._check()
        with self._lock:
            now_ms = self._now_ms()
            held = self._find(key, now_ms)
            if held is None:
                return False
            self._keep(key, held._replace(end_ms=self._end_of(ttl_ms, held, now_ms)))
            return True

    async def increment(self, key: str, by: int, ttl_ms: int | None, *, deadline: Deadline) -> int | None:
        self._check()
        with self._lock:
            now_ms = self._now_ms()
            held = self._find(key, now_ms)
            total = by if held is None else added(held.value, by)
            if total is not None:
                self._check_room([key])
                self._put(Put(key, b"%d" % total, ttl_ms if held is None else KEEP_MS), held, now_ms)
            return total

    # Many keys

    async def page(
        self, prefix: str, *, limit: int, after: str | None, deadline: Deadline
    ) -> tuple[list[str], str | None]:
        self._check()
        with self._lock:
            now_ms = self._now_ms()
            found: list[str] = []
            for key in self._sorted.under(prefix, after, self._held):
                if self._find(key, now_ms) is None:
                    continue
                if len(found) == limit:
                    return found, found[-1]
                found.append(key)
            return found, None

    async def delete_prefix(
        self, prefix: str, *, limit: int, after: str | None, deadline: Deadline
    ) -> tuple[int, str | None]:
        keys, following = await self.page(prefix, limit=limit, after=after, deadline=deadline)
        return await self.delete_many(keys, deadline=deadline), following

    # Changes

    async def watch(self, prefix: str, *, deadline: Deadline) -> Feed:
        self._check()
        feed = MemoryFeed(self._runtime, prefix, self._leave)
        with self._lock:
            self._feeds = [*self._feeds, feed]
        return feed

    def _leave(self, feed: MemoryFeed) -> None:
        with self._lock:
            self._feeds = [each for each in self._feeds if each is not feed]

    def _tell(self, key: str, kind: Literal["set", "delete", "expire"], made: _Held | None) -> None:
        self._told += 1
        for feed in self._feeds:
            if key.startswith(feed.prefix):
                etag, end_ms = (None, None) if made is None else made[1:]
                feed.tell(Changed(key, kind, etag, end_ms, str(self._told)))

    # What ends

    def jobs(self) -> Mapping[str, Job]:
        return {"sweep": self._sweep_step}

    async def _sweep_step(self) -> float:
        with self._lock:
            swept = self._sweep(SWEPT_AT_ONCE)
        return 0.0 if swept == SWEPT_AT_ONCE else SWEEP_EVERY_S

    def _sweep(self, limit: int, *, exact: bool = False) -> int:
        keys = self._ends.take_due(self._now_ms(), limit, exact=exact)
        for key in keys:
            self._drop(key)
            self._tell(key, "expire", None)
        self.expired += len(keys)
        return len(keys)

    # What it is and how it fares

    async def warnings(self, deadline: Deadline) -> Sequence[str]:
        return ("state is in memory: it is gone when this process ends, and no other process sees it",)

    async def counts(self, deadline: Deadline) -> PairCounts:
        self._check()
        return PairCounts(*self.size(), self.expired)

    def size(self) -> tuple[int, int]:
        """How many pairs there are, and about how many bytes they take."""
        return len(self._held), self._bytes

    async def ping(self, deadline: Deadline) -> str:
        self._check()
        return "memory"

    async def close(self, deadline: Deadline) -> None:
        with self._lock:
            self._closed = True
            self._held = {}
            feeds, self._feeds = self._feeds, []
        for feed in feeds:
            await feed.close()
