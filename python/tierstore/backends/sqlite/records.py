"""`Records` on SQLite, by the standard library: one file, many readers, one writer, and `staging.db` beside it.

Point reads run where the caller is, on the event loop too (4 µs; a thread would cost 33 µs); queries marked `-- slow`, and those that
find another process in the way, run on a thread. Writes go through `sqlite_writer`. A write transaction raises the one row_version
counter when it begins, so that its statements take their version from there.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Literal, TypeVar

from tierstore import errors
from tierstore.backends import Fenced, Params, PoolStats, Row, Undelivered, forks
from tierstore.backends.rows import alone, fenced, past_fence
from tierstore.backends.sql_unit import NOTHING, Answered, SqlUnit
from tierstore.backends.sqlite.connection import REFUSALS, Connection, is_busy, is_late, translate
from tierstore.backends.sqlite.file_lock import file_lock
from tierstore.backends.sqlite.readers import IDLE_MAX, Loan, Readers
from tierstore.backends.sqlite.writer import Writer, refused_commit
from tierstore.errors import raise_alone
from tierstore.runtime import Deadline, Runtime, drive, generation
from tierstore.sql import Query, load_queries

T = TypeVar("T")


class SqliteRecords:
    """The file `path` and, beside it, `staging.db`; the folder is made when it is missing.

    `queries`: those of `sql/sqlite`, unless others are given.
    """

    dialect: Literal["sqlite", "postgres"] = "sqlite"
    remote = False

    def __init__(self, runtime: Runtime, path: Path | str, *, queries: Mapping[str, Query] | None = None) -> None:
        self._runtime = runtime
        self._path = Path(path).absolute()
        self._queries = load_queries("sqlite") if queries is None else queries
        self._closed = False
        self._start()

    def _start(self) -> None:
        """Everything that belongs to one process."""
        self._generation = generation()
        self._writer = Writer(self._runtime, self._path)
        self._staging = Writer(self._runtime, self._path.with_name("staging.db"))
        self._readers = Readers(self._path, lambda: self._writer.held.check())
        self._opened = False

    async def open(self, deadline: Deadline) -> None:
        self._check()
        try:
            await self._runtime.call(self._connect, deadline=deadline)
        except (*REFUSALS, OSError) as error:
            raise_alone(errors.ConnectionError(f"cannot open {self._path}: {error}", tier="database"))
        self._opened = True

    def _connect(self) -> None:
        """All of them, or none that stays open."""
        script = resources.files("tierstore.sql").joinpath("sqlite", "staging.sql").read_text("utf-8")
        with contextlib.ExitStack() as opened:
            self._writer.connect()
            opened.callback(self._writer.connection.close)
            self._staging.connect(script)
            opened.callback(self._staging.connection.close)
            self._readers.give(self._readers.take())
            opened.pop_all()

    def _check(self) -> None:
        if self._generation != generation():
            self._leak()
            self._start()
        if self._closed:
            raise errors.ClosedError(f"the database {self._path} was closed; open the store again", tier="database")

    def _leak(self) -> None:
        """What a forked child leaves to its parent."""
        forks.leak((self._writer, self._staging, self._readers))

    async def _ready(self, deadline: Deadline) -> None:
        self._check()
        if not self._opened:
            await self.open(deadline)

    # Reading

    async def fetch(
        self,
        query: str,
        params: Params = NOTHING,
        *,
        deadline: Deadline,
        primary: bool = False,
        after: str | None = None,
    ) -> list[Row]:
        """`primary` and `after` change nothing: there is one database."""
        found = alone(self._queries, query)
        rows = await self._fetch(query, found, params, deadline)
        return past_fence(rows) if found.fenced else rows

    async def _fetch(self, name: str, query: Query, params: Params, deadline: Deadline) -> list[Row]:
        if self._generation != generation() or not self._opened or self._closed:
            await self._ready(deadline)
        deadline.check(name)
        try:
            if not query.slow:
                try:
                    return self._read(query.text, params, deadline, 0.0)
                except REFUSALS as error:
                    if not is_busy(error):
                        raise
            return await self._read_aside(query.text, params, deadline)
        except REFUSALS as error:
            raise_alone(translate(error, name))

    def peek(self, query: str, params: Params) -> Row | None:
        if self._generation != generation() or not self._opened or self._closed:
            return None
        readers = self._readers
        if (connection := readers.take_idle()) is None:
            return None
        try:
            row = connection.peek(self._queries[query].text, params)
        except REFUSALS:
            row = None
        except BaseException:
            readers.drop(connection)
            raise
        readers.give(connection)
        return row

    def _read(self, sql: str, params: Params, deadline: Deadline, busy_s: float) -> list[Row]:
        readers = self._readers
        connection = readers.take()
        try:
            rows = _read_on(connection, sql, params, deadline, busy_s)
        except Exception:
            readers.give(connection)
            raise
        except BaseException:
            readers.drop(connection)
            raise
        readers.give(connection)
        return rows

    async def _read_aside(self, sql: str, params: Params, deadline: Deadline) -> list[Row]:
        """On a thread in the async face. A caller that leaves stops the statement."""
        loan = Loan(self._readers)
        try:
            return await self._runtime.call(
                loan.run, _read_on, sql, params, deadline, deadline.remaining(), deadline=deadline
            )
        finally:
            loan.leave()

    async def fetch_fenced(
        self,
        query: str,
        params: Params = NOTHING,
        *,
        deadline: Deadline,
        primary: bool = False,
        after: str | None = None,
    ) -> Fenced:
        found = alone(self._queries, query)
        return fenced(query, found, await self._fetch(query, found, params, deadline))

    # Writing

    async def write(self, query: str, params: Params = NOTHING, *, deadline: Deadline, job: bool = False) -> list[Row]:
        await self._ready(deadline)
        deadline.check(query)
        writer = self._writer
        unit = _DirectUnit(writer.connection, self._queries, deadline)
        turn = writer.turn()
        try:
            await turn.take(deadline)
            self._check()
            statements = lambda: drive(unit.fetch(query, params))  # noqa: E731  (made in the thread that does it)
            return await writer.at_once(turn, lambda: writer.transact(statements, deadline.at), deadline)
        except REFUSALS as error:
            raise_alone(refused_commit(error, query, None))
        finally:
            if turn.held:
                try:
                    turn.undo()
                except REFUSALS:
                    pass  # what ended it ended the transaction too
                finally:
                    turn.give()

    def unit(
        self, *, deadline: Deadline, idempotency_key: str | None = None
    ) -> AbstractAsyncContextManager[SqliteUnit]:
        return self._transaction("main", deadline, idempotency_key)

    def aside(self, *, deadline: Deadline) -> AbstractAsyncContextManager[SqliteUnit]:
        return self._transaction("staging", deadline, None)

    @asynccontextmanager
    async def _transaction(
        self, file: Literal["main", "staging"], deadline: Deadline, idempotency_key: str | None
    ) -> AsyncIterator[SqliteUnit]:
        await self._ready(deadline)
        writer = self._writer if file == "main" else self._staging
        unit = SqliteUnit(writer, self._queries, deadline)
        turn = writer.turn()
        try:
            await turn.take(deadline)
            self._check()
            await unit.begin(self._queries["protocol.next_version"].text if file == "main" else None)
            yield unit
            unit.check_own()
            unit.check_whole()
            unit.ended = True
            await writer.commit(turn, deadline, idempotency_key)
        finally:
            unit.ended = True
            inherited = False  # so that an interrupt while it is asked does not keep the turn
            try:
                inherited = unit.is_inherited
            finally:
                if inherited:
                    forks.leak(writer)
                elif turn.held:
                    try:
                        turn.undo()
                    except REFUSALS:
                        pass  # what ended the unit ended the transaction too
                    finally:
                        turn.give()

    def housekeeping(self, *, deadline: Deadline) -> AbstractAsyncContextManager[SqliteUnit]:
        return self._transaction("main", deadline, None)

    async def execute(self, query: str, params: Params = NOTHING, *, deadline: Deadline) -> None:
        async with self.housekeeping(deadline=deadline) as unit:
            await unit.execute(query, params)

    async def undelivered(self, *, after: int, limit: int, deadline: Deadline) -> Undelivered:
        identity = await self.identity(deadline)
        return Undelivered(
            identity, await self.fetch("outbox.undelivered", {"after": after, "limit": limit}, deadline=deadline)
        )

    async def observe(self, query: str, params: Params = NOTHING, *, deadline: Deadline) -> list[Row]:
        """Reading connections are made as they are needed: callers do not wait for one another there."""
        return await self.fetch(query, params, deadline=deadline)

    async def script(
        self, text: str, *, transaction: bool, deadline: Deadline, then: tuple[str, Params] | None = None
    ) -> None:
        await self._ready(deadline)
        turn = self._writer.turn()
        try:
            await turn.take(deadline)
            await self._writer.call(self._run_script, text, transaction, then, deadline, deadline=deadline)
        except REFUSALS as error:
            raise_alone(translate(error, "the migration"))
        finally:
            if turn.held:
                try:
                    turn.undo()
                except REFUSALS:
                    pass  # what ended the unit ended the transaction too
                finally:
                    turn.give()

    def _run_script(self, text: str, transaction: bool, then: tuple[str, Params] | None, deadline: Deadline) -> None:
        connection = self._writer.connection
        connection.wait_for_others(deadline.remaining())
        connection.run_script(f"BEGIN IMMEDIATE;\n{text}" if transaction else text, deadline.at)
        if then is not None:
            connection.run(self._queries[then[0]].text, then[1], deadline.at)
        if transaction:
            connection.command("COMMIT")

    def exclusive(self, *, deadline: Deadline) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """By a lock of the operating system on a file of its own, so that the database stays readable meanwhile."""
        return file_lock(self._runtime, self._path.with_name(self._path.name + ".lock"), deadline)

    # What it is and how it fares

    async def position(self, deadline: Deadline) -> str:
        return str((await self.fetch("protocol.position", deadline=deadline))[0][0])

    async def identity(self, deadline: Deadline) -> str:
        """The database's own random name, and the file it lies in: a file put in its place is another database."""
        name = (await self.fetch("protocol.identity", deadline=deadline))[0][0]
        self._check_held()
        status = self._path.stat()
        return f"{name}-{status.st_dev:x}-{status.st_ino:x}"

    async def data_version(self, deadline: Deadline) -> int:
        """Rises when another connection than this store's writer commits."""
        await self._ready(deadline)
        self._check_held()
        return await self._writer.call(self._writer.connection.data_version, deadline=deadline)

    def _check_held(self) -> None:
        """ConnectionError where a file of this store was removed or replaced under it."""
        self._writer.held.check()
        self._staging.held.check()

    async def ping(self, deadline: Deadline) -> str:
        await self._ready(deadline)
        self._check_held()
        return f"SQLite {(await self.fetch('protocol.server', deadline=deadline))[0][0]}"

    def pool(self) -> PoolStats:
        in_use = self._readers.in_use + self._writer.busy
        return PoolStats(in_use, self._readers.idle + (not self._writer.busy), IDLE_MAX + 1, self._writer.turns.waiting)

    async def close(self, deadline: Deadline) -> None:
        if self._closed:
            return
        self._closed = True
        if self._opened and self._generation == generation():
            self._readers.close()
            await self._writer.close(deadline)
            await self._staging.close(deadline)


def _read_on(connection: Connection, sql: str, params: Params, deadline: Deadline, busy_s: float) -> list[Row]:
    if connection.busy_s != busy_s:
        connection.wait_for_others(busy_s)
    return connection.fetch(sql, params, deadline.at)


class _DirectUnit(SqlUnit):
    """The statements of one short transaction, which somebody else begins and ends, in the thread that asks for them."""

    def __init__(self, connection: Connection, queries: Mapping[str, Query], deadline: Deadline) -> None:
        super().__init__(queries, deadline)
        self._connection = connection

    async def execute_many(self, query: str, many: Sequence[Params]) -> None:
        self._connection.run_many(alone(self._queries, query).text, many, self._deadline.at)

    async def _run(self, name: str, sql: str, params: Params | None) -> Answered:
        return self._connection.run(sql, params or NOTHING, self._deadline.at)


class SqliteUnit(SqlUnit):
    """One write transaction on the writer."""

    def __init__(self, writer: Writer, queries: Mapping[str, Query], deadline: Deadline) -> None:
        super().__init__(queries, deadline)
        self._writer = writer

    async def begin(self, bump: str | None) -> None:
        try:
            await self._writer.begin(bump, self._deadline)
        except REFUSALS as error:
            raise_alone(translate(error, "BEGIN"))

    async def execute_many(self, query: str, many: Sequence[Params]) -> None:
        await self._sent(query, self._writer.connection.run_many, alone(self._queries, query).text, many)

    async def _run(self, name: str, sql: str, params: Params | None) -> Answered:
        return await self._sent(name, self._writer.connection.run, sql, params or NOTHING)

    async def _sent(self, name: str, run: Callable[..., T], sql: str, given: object) -> T:
        self._check()
        deadline = self._deadline
        try:
            return await self._writer.call(run, sql, given, deadline.at, deadline=deadline)
        except errors.TimeoutError:
            self._left()
            raise
        except REFUSALS as error:
            if is_late(error):
                self._left()
            raise_alone(translate(error, name))
