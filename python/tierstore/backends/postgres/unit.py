"""One write transaction on PostgreSQL, from BEGIN to the answer of its COMMIT."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg

from tierstore import errors
from tierstore.backends import Params, forks
from tierstore.backends.postgres.errors import LeftStatementError, is_refusal, translate
from tierstore.backends.postgres.pool import Pool
from tierstore.backends.rows import alone
from tierstore.backends.sql_unit import Answered, SqlUnit
from tierstore.errors import raise_alone
from tierstore.runtime import Deadline
from tierstore.sql import Query

ROLLBACK_S = 1.0
T = TypeVar("T")


@asynccontextmanager
async def transaction(
    pool: Pool, queries: Mapping[str, Query], deadline: Deadline, idempotency_key: str | None
) -> AsyncIterator[PostgresUnit]:
    """Commits when the block ends. A cancelled caller leaves at once; the reaper rolls back. In a forked child it only ends."""
    try:
        connection = await pool.begin(deadline)
    except Exception as error:
        raise_alone(translate(error, "BEGIN"))
    unit = PostgresUnit(pool, connection, queries, deadline)
    try:
        yield unit
        unit.check_own()
        unit.check_whole()
    except BaseException as error:
        unit.ended = True
        if unit.is_inherited:
            forks.leak(connection)
        elif isinstance(error, Exception):
            await _roll_back(pool, connection, deadline)
        else:
            pool.leave(connection)
        raise
    unit.ended = True
    connection.limit = deadline
    unit.position = await _commit(pool, connection, queries, idempotency_key)


async def _roll_back(pool: Pool, connection: Any, deadline: Deadline) -> None:
    try:
        if connection.abandoned is None and not connection.closed:
            connection.limit = deadline.within(ROLLBACK_S)
            await pool.run(connection, "ROLLBACK", None)
    except psycopg.Error:
        pass  # the reaper, or the server when the connection closes, undoes it; the caller gets the first error
    finally:
        pool.leave(connection)


async def _commit(pool: Pool, connection: Any, queries: Mapping[str, Query], idempotency_key: str | None) -> str:
    """Commit, and ask in the same message where the log stands then."""
    connection.committing = True
    try:
        result = await pool.commit(connection, f"COMMIT; {queries['protocol.position'].text}")
    except psycopg.Error as error:
        pool.leave(connection, error)
        if is_refusal(error):
            raise_alone(translate(error, "COMMIT"))
        raise_alone(
            errors.OutcomeUnknownError(
                "the connection was lost, or the deadline passed, before PostgreSQL answered the COMMIT: call again with the same "
                "idempotency_key",
                idempotency_key=idempotency_key,
                tier="database",
            )
        )
    except BaseException:
        pool.leave(connection)
        raise
    connection.committing = False
    pool.leave(connection)
    if result.tag == "ROLLBACK":
        raise errors.QueryError(
            "COMMIT: a statement of the transaction had failed, so it was rolled back", tier="database"
        )
    return str(result.rows[0][0])


class PostgresUnit(SqlUnit):
    """One open transaction on a connection of its own."""

    def __init__(self, pool: Pool, connection: Any, queries: Mapping[str, Query], deadline: Deadline) -> None:
        super().__init__(queries, deadline)
        self._pool = pool
        self._connection = connection
        self._untouched = True

    async def execute_many(self, query: str, many: Sequence[Params]) -> None:
        """One round trip for all."""
        self._check()
        sql = alone(self._queries, query).text
        await self._sent(query, lambda: self._pool.run_many(self._connection, sql, many))

    async def _run(self, name: str, sql: str, params: Params | None) -> Answered:
        self._check()
        return (await self._sent(name, lambda: self._pool.run(self._connection, sql, params)))[:2]

    async def _sent(self, name: str, send: Callable[[], Awaitable[T]]) -> T:
        """A first statement that met a pooler nobody knew of is sent again, in the transaction begun anew: nothing was lost with it."""
        untouched, self._untouched = self._untouched, False
        self._connection.limit = self._deadline
        try:
            try:
                return await send()
            except psycopg.Error as error:
                if not (self._pool.discovers_pooler(error) and untouched):
                    raise
            await self._pool.run(self._connection, "ROLLBACK", None)
            await self._pool.begin_on(self._connection, self._deadline)
            return await send()
        except psycopg.Error as error:
            if isinstance(error, LeftStatementError):
                self._left()
            raise_alone(translate(error, name))
