"""`Records` on PostgreSQL, by psycopg 3: a primary, its replicas, and a few connections set aside.

| pool | for |
|---|---|
| primary | writes, and reads that must see the truth |
| one a replica | other reads, also those `after` a position that the replica has replayed |
| aside (2) | short transactions apart from the caller's: fifty open ones cannot starve them |
| jobs (3) | the outbox carrier's polls, the relay, its marks: what keeps the caches fresh while callers hold all of theirs |
"""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, Literal

import psycopg
import psycopg_pool

from tierstore import errors
from tierstore.backends import Fenced, Params, PoolStats, Row, forks
from tierstore.backends.postgres.connection import CONNECT_S, arguments, settings
from tierstore.backends.postgres.errors import translate
from tierstore.backends.postgres.pool import Pool, PoolPolicy
from tierstore.backends.postgres.unit import PostgresUnit, transaction
from tierstore.backends.postgres.wire import Wire, wire
from tierstore.backends.rows import alone, fenced, past_fence
from tierstore.backends.sql_unit import NOTHING
from tierstore.plan.migrations import statements
from tierstore.runtime import Deadline, Runtime, generation
from tierstore.sql import Query, load_queries, qualified

ASIDE_CONNECTIONS = 2
JOB_CONNECTIONS = 3
REPLICA_REST_S, REPLICA_REST_MAX_S = 1.0, 30.0
"""How long a replica that failed is left alone: each failure in a row doubles it."""
REPLICA_PING_S = 1.0
_NO_ANSWER = (psycopg.Error, psycopg_pool.PoolTimeout, errors.StorageError)
ASK_AGAIN_S = 0.05


class Replica:
    """A replica's pool, and when it may be asked again after it failed."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.rests_until = 0.0
        self._rest_s = REPLICA_REST_S

    def failed(self, now: float) -> None:
        self.rests_until = now + self._rest_s
        self._rest_s = min(REPLICA_REST_MAX_S, self._rest_s * 2)

    def answered(self) -> None:
        self._rest_s = REPLICA_REST_S


class PostgresRecords:
    """Sizes in connections, times in seconds; as `PostgresConfig` has them.

    `queries`: those of `sql/postgres`, unless others are given.
    """

    dialect: Literal["sqlite", "postgres"] = "postgres"

    def __init__(
        self,
        runtime: Runtime,
        url: str,
        *,
        replicas: Sequence[str] = (),
        schema: str = "public",
        max_connections: int = 50,
        min_connections: int = 10,
        acquire_timeout: float = 3,
        idle_timeout: float = 600,
        max_lifetime: float = 1800,
        statement_timeout: float = 3,
        queries: Mapping[str, Query] | None = None,
    ) -> None:
        self._runtime = runtime
        self._schema = schema
        self._sources = load_queries("postgres") if queries is None else queries
        self._queries = {
            name: replace(query, text=self._qualified(query.text)) for name, query in self._sources.items()
        }
        self._arguments = arguments(url, writes=True)
        self._policy = PoolPolicy(
            self._arguments,
            (self._queries["protocol.configure"].text, settings(schema, statement_timeout)),
            max_connections,
            min_connections,
            acquire_timeout,
            idle_timeout,
            max_lifetime,
            statement_timeout,
        )
        self._replica_arguments = [arguments(replica, writes=False) for replica in replicas]
        self._closed = False
        self._start()

    def _qualified(self, text: str) -> str:
        return qualified(text, schema=self._schema, trgm="public")

    def _start(self) -> None:
        """Everything that belongs to one process."""
        self._generation = generation()
        self._wire: Wire = wire(self._runtime)
        policy, make, outages = self._policy, self._wire, self._runtime.outages
        outage = outages.of("database")
        self._primary = Pool(make, "tierstore", policy, outage)
        self._aside = Pool(make, "tierstore aside", policy._replace(limit=ASIDE_CONNECTIONS, least=0), outage)
        self._jobs = Pool(make, "tierstore jobs", policy._replace(limit=JOB_CONNECTIONS, least=0), outage)
        self._replicas = [
            Replica(
                Pool(
                    make,
                    f"tierstore replica {number}",
                    policy._replace(arguments=given),
                    outages.of("replica", str(number)),
                )
            )
            for number, given in enumerate(self._replica_arguments)
        ]
        self._turn = itertools.count()

    def _check(self) -> None:
        if self._generation != generation():
            forks.leak((self._wire, self._primary, self._aside, self._jobs, self._replicas))
            self._start()
        if self._closed:
            raise errors.ClosedError("the store was closed", tier="database")

    async def open(self, deadline: Deadline) -> None:
        self._check()
        async with self._private(deadline):
            pass  # it can be reached; if not, the reason was raised, which a pool would only have logged
        for pool in (self._primary, *(replica.pool for replica in self._replicas)):
            await pool.start()

    @asynccontextmanager
    async def _private(self, deadline: Deadline) -> AsyncIterator[Any]:
        """A connection outside the pools, whose statements may take until the deadline."""
        self._check()
        seconds = max(1, math.ceil(min(CONNECT_S, deadline.remaining())))
        try:
            connection = await self._wire.connect({**self._arguments, "connect_timeout": seconds})
        except psycopg.Error as error:
            raise errors.ConnectionError(str(translate(error, "connect")), tier="database") from error
        connection.limit = deadline
        try:
            setup = settings(self._schema, max(deadline.remaining(), 0.001))
            await self._wire.execute(connection, self._queries["protocol.configure"].text, setup)
            yield connection
        except psycopg.Error as error:
            raise translate(error, "the script") from error
        finally:
            connection.pgconn.finish()

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
        rows = await self._fetch(query, params, deadline, primary, after)
        return past_fence(rows) if self._queries[query].fenced else rows

    async def _fetch(
        self, query: str, params: Params, deadline: Deadline, primary: bool, after: str | None
    ) -> list[Row]:
        self._check()
        if self._replicas and not primary:
            rows = await self._from_replica(query, params, deadline, after)
            if rows is not None:
                return rows
        return await self._read(self._primary, query, params, deadline)

    async def _read(self, pool: Pool, query: str, params: Params, deadline: Deadline) -> list[Row]:
        sql = alone(self._queries, query).text
        try:
            return await pool.read(sql, params, deadline)
        except Exception as error:
            raise translate(error, query) from error

    async def _from_replica(
        self, query: str, params: Params, deadline: Deadline, after: str | None
    ) -> list[Row] | None:
        """None where the primary must answer: no replica is well, or it has not replayed `after`."""
        now = self._runtime.monotonic()
        awake = [replica for replica in self._replicas if replica.rests_until <= now]
        if not awake:
            return None
        replica = awake[next(self._turn) % len(awake)]
        half = deadline.within(deadline.remaining() / 2)
        try:
            if after is not None:
                replayed = await replica.pool.read(self._queries["protocol.replayed"].text, {"position": after}, half)
                if not replayed[0][0]:
                    return None
            rows = await replica.pool.read(alone(self._queries, query).text, params, half)
        except _NO_ANSWER:
            replica.failed(self._runtime.monotonic())
            return None
        replica.answered()
        return rows

    async def fetch_fenced(
        self,
        query: str,
        params: Params = NOTHING,
        *,
        deadline: Deadline,
        primary: bool = False,
        after: str | None = None,
    ) -> Fenced:
        rows = await self._fetch(query, params, deadline, primary, after)
        return fenced(query, self._queries[query], rows)

    async def watch(self, query: str, params: Params, deadline: Deadline) -> list[Row]:
        """A read of the primary for the outbox carrier, on the connections that are kept for jobs."""
        self._check()
        return await self._read(self._jobs, query, params, deadline)

    # Writing

    def unit(
        self, *, deadline: Deadline, idempotency_key: str | None = None
    ) -> AbstractAsyncContextManager[PostgresUnit]:
        self._check()
        return transaction(self._primary, self._queries, deadline, idempotency_key)

    def aside(self, *, deadline: Deadline) -> AbstractAsyncContextManager[PostgresUnit]:
        self._check()
        return transaction(self._aside, self._queries, deadline, None)

    def housekeeping(self, *, deadline: Deadline) -> AbstractAsyncContextManager[PostgresUnit]:
        self._check()
        return transaction(self._jobs, self._queries, deadline, None)

    async def script(
        self, text: str, *, transaction: bool, deadline: Deadline, then: tuple[str, Params] | None = None
    ) -> None:
        async with self._private(deadline) as connection:
            text = self._qualified(text)
            texts = ["BEGIN", text] if transaction else statements(text)
            for statement in filter(None, texts):
                await self._wire.execute(connection, statement, None)
            if then is not None:
                await self._wire.execute(connection, self._queries[then[0]].text, then[1])
            if transaction:
                await self._wire.execute(connection, "COMMIT", None)

    @asynccontextmanager
    async def exclusive(self, *, deadline: Deadline) -> AsyncIterator[None]:
        """By an advisory lock of a session. It is asked for again and again: a session that waits in pg_advisory_lock holds a
        snapshot, and CREATE INDEX CONCURRENTLY under the lock would wait for that one for ever."""
        async with self._private(deadline) as connection:
            while not (await self._wire.execute(connection, self._queries["protocol.try_exclusive"].text, {})).rows[0][
                0
            ]:
                deadline.check("waiting for another process to finish its migrations")
                await self._runtime.sleep(ASK_AGAIN_S)
            yield

    # What it is and how it fares

    async def position(self, deadline: Deadline) -> str:
        self._check()
        return str((await self._read(self._primary, "protocol.position", NOTHING, deadline.shared()))[0][0])

    async def identity(self, deadline: Deadline) -> str:
        """System identifier, timeline, database and the random name that its tables were given."""
        self._check()
        return str((await self._read(self._jobs, "protocol.identity", NOTHING, deadline))[0][0])

    async def ping(self, deadline: Deadline) -> str:
        self._check()
        version = (await self._read(self._primary, "protocol.server", NOTHING, deadline))[0][0]
        silent = [
            number
            for number, replica in enumerate(self._replicas)
            if not await self._answers(replica, deadline.within(REPLICA_PING_S))
        ]
        return f"PostgreSQL {version}" + "".join(f"; replica {number} does not answer" for number in silent)

    async def _answers(self, replica: Replica, deadline: Deadline) -> bool:
        try:
            await replica.pool.read(self._queries["protocol.server"].text, NOTHING, deadline)
        except _NO_ANSWER:
            return False
        return True

    def pool(self) -> PoolStats:
        return self._primary.stats()._replace(reserved=ASIDE_CONNECTIONS + JOB_CONNECTIONS)

    async def close(self, deadline: Deadline) -> None:
        if self._closed:
            return
        self._closed = True
        if self._generation == generation():
            pools = [self._primary, self._aside, self._jobs, *(replica.pool for replica in self._replicas)]
            for pool in pools:
                pool.shut()
            await self._wire.close([pool.raw for pool in pools], deadline.remaining())
