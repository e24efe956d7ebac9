"""L2 as the engine sees it: encoded records under fences (rule 3). A failure of it is a counted miss, never an error.

The driver keeps the budgets (50 ms for what a reader waits for) and the breaker; here every refusal becomes "nothing there".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tierstore import codec
from tierstore._native import is_for_newer
from tierstore.backends import Change, Fill, KeyValue
from tierstore.backends import Lease as Granted
from tierstore.errors import CorruptError, StorageError
from tierstore.records import Record
from tierstore.runtime import Deadline, Runtime
from tierstore.tiers.absent import Absent
from tierstore.tiers.kind import ABSENT_TTL_S, NOWHERE, Loaded
from tierstore.tiers.miss import Lease, Miss
from tierstore.tiers.stats import KindCounters

LEASE_MS = 2_000
"""A load that takes longer is taken over, so a loader that was killed holds the others up for so long at most."""
TOKEN_BYTES = 16


class Shared:
    """Reads and fills of L2, for one kind, whose counters it keeps."""

    def __init__(
        self,
        runtime: Runtime,
        key_value: KeyValue,
        counters: KindCounters,
        *,
        ttl_s: float,
        is_fresh: Callable[[], bool],
    ) -> None:
        """`is_fresh`: whether L2 is to be believed. Asked again with each answer, which another server may have given."""
        self._is_fresh = is_fresh
        self._runtime = runtime
        self._key_value = key_value
        self._counters = counters
        self.ttl_s = ttl_s

    async def get_many(self, keys: list[str], deadline: Deadline) -> list[bytes | None] | None:
        """One MGET; None if L2 did not answer, or is not to be believed."""
        try:
            found = await self._key_value.get_many(keys, deadline=deadline)
        except StorageError:
            self._counters.l2_failures += 1
            return None
        return found if self._is_fresh() else None

    async def lease_many(
        self, misses: Sequence[Miss], deadline: Deadline, *, trusted: bool
    ) -> tuple[bytes, list[Granted]] | None:
        """The token, and a value or a lease or neither for each; None if L2 did not answer. `trusted`: what L2 had before is believed."""
        token, keys = self._runtime.random_bytes(TOKEN_BYTES), [miss.l2_key for miss in misses]
        seen = [miss.seen for miss in misses]
        try:
            leases = await self._key_value.lease_many(
                keys, token=token, lease_ms=LEASE_MS, deadline=deadline, trusted=trusted, seen=seen
            )
        except StorageError:
            self._counters.l2_failures += 1
            return None
        if trusted and not self._is_fresh():  # it looks again, and trusts what it had before no more
            leases = [lease if lease.handed_over else lease._replace(value=None) for lease in leases]
        return token, leases

    async def release(self, leases: Sequence[tuple[str, Lease]], deadline: Deadline) -> None:
        """Give up leases whose load failed, so that another process need not wait for their end."""
        by_token: dict[bytes, list[str]] = {}
        for key, lease in leases:
            by_token.setdefault(lease.token, []).append(key)
        try:
            for token, keys in by_token.items():
                await self._key_value.release_many(keys, token=token, deadline=deadline)
        except StorageError:
            self._counters.l2_failures += 1

    async def discard(self, keys: list[str], deadline: Deadline) -> None:
        """Drop values that cannot be read, so that they are loaded anew. No floor rises: nothing was written."""
        try:
            await self._key_value.invalidate([Change(key, 0) for key in keys], floor=0, deadline=deadline)
        except StorageError:
            self._counters.l2_failures += 1

    async def fill_landed(
        self, flights: Sequence[Miss], loaded: Loaded, ttl_s: float | None, deadline: Deadline
    ) -> None:
        """What was loaded for those that have a lease. `ttl_s`: the kind's own."""
        fills: list[Fill] = []
        for flight in flights:
            if flight.lease is not None:
                found = loaded.values.get(flight.key, NOWHERE)
                seen = (loaded.as_of, loaded.ceiling)
                fills.append(
                    self.fill(flight.l2_key, flight.lease, found.record, found.version, seen, ttl_s or self.ttl_s)
                )
        await self.fill_many(fills, deadline)

    async def fill_many(self, fills: list[Fill], deadline: Deadline) -> None:
        try:
            accepted = await self._key_value.fill_many(fills, deadline=deadline)
        except StorageError:
            self._counters.l2_failures += 1
            return
        taken = sum(accepted)
        self._counters.l2_fills += taken
        self._counters.l2_fills_refused += len(accepted) - taken

    def absence(self, key: str, buffer: bytes) -> int | None:
        """The version of an absence; None for bytes that are damaged, of another revision, or of another key."""
        try:
            return codec.decode_current(buffer, Absent, key=key.encode()).row_version
        except CorruptError:
            self._counters.l2_corrupt += 1
            return None

    def is_damaged(self, key: str, buffer: bytes, record: type[Record]) -> bool:
        """Whether what could not be read is for nobody to read.

        What newer code wrote for its like is left alone: dropped and filled anew by either code in turn, it would serve neither.
        """
        return not is_for_newer(buffer, record, key=key.encode())

    def fill(
        self, key: str, lease: Lease, record: Record | None, version: int, seen: tuple[int, int], ttl_s: float
    ) -> Fill:
        """One value on its way into L2. `seen`: the read's as_of and ceiling."""
        kept: Any = Absent(row_version=version) if record is None else record
        value = codec.encode(kept, key=key.encode())
        ttl_ms = int((ABSENT_TTL_S if record is None else ttl_s) * 1000)
        revision = type(kept).__revision__
        hand_over_ms = LEASE_MS if lease.hands_over else 0
        return Fill(key, lease.token, value, version, revision, *seen, lease.seeding, ttl_ms, hand_over_ms)
