"""The carrier without Redis on PostgreSQL: every process polls the retained outbox.

A poll reads the rows of all transactions that had not ended at the last poll (xid from its snapshot's xmin on), but for those it has
seen: ids are not given in commit order, so reading above the highest id would lose a row that commits late. A poll that succeeds is
the echo: its snapshot saw everything that was committed before it was sent. Trimming writes down what it removed; a poller that was
away so long that it may have missed a removed row says Gap. So does one that finds another server with another identity there: a
replica that was promoted may lack what the old primary had.
"""

from __future__ import annotations

from typing import Protocol

from tierstore.backends import Change, Event, Gap, Invalidated, Params, Row
from tierstore.backends.polled_channel import PolledChannel
from tierstore.runtime import Deadline, Runtime

NO_ROW = 2**62


class WatchedRecords(Protocol):
    """What the carrier asks of `postgres.PostgresRecords`."""

    async def watch(self, query: str, params: Params, deadline: Deadline) -> list[Row]: ...
    async def identity(self, deadline: Deadline) -> str: ...
    async def ping(self, deadline: Deadline) -> str: ...


class OutboxChannel(PolledChannel):
    """Delivers what every process wrote since `open`, this one included: a change that is known already does no harm."""

    name = "outbox"

    def __init__(self, runtime: Runtime, records: WatchedRecords) -> None:
        super().__init__(runtime, records)
        self._records = records
        self._since = 0
        self._seen: dict[int, int] = {}
        self._identity: str | None = None
        self._server: str | None = None

    async def open(self, deadline: Deadline) -> None:
        self._identity = await self._records.identity(deadline)
        rows = await self._records.watch("outbox.poll", {"since": NO_ROW, "seen": []}, deadline)
        self._since, _, self._server = rows[0][:3]
        # Rows of transactions that are still running then, or ended between: the next poll brings them.

    async def _poll(self, deadline: Deadline) -> list[Event]:
        rows = await self._records.watch("outbox.poll", {"since": self._since, "seen": list(self._seen)}, deadline)
        xmin, trimmed, server = rows[0][:3]
        if server != self._server:
            identity = await self._records.identity(deadline)
            was, self._identity, self._server = self._identity, identity, server
            if identity != was:
                self._since, self._seen = 0, {}
                return [
                    Gap(f"the database changed: it is {identity} now and was {was} before"),
                    *await self._poll(deadline),
                ]
        events: list[Event] = []
        if trimmed >= self._since > 0:
            events.append(
                Gap(
                    f"outbox rows up to transaction {trimmed} were removed, but only those up to {self._since} were read"
                )
            )
        changes: list[Change] = []
        for _, _, _, number, xid, keys, versions in rows:
            if number is not None:
                self._seen[number] = xid
                changes += map(Change, keys, versions)
        self._since = xmin
        self._seen = {number: xid for number, xid in self._seen.items() if xid >= xmin}
        return [*events, Invalidated(tuple(changes))] if changes else events
