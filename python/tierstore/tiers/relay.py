"""The relay: delivers what writers did not get delivered, and answers the pings (rules 2 and 5). One at a time over a database.

A turn takes the waiting pings, delivers every outbox row that is committed then and not marked, and only then echoes the pings: so an
echo says that L2 and the channel know everything that was committed before its ping, and that the database is the one that it was. It
says so only if the server that was told still reigns afterwards. A turn costs one round trip to the database, so that pings are echoed in
time while that is slow; the marks follow by themselves. Who takes the pings relays. The others ask the database nothing, but now and then
which one it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import orjson

from tierstore.backends import Answering, Change, Records, Row
from tierstore.errors import ConnectionError, StorageError
from tierstore.plan.invalidate import merged
from tierstore.runtime import Deadline, Runtime
from tierstore.tiers.delivery import Delivery
from tierstore.tiers.freshness import HORIZON_S
from tierstore.tiers.invalidation import Invalidation
from tierstore.tiers.stats import Counters

EVERY_S = HORIZON_S / 8
LOOK_EVERY_S = HORIZON_S / 2
STEP_BUDGET_S = 5.0
RETIRE_S = 0.25
BATCH_ROWS = 500
FIRST = -1
"""Below every id of the outbox."""
TRIMMED_ROWS = 50_000
HOUSEKEEPING_S = 10.0
KEEP_S = 10 * HORIZON_S
"""Outbox rows are kept this long for the carriers that read them."""


def answering_of(channel: object) -> Answering | None:
    """The relay's side of a channel, where it has one."""
    return channel if isinstance(channel, Answering) else None


class Relay:
    """`answering` None: no pings come (the carriers read the outbox themselves), and rows need only be marked and trimmed."""

    def __init__(
        self,
        runtime: Runtime,
        records: Records,
        delivery: Delivery,
        counters: Counters,
        answering: Answering | None,
        invalidation: Invalidation,
        *,
        has_l2: bool,
    ) -> None:
        self._runtime = runtime
        self._records = records
        self._delivery = delivery
        self._counters = counters
        self._answering = answering
        self._invalidation = invalidation
        self._look_at = 0.0
        self._opening = True
        self.active = has_l2 or answering is not None

    async def step(self) -> float:
        """One turn; returns the seconds until the next. The first one is this process's own, whoever relays: it shows how L2 is."""
        deadline = self._runtime.deadline(STEP_BUDGET_S)
        taken_at, reign = self._runtime.monotonic(), self._delivery.reign()
        pings = [] if self._answering is None else await self._answering.take_pings(deadline=deadline)
        if pings is not None or self._opening:
            await self._turn(taken_at, pings or [], reign, deadline)
        elif taken_at >= self._look_at:
            self._look_at = taken_at + LOOK_EVERY_S
            await self._invalidation.check_epoch(deadline)
        return max(0.0, taken_at + EVERY_S - self._runtime.monotonic())

    async def _turn(self, taken_at: float, pings: Sequence[bytes], reign: int, deadline: Deadline) -> None:
        if not await self._deliver_all(reign, deadline):
            return  # whoever pinged, pinged for another database
        if not await self._delivery.still_reigns(reign, deadline):
            raise ConnectionError("another server of L2 took over while changes were delivered", tier="l2")
        self._opening = False
        self._invalidation.on_l2_echo(taken_at)
        if self._answering is not None:
            await self._answering.echo(pings, deadline=deadline)

    async def _deliver_all(self, reign: int, deadline: Deadline) -> bool:
        """One round trip, for fewer rows than a batch. False: it is another database than before."""
        after = FIRST
        while True:
            known = self._delivery.marking(reign)
            identity, rows = await self._records.undelivered(after=after, limit=BATCH_ROWS, deadline=deadline)
            if self._invalidation.is_moved_by(identity):
                return False
            known |= self._delivery.marking(reign)
            if new := [row for row in rows if row[0] not in known]:
                await self._deliver(new, reign, deadline)
            if len(rows) < BATCH_ROWS:
                return True
            after = rows[-1][0]

    async def _deliver(self, rows: list[Row], reign: int, deadline: Deadline) -> None:
        changes = merged(Change(key, version) for row in rows for key, version in _pairs(row))
        await self._delivery.invalidate(changes, max(row[3] for row in rows), deadline)
        self._counters.redelivered += len(rows)
        self._delivery.mark_later([row[0] for row in rows], reign)

    async def trim(self) -> float:
        """The job: remove old rows. Where nobody delivers, what is there counts as delivered: its readers poll the rows themselves."""
        deadline = self._runtime.deadline(STEP_BUDGET_S)
        if not self.active:
            await self._records.execute("outbox.mark_all", {"limit": TRIMMED_ROWS}, deadline=deadline)
        await self._records.execute("outbox.trim", {"keep_s": KEEP_S}, deadline=deadline)
        return HOUSEKEEPING_S

    async def close(self, deadline: Deadline) -> None:
        """Another process relays from now on."""
        if self._answering is not None:
            with contextlib.suppress(StorageError):
                await self._answering.retire(deadline=deadline.within(RETIRE_S))


def _pairs(row: Row) -> list[tuple[str, int]]:
    keys: Any = row[1]
    versions: Any = row[2]
    if isinstance(keys, str):
        keys, versions = orjson.loads(keys), orjson.loads(versions)
    return list(zip(keys, versions, strict=True))
