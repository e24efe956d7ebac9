"""The texts of all schemas in this process's memory, for searches to look into (docs/design/score.md).

A schema's texts never change, so the index is only added to: before each search whatever the database has and it has not. Rows that were
deleted stay in it; the database says of each row proposed whether it is still there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from tierstore._native import Proposal, SearchIndex
from tierstore.backends import Row
from tierstore.calls.scope import Fetch
from tierstore.plan.keys import Namespace
from tierstore.plan.search import GRADES, Key
from tierstore.runtime import Deadline, Runtime
from tierstore.stores.schemas.search.columns import ID, REGISTERED_AT, SEEN, indexed_of
from tierstore.tiers.engine import Engine

PAGE_ROWS = 4_096
READING_SHARE = 0.5
"""Of the time that a search has, what it may spend on reading in; then the database answers it, and the next search reads on."""
LOOK_S = 0.01
"""How often a search looks whether another one has read in what it waits for."""
FEW_ROWS = 64
"""So many are added where the caller runs, if no other thread reads the index; more on a thread of the runtime."""

log = logging.getLogger("tierstore")


class Position(NamedTuple):
    """How far the rows were read. They lie in the order of the transactions that registered them; on SQLite, which has one writer at a
    time, in their own.

    `seen`: all rows that this snapshot of the server sees are read. `at`, `id`: behind which row to go on. `until`: what the server's
    snapshot was when this run through the rest began; empty at a run's beginning.
    """

    seen: str | None = None
    at: int = 0
    id: str = "00000000-0000-0000-0000-000000000000"
    until: str = ""

    def params(self) -> dict[str, Any]:
        """Those of `schemas_search.added`."""
        return {"seen": self.seen, "at": self.at, "id": self.id, "limit": PAGE_ROWS}

    def behind(self, snapshot: str, rows: Sequence[Row]) -> Position:
        """After a page of rows. A transaction that committed during a run of several pages may lie before the place that it had come
        to, so a run's end counts for what was there when it began."""
        at, identifier = (rows[-1][REGISTERED_AT], rows[-1][ID]) if rows else (self.at, self.id)
        until = self.until or snapshot
        if len(rows) == PAGE_ROWS:
            return Position(self.seen, at, identifier, until)
        if not until:
            return Position(None, at, identifier)
        return Position(until, int(until.split(":")[0]))


class _Copy:
    """What was read of one database."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.index: SearchIndex | None = SearchIndex()
        self.position = Position()
        self.is_reading = False


class TextIndex:
    """One for a store, of at most `limits.search_bytes` (256 MiB are some 300,000 schemas): with more text the database searches alone.

    Safe for threads and tasks: every position is that of rows which are in the index.
    """

    def __init__(self, engine: Engine, runtime: Runtime) -> None:
        self._engine = engine
        self._runtime = runtime
        self._copy = _Copy(engine.namespace)

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        index = self._copy.index
        return 0 if index is None else index.bytes

    async def ready(self, text: str, fetch: Fetch, deadline: Deadline) -> Proposer | None:
        """With every row that `fetch` sees now. None while there is much to read, and for a text that it cannot look for."""
        copy = self._copy
        if copy.namespace != self._engine.namespace:  # another database, or this one after a promotion
            self._copy = copy = _Copy(self._engine.namespace)
        if not self._engine.limits.search_bytes or copy.index is None or not copy.index.can_search(text):
            return None
        if not await self._caught_up(copy, fetch, deadline) or copy.index is None:
            return None
        return Proposer(copy.index, self._runtime, deadline)

    async def _caught_up(self, copy: _Copy, fetch: Fetch, deadline: Deadline) -> bool:
        """Read what the index lacks; False if something is left. Where that is much, one search reads and the others wait for it."""
        until = deadline.within(deadline.remaining() * READING_SHARE)
        while until.remaining() and copy.index is not None:
            start = copy.position
            page = await fetch("schemas_search.added", start.params())
            if len(page) < PAGE_ROWS:
                if await self._take(copy, start, page, deadline):
                    return True
            elif not copy.is_reading:
                await self._read_in(copy, fetch, deadline, until)
            else:
                await self._other_reads(copy, until)
        return False

    async def _other_reads(self, copy: _Copy, until: Deadline) -> None:
        while copy.is_reading and until.remaining():
            await self._runtime.sleep(LOOK_S)

    async def _read_in(self, copy: _Copy, fetch: Fetch, deadline: Deadline, until: Deadline) -> None:
        copy.is_reading = True
        try:
            while until.remaining() and copy.index is not None:
                start = copy.position
                if await self._take(copy, start, await fetch("schemas_search.added", start.params()), deadline):
                    return
        finally:
            copy.is_reading = False

    async def _take(self, copy: _Copy, start: Position, page: Sequence[Row], deadline: Deadline) -> bool:
        """Add the rows of a page that was read from a position on; whether that was all there is."""
        rows = [row for row in page if row[ID] is not None]
        if copy.index is None:
            return False
        await self._add(copy.index, rows, deadline)
        if copy.index.bytes > (most := self._engine.limits.search_bytes):
            log.warning(
                "The search index would need more than search_bytes=%d. Searches ask the database instead.", most
            )
            copy.index = None
        copy.position = start.behind(page[0][SEEN] if page else "", rows)
        return len(rows) < PAGE_ROWS and not start.until

    async def _add(self, index: SearchIndex, rows: Sequence[Row], deadline: Deadline) -> None:
        given = [indexed_of(row) for row in rows]
        if given and not (len(given) <= FEW_ROWS and index.try_add(given)):
            await self._runtime.call(index.add, given, deadline=deadline)


class Proposer:
    """The index for one search."""

    def __init__(self, index: SearchIndex, runtime: Runtime, deadline: Deadline) -> None:
        self._index = index
        self._runtime = runtime
        self._deadline = deadline

    async def propose(self, text: str, grade: str, after: Key, limit: int) -> Proposal:
        """At most `limit` rows of a grade behind a key, in order, every hit of the grade before the last of them among them."""
        number = GRADES.index(grade)
        if grade == "similar":  # tens of milliseconds, where next to nothing is similar
            return await self._runtime.call(self._index.propose, text, number, after, limit, deadline=self._deadline)
        return self._index.propose(text, number, after, limit)
