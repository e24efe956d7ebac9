"""What an open transaction is on both engines: queries by name, savepoints, and when it may be used no more."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from tierstore import errors
from tierstore.backends import Fenced, Params, Row, Unit
from tierstore.backends.rows import fenced, past_fence
from tierstore.runtime import Deadline, generation
from tierstore.sql import Query
from tierstore.sql.query import parameters

NOTHING: Params = {}
Answered = tuple[list[Row], int]
"""A statement's rows, and how many rows it changed."""


_call: ContextVar[tuple[weakref.ref[Any], Deadline] | None] = ContextVar("tierstore_call_in_transaction", default=None)
"""The deadline of the call that is under way, which may be sooner than that of its transaction, and that transaction: a Ctrl-C may leave
it set, and no other transaction heeds it."""


@contextmanager
def call_until(unit: Unit, deadline: Deadline) -> Iterator[None]:
    """Statements of the transaction in the block end by `deadline`, too. One that did not is left, and the transaction is over."""
    token = _call.set((weakref.ref(unit), deadline))
    try:
        yield
    finally:
        _call.reset(token)


class SqlUnit(ABC):
    """The engine's half is `_run`, `execute_many`, and whatever begins and ends it. `ended` is set by whoever ends it, `late` with it where
    a statement was left at its deadline."""

    def __init__(self, queries: Mapping[str, Query], deadline: Deadline) -> None:
        self._queries = queries
        self._whole = deadline
        self._generation = generation()
        self._savepoints = 0
        self.ended = self.late = False
        self.position: str | None = None

    @property
    def _deadline(self) -> Deadline:
        """The sooner of the transaction's and the call's."""
        call = _call.get()
        if call is None or call[0]() is not self or self._whole.at <= call[1].at:
            return self._whole
        return call[1]

    def _left(self) -> None:
        self.ended = self.late = True

    def check_whole(self) -> None:
        """TimeoutError, before the commit, if a statement was left: nothing of the transaction is kept."""
        if self.late:
            raise errors.TimeoutError(
                "a call in the transaction did not end by its deadline, so nothing of the transaction was kept; give the call a longer "
                "timeout=",
                tier="database",
            )

    @abstractmethod
    async def _run(self, name: str, sql: str, params: Params | None) -> Answered:
        """One statement; its errors are translated under `name`."""

    async def fetch(self, query: str, params: Params = NOTHING) -> list[Row]:
        """Rows without their fence, if the query has one."""
        found = self._queries[query]
        rows = (await self._answer(query, found, params))[0]
        return past_fence(rows) if found.fenced else rows

    async def fetch_fenced(self, query: str, params: Params = NOTHING) -> Fenced:
        """As `Records.fetch_fenced`, of what this transaction sees."""
        found = self._queries[query]
        return fenced(query, found, (await self._answer(query, found, params))[0])

    async def execute(self, query: str, params: Params = NOTHING) -> int:
        return (await self._answer(query, self._queries[query], params))[1]

    async def _answer(self, name: str, query: Query, params: Params) -> Answered:
        """As the query's head says."""
        if query.first is not None:
            await self.execute(query.first, _those_of(self._queries[query.first], params))
        if query.each:
            return await self._answer_each(name, query, params)
        return await self._run(name, query.text, params) if query.text else ([], 0)

    async def _answer_each(self, name: str, query: Query, params: Params) -> Answered:
        """Once for every place in the lists."""
        rows: list[Row] = []
        changed = 0
        for values in zip(*_those_of(query, params).values(), strict=True):
            found, count = await self._run(name, query.text, dict(zip(parameters(query.text), values, strict=True)))
            rows += found
            changed += count
        return rows, changed

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
            if not self.late:
                await self._run("ROLLBACK", f"ROLLBACK TO {name}", None)
                await self._run("RELEASE", f"RELEASE {name}", None)
            raise
        await self._run("RELEASE", f"RELEASE {name}", None)

    def _check(self) -> None:
        """ClosedError once it has ended, or in a forked child; TimeoutError past its deadline, and once a statement was left."""
        self.check_whole()
        if self.ended:
            raise errors.ClosedError("the transaction has ended; begin another one", tier="database")
        self.check_own()
        self._deadline.check("in a transaction")

    @property
    def is_inherited(self) -> bool:
        """Whether this is a forked child of the process that began it: it must say nothing on the connection, not even ROLLBACK."""
        return self._generation != generation()

    def check_own(self) -> None:
        """ClosedError in a forked child."""
        if self.is_inherited:
            raise errors.ClosedError(
                "the process forked inside this transaction; begin another one in the child", tier="database"
            )


def _those_of(query: Query, params: Params) -> Params:
    """Those parameters that the query names."""
    return {name: params[name] for name in parameters(query.text)}
