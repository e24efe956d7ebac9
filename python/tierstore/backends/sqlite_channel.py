"""The carrier between processes on one SQLite file: PRAGMA data_version (2.9 µs), and the outbox where that has changed.

data_version is asked on the writer's connection, so that this process's own commits do not count. It is read before the outbox: what is
committed between the two is seen twice, never missed. ids are given in commit order without gaps, so a hole is a row that was trimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import orjson

from tierstore.backends import Change, Echo, Event, Gap, Invalidated, Params, Row
from tierstore.runtime import Deadline, Runtime

POLL_S = 0.2
POLL_BUDGET_S = 1.0


class WatchedFile(Protocol):
    """What the carrier asks of `sqlite.SqliteRecords`."""

    async def data_version(self, deadline: Deadline) -> int: ...
    async def fetch(self, query: str, params: Params = ..., *, deadline: Deadline) -> list[Row]: ...
    async def ping(self, deadline: Deadline) -> str: ...


class SqliteChannel:
    """Delivers what other processes wrote since `open`, and what this one wrote between two of their writes."""

    name = "sqlite"

    def __init__(self, runtime: Runtime, records: WatchedFile) -> None:
        self._runtime = runtime
        self._records = records
        self._data_version = 0
        self._last_id = 0
        self._next_poll = 0.0

    async def open(self, deadline: Deadline) -> None:
        self._data_version = await self._records.data_version(deadline)
        rows = await self._records.fetch("outbox.poll", {"since": 2**62}, deadline=deadline)
        self._last_id = rows[0][0]

    async def publish(self, changes: Sequence[Change], *, deadline: Deadline) -> None:
        """Nothing to do: the write's own transaction put its row there."""

    async def receive(self, *, wait_s: float) -> list[Event]:
        """At most one poll, POLL_S after the one before."""
        due = self._next_poll - self._runtime.monotonic()
        if due > wait_s:
            await self._runtime.sleep(wait_s)
            return []
        if due > 0:
            await self._runtime.sleep(due)
        sent_at = self._runtime.monotonic()
        self._next_poll = sent_at + POLL_S
        deadline = self._runtime.deadline(POLL_BUDGET_S)
        data_version = await self._records.data_version(deadline)
        if data_version == self._data_version:
            return [Echo(sent_at)]
        events = await self._read_outbox(deadline)
        self._data_version = data_version
        return [*events, Echo(sent_at)]

    async def _read_outbox(self, deadline: Deadline) -> list[Event]:
        rows = await self._records.fetch("outbox.poll", {"since": self._last_id}, deadline=deadline)
        last_id = rows[0][0]
        found = [row for row in rows if row[1] is not None]
        events: list[Event] = []
        if last_id - self._last_id != len(found):
            events.append(Gap(f"outbox rows after {self._last_id} were removed before this process read them"))
        changes = [change for row in found for change in map(Change, orjson.loads(row[2]), orjson.loads(row[3]))]
        if changes:
            events.append(Invalidated(tuple(changes)))
        self._last_id = last_id
        return events

    async def ping(self, deadline: Deadline) -> str:
        return await self._records.ping(deadline)

    async def close(self, deadline: Deadline) -> None:
        """The connection is the driver's, which closes it."""
