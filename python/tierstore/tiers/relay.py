"""The relay: delivers what writers did not get delivered, and answers the pings (rules 2 and 5). One at a time over a database.

A step takes the waiting pings, delivers every outbox row that is committed then and not marked, and only then echoes the pings: so an
echo says that L2 and the channel know everything that was committed before its ping. It says so only if the server that was told still
reigns afterwards.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import orjson

from tierstore.backends import Answering, Change, Records, Row, Unit
from tierstore.errors import ConnectionError
from tierstore.plan.invalidate import merged
from tierstore.runtime import Deadline, Runtime
from tierstore.tiers.delivery import Delivery
from tierstore.tiers.freshness import HORIZON_S
from tierstore.tiers.invalidation import Invalidation
from tierstore.tiers.stats import Counters

EVERY_S = HORIZON_S / 8
STEP_BUDGET_S = 5.0
BATCH_ROWS = 500
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
        self._active = has_l2 or answering is not None
        self._trim_at = 0.0

    async def step(self) -> float:
        """One turn; returns the seconds until the next."""
        deadline = self._runtime.deadline(STEP_BUDGET_S)
        if self._active:
            await self._invalidation.check_epoch(deadline)
            await self._relay(deadline)
        now = self._runtime.monotonic()
        if now >= self._trim_at:
            self._trim_at = now + HOUSEKEEPING_S
            await self._trim(deadline)
        return EVERY_S if self._active else HOUSEKEEPING_S

    async def _relay(self, deadline: Deadline) -> None:
        async with AsyncExitStack() as stack:
            unit: Unit | None = None
            if (
                self._records.dialect == "postgres"
            ):  # on SQLite a transaction would be a write; two relays do no harm there
                unit = await stack.enter_async_context(self._records.housekeeping(deadline=deadline))
                if not await unit.fetch("outbox.claim_relay"):
                    return
            taken_at, reign = self._runtime.monotonic(), self._delivery.reign()
            pings = [] if self._answering is None else await self._answering.take_pings(deadline=deadline)
            await self._deliver_all(unit, reign, deadline)
            await self._check(reign, deadline)
        self._invalidation.on_l2_echo(taken_at)
        if self._answering is not None:
            await self._answering.echo(pings, deadline=deadline)

    async def _check(self, reign: int, deadline: Deadline) -> None:
        """ConnectionError where another server took over: what this step has told the one before counts for nothing."""
        if not await self._delivery.still_reigns(reign, deadline):
            raise ConnectionError("another server of L2 took over while changes were delivered", tier="l2")

    async def _deliver_all(self, unit: Unit | None, reign: int, deadline: Deadline) -> None:
        while True:
            params = {"limit": BATCH_ROWS}
            if unit is not None:
                rows = await unit.fetch("outbox.undelivered", params)
            else:
                rows = await self._records.fetch("outbox.undelivered", params, deadline=deadline, primary=True)
            if rows:
                await self._deliver(rows, unit, reign, deadline)
            if len(rows) < BATCH_ROWS:
                return

    async def _deliver(self, rows: list[Row], unit: Unit | None, reign: int, deadline: Deadline) -> None:
        changes = merged(Change(key, version) for row in rows for key, version in _pairs(row))
        await self._delivery.invalidate(changes, max(row[3] for row in rows), deadline)
        self._counters.redelivered += len(rows)
        params = {"ids": [row[0] for row in rows]}
        if unit is not None:
            await unit.execute("outbox.mark_delivered", params)
            return
        await self._check(reign, deadline)
        async with self._records.housekeeping(deadline=deadline) as own:
            await own.execute("outbox.mark_delivered", params)

    async def _trim(self, deadline: Deadline) -> None:
        """Remove old rows. Where nobody delivers, what is there counts as delivered: its readers poll the rows themselves."""
        async with self._records.housekeeping(deadline=deadline) as unit:
            if not self._active and (rows := await unit.fetch("outbox.undelivered", {"limit": TRIMMED_ROWS})):
                await unit.execute("outbox.mark_delivered", {"ids": [row[0] for row in rows]})
            await unit.execute("outbox.trim", {"keep_s": KEEP_S})


def _pairs(row: Row) -> list[tuple[str, int]]:
    keys: Any = row[1]
    versions: Any = row[2]
    if isinstance(keys, str):
        keys, versions = orjson.loads(keys), orjson.loads(versions)
    return list(zip(keys, versions, strict=True))
