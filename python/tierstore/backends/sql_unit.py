"""What an open transaction is on both engines: queries by name, savepoints, and when it may be used no more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tierstore import errors
from tierstore.backends import Params, Row
from tierstore.runtime import Deadline, generation

NOTHING: Params = {}
Answered = tuple[list[Row], int]
"""A statement's rows, and how many rows it changed."""


class SqlUnit(ABC):
    """The engine's half is `_run`, `execute_many`, and whatever begins and ends it. `ended` is set by whoever ends it."""

    def __init__(self, queries: Mapping[str, str], deadline: Deadline) -> None:
        self._queries = queries
        self._deadline = deadline
        self._generation = generation()
        self._savepoints = 0
        self.ended = False
        self.position: str | None = None

    @abstractmethod
    async def _run(self, name: str, sql: str, params: Params | None) -> Answered:
        """One statement; its errors are translated under `name`."""

    async def fetch(self, query: str, params: Params = NOTHING) -> list[Row]:
        return (await self._run(query, self._queries[query], params))[0]

    async def execute(self, query: str, params: Params = NOTHING) -> int:
        return (await self._run(query, self._queries[query], params))[1]

    async def fence(self) -> int:
        return int((await self.fetch("protocol.fence"))[0][0])

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        self._savepoints += 1
        name = f"s{self._savepoints}"
        await self._run("SAVEPOINT", f"SAVEPOINT {name}", None)
        try:
            yield
        except Exception:
            await self._run("ROLLBACK", f"ROLLBACK TO {name}", None)
            await self._run("RELEASE", f"RELEASE {name}", None)
            raise
        await self._run("RELEASE", f"RELEASE {name}", None)

    def _check(self) -> None:
        """ClosedError once it has ended, or in a forked child; TimeoutError past its deadline."""
        if self.ended:
            raise errors.ClosedError("the transaction has ended: begin another", tier="database")
        if self._generation != generation():
            raise errors.ClosedError("the process forked inside this transaction: begin another here", tier="database")
        self._deadline.check("in a transaction")
