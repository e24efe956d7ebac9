"""Migrations on PostgreSQL: connections of their own outside the pools, the schema they make, and the lock that one process holds."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import psycopg

from tierstore import errors
from tierstore.backends import Params
from tierstore.backends.postgres.connection import CONNECT_S
from tierstore.backends.postgres.errors import no_link, translate
from tierstore.backends.postgres.pooling import Pooling
from tierstore.backends.postgres.wire import Wire
from tierstore.backends.sql_unit import NOTHING
from tierstore.errors import raise_alone
from tierstore.plan.migrations import statements
from tierstore.runtime import Deadline, Runtime

log = logging.getLogger("tierstore")
ASK_AGAIN_S = 0.05
SAY_AGAIN_S = 10.0
NOT_ALLOWED = "42501"
"""insufficient_privilege"""


class Surroundings(NamedTuple):
    """Whether the store's schema is there, whether `role` may use it, and the schema in which pg_trgm is, or shall be."""

    exists: bool
    usable: bool
    role: str
    trgm: str


class Scripts:
    """`query`: a named query, qualified; `qualified`: a script so; `on_connected`: called with what a new connection found around it."""

    def __init__(
        self,
        runtime: Runtime,
        wire: Wire,
        pooling: Pooling,
        arguments: dict[str, Any],
        *,
        schema: str,
        acquire_s: float,
        query: Callable[[str], str],
        qualified: Callable[[str], str],
        on_connected: Callable[[Surroundings], None],
    ) -> None:
        self._runtime = runtime
        self._wire = wire
        self._pooling = pooling
        self._arguments = arguments
        self._schema = schema
        self._acquire_s = acquire_s
        self._query = query
        self._qualified = qualified
        self._on_connected = on_connected

    @asynccontextmanager
    async def connected(self, deadline: Deadline) -> AsyncIterator[tuple[Any, Surroundings]]:
        """A connection outside the pools, whose statements may take until the deadline."""
        seconds = max(1, math.ceil(min(CONNECT_S, deadline.remaining())))
        try:
            connection = await self._wire.connect({**self._arguments, "connect_timeout": seconds})
        except psycopg.Error as error:
            raise_alone(errors.ConnectionError(str(translate(error, "connect")), tier="database"))
        try:
            yield connection, await self._set_up(connection, deadline)
        except psycopg.Error as error:
            if error.sqlstate == NOT_ALLOWED:
                raise_alone(self._not_allowed(error))
            raise_alone(translate(error, "the script"))
        finally:
            connection.pgconn.finish()

    async def _set_up(self, connection: Any, deadline: Deadline) -> Surroundings:
        """Nothing is prepared on it. Behind a pooler its first statement waits for a link of the server's, as a caller does."""
        connection.prepare_threshold = None
        connection.limit = deadline.within(self._acquire_s) if self._pooling.shared else deadline
        asked = self._pooling.question(connection, max(1, int(deadline.remaining() * 1000)))
        try:
            answered = await self._wire.execute(connection, self._query("protocol.configure"), asked)
        except psycopg.Error as error:
            if self._pooling.shared and no_link(error):
                raise_alone(
                    errors.PoolTimeoutError(
                        f"the pooler gave no connection to the server within {self._acquire_s:g} s; raise its pool size (a migration "
                        "takes two connections), or name another address in migrate_url",
                        tier="database",
                    )
                )
            raise
        self._pooling.answered(answered.rows)
        connection.limit = deadline
        rows = (await self._wire.execute(connection, self._query("protocol.surroundings"), NOTHING)).rows
        found = Surroundings(*rows[0])
        self._on_connected(found)
        return found

    def _not_allowed(self, error: psycopg.Error) -> errors.ConfigError:
        return errors.ConfigError(
            f"the migrations may not change the schema {self._schema!r} (postgres.schema): {error.diag.message_primary}; grant the role "
            "CREATE on it, or name another role in migrate_url"
        )

    async def look(self, deadline: Deadline, *, may_create: bool) -> None:
        """That the database can be reached and the schema be used. ConnectionError; ConfigError, never another schema in its place."""
        async with self.connected(deadline) as (_, found):
            if not found.exists and not may_create:
                raise errors.ConfigError(
                    f"the database has no schema {self._schema!r} (postgres.schema); run `tierstore migrate up`, which creates it, or "
                    "create it by hand"
                )
            if found.exists and not found.usable:
                raise errors.ConfigError(
                    f"the role {found.role!r} may not use the schema {self._schema!r} (postgres.schema); "
                    f"GRANT USAGE ON SCHEMA {self._schema} TO {found.role}"
                )

    async def run(self, text: str, *, transaction: bool, deadline: Deadline, then: tuple[str, Params] | None) -> None:
        """As `Records.script`. A schema that is absent is made first."""
        async with self.connected(deadline) as (connection, found):
            if not found.exists:
                await self._wire.execute(connection, self._query("protocol.create_schema"), NOTHING)
            text = self._qualified(text)
            for statement in filter(None, ["BEGIN", text] if transaction else statements(text)):
                await self._wire.execute(connection, statement, None)
            if then is not None:
                await self._wire.execute(connection, self._query(then[0]), then[1])
            if transaction:
                await self._wire.execute(connection, "COMMIT", None)

    @asynccontextmanager
    async def exclusive(self, deadline: Deadline) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """By an advisory lock of a transaction, which stays open on a connection of its own: where connections are shared, a lock of a
        session would be everybody's. It is asked for again and again: who waits inside pg_advisory_xact_lock holds a snapshot, and
        CREATE INDEX CONCURRENTLY under the lock would wait for that one for ever. Once it is held the transaction has none: it was
        asked for as plain text, since a statement with parameters leaves its portal, and the portal its snapshot, behind.
        """
        async with self.connected(deadline) as (connection, _):
            await self._lock(connection, deadline)

            async def still_held() -> None:
                await self._wire.execute(connection, "", None)

            yield still_held

    async def _lock(self, connection: Any, deadline: Deadline) -> None:
        say_at = self._runtime.monotonic()
        waiting: str | None = None
        while True:
            try:
                holder = await self._holder(connection)
            except psycopg.Error:
                if waiting is not None:
                    deadline.check(waiting)
                raise
            if holder is None:
                return
            waiting = f"waiting for another process to finish its migrations ({_named(*holder)})"
            if self._runtime.monotonic() >= say_at:
                log.warning("%s", waiting)
                say_at = self._runtime.monotonic() + SAY_AGAIN_S
            deadline.check(waiting)
            await self._runtime.sleep(ASK_AGAIN_S)

    async def _holder(self, connection: Any) -> list[Any] | None:
        """Who has the lock; None: this connection, and its transaction is open. A pooler's link is not kept while another has it."""
        await self._wire.execute(connection, "BEGIN", None)
        await self._wire.execute(connection, self._query("protocol.hold"), None)
        got, *holder = (await self._wire.execute(connection, self._query("protocol.try_exclusive"), None)).rows[0]
        if got:
            return None
        await self._wire.execute(connection, "ROLLBACK", None)
        return holder


def _named(pid: int | None, name: str, address: str, since: str | None) -> str:
    if pid is None:
        return "which has just ended"
    return f"server process {pid}, {name or 'unnamed'} at {address or 'an unknown address'}, since {since or 'an unknown time'} UTC"
