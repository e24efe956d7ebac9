"""The carrier between processes on one SQLite file: PRAGMA data_version (2.9 µs), and the outbox where that has changed.

data_version is asked on the writer's connection, so that this process's own commits do not count. It is read before the outbox: what is
committed between the two is seen twice, never missed. ids are given in commit order without gaps, so a hole is a row that was trimmed.
"""

from __future__ import annotations

from typing import Protocol

import orjson

from tierstore.backends import Change, Event, Gap, Invalidated, Params, Row
from tierstore.backends.polled_channel import PolledChannel
from tierstore.runtime import Deadline, Runtime


class WatchedFile(Protocol):
    """What the carrier asks of `sqlite.SqliteRecords`."""

    async def data_version(self, deadline: Deadline) -> int: ...
    async def fetch(self, query: str, params: Params = ..., *, deadline: Deadline) -> list[Row]: ...
    async def ping(self, deadline: Deadline) -> str: ...


class SqliteChannel(PolledChannel):
    """Delivers what other processes wrote since `open`, and what this one wrote between two of their writes."""

    name = "sqlite"

    def __init__(self, runtime: Runtime, records: WatchedFile) -> None:
        super().__init__(runtime, records)
        self._records = records
        self._data_version = 0
        self._last_id = 0

    async def open(self, deadline: Deadline) -> None:
        self._data_version = await self._records.data_version(deadline)
        rows = await self._records.fetch("outbox.poll", {"since": 2**62}, deadline=deadline)
        self._last_id = rows[0][0]

    async def _poll(self, deadline: Deadline) -> list[Event]:
        data_version = await self._records.data_version(deadline)
        if data_version == self._data_version:
            return []
        events = await self._read_outbox(deadline)
        self._data_version = data_version
        return events

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
