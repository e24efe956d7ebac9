"""Where the database's log stands after a write: many writers share one question."""

from __future__ import annotations

from tierstore.backends import Records
from tierstore.runtime import Deadline, Runtime
from tierstore.tiers.coalesce import Coalescer, settle
from tierstore.tiers.flight import Flight


class Positions:
    """On SQLite a write's fence is its position; PostgreSQL is asked after the commit."""

    def __init__(self, runtime: Runtime, records: Records) -> None:
        self._runtime = runtime
        self._records = records
        self._asking = Coalescer(runtime, self._ask, lanes=1)

    async def after(self, fence: int, deadline: Deadline) -> str:
        """A position at or behind the commit that returned just now."""
        if self._records.dialect == "sqlite":
            return str(fence)
        flight = Flight(None, None, 0)
        await self._asking.take([flight], deadline)
        await settle(self._runtime, flight, (self._asking,), deadline)
        return str(flight.result())

    async def _ask(self, flights: list[Flight], deadline: Deadline) -> None:
        position = await self._records.position(deadline)
        for flight in flights:
            flight.land(position)
