"""`Records` on PostgreSQL, by psycopg 3: a primary, its replicas, and a few connections set aside.

| pool | for |
|---|---|
| primary | writes, and reads that must see the truth |
| one a replica | other reads, also those `after` a position that the replica has replayed |
| aside (2) | short transactions apart from the caller's: fifty open ones cannot starve them |
| freshness (1) | the outbox carrier's polls and the relay's turns, while callers hold all of theirs. One, always at work: it is never new |
| jobs (2) | marks, access counts and the other jobs, which must not keep those waiting while the database is slow |
| looks (1) | health and statistics, which must answer just then |
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Literal

import psycopg
import psycopg_pool

from tierstore import errors
from tierstore.backends import Fenced, Params, PoolStats, Row, Undelivered, forks
from tierstore.backends.postgres.connection import CONNECT_S, address_of, arguments
from tierstore.backends.postgres.diagnosis import wrong_setting
from tierstore.backends.postgres.errors import is_in_doubt, translate
from tierstore.backends.postgres.pool import Pool, PoolPolicy
from tierstore.backends.postgres.pooling import Pooled, Pooling
from tierstore.backends.postgres.scripts import Scripts, Surroundings
from tierstore.backends.postgres.unit import PostgresUnit, transaction
from tierstore.backends.postgres.wire import Wire, wire
from tierstore.backends.rows import alone, fenced, past_fence
from tierstore.backends.sql_unit import NOTHING
from tierstore.errors import raise_alone
from tierstore.runtime import Deadline, Runtime, generation
from tierstore.sql import Query, load_queries, qualified

ASIDE_CONNECTIONS = 2
FRESH_CONNECTIONS = 1
JOB_CONNECTIONS = 2
LOOK_CONNECTIONS = 1
RESERVED_CONNECTIONS = ASIDE_CONNECTIONS + FRESH_CONNECTIONS + JOB_CONNECTIONS + LOOK_CONNECTIONS
REPLICA_REST_S, REPLICA_REST_MAX_S = 1.0, 30.0
"""How long a replica that failed is left alone: each failure in a row doubles it."""
REPLICA_PING_S = 1.0
_NO_ANSWER = (psycopg.Error, psycopg_pool.PoolTimeout, errors.StorageError)


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

    `create_schema`: a schema that is absent is not refused at open, since migrations will make it. `queries`: those of `sql/postgres`,
    unless others are given.
    """

    dialect: Literal["sqlite", "postgres"] = "postgres"
    remote = True

    def __init__(
        self,
        runtime: Runtime,
        url: str,
        *,
        replicas: Sequence[str] = (),
        migrate_url: str | None = None,
        pooled: Pooled = "auto",
        schema: str = "public",
        create_schema: bool = True,
        max_connections: int = 50,
        min_connections: int = 10,
        acquire_timeout: float = 3,
        idle_timeout: float = 600,
        max_lifetime: float = 1800,
        statement_timeout: float = 3,
        queries: Mapping[str, Query] | None = None,
    ) -> None:
        self._runtime = runtime
        self._schema, self._trgm = schema, "public"
        self._sources = load_queries("postgres") if queries is None else queries
        self._queries = {name: self._qualified_query(query) for name, query in self._sources.items()}
        self._create_schema = create_schema
        self._pooling = Pooling(pooled)
        self._policy = PoolPolicy(
            arguments(url, writes=True),
            self._pooling,
            self._queries["protocol.configure"].text,
            self._queries["protocol.limits"].text,
            max_connections,
            min_connections,
            acquire_timeout,
            idle_timeout,
            max_lifetime,
            statement_timeout,
        )
        self._replica_policies = [
            self._policy._replace(arguments=arguments(replica, writes=False), pooling=Pooling(pooled))
            for replica in replicas
        ]
        self._migrate = None if migrate_url is None else (Pooling("auto"), arguments(migrate_url, writes=True))
        self._closed = False
        self._start()

    def _qualified(self, text: str) -> str:
        return qualified(text, schema=self._schema, trgm=self._trgm)

    def _qualified_query(self, query: Query) -> Query:
        return replace(query, text=self._qualified(query.text))

    def _surrounded(self, found: Surroundings) -> None:
        """Queries name the schema in which pg_trgm was found."""
        if found.trgm != self._trgm:
            self._trgm = found.trgm
            self._queries.update((name, self._qualified_query(query)) for name, query in self._sources.items())

    def _scripts_over(self, pooling: Pooling, arguments: dict[str, Any]) -> Scripts:
        return Scripts(
            self._runtime,
            self._wire,
            pooling,
            arguments,
            schema=self._schema,
            acquire_s=self._policy.acquire_s,
            query=lambda name: self._queries[name].text,
            qualified=self._qualified,
            on_connected=self._surrounded,
        )

    def _start(self) -> None:
        """Everything that belongs to one process."""
        self._generation = generation()
        self._wire: Wire = wire(self._runtime)
        policy, make, outages = self._policy, self._wire, self._runtime.outages
        outage = outages.of("database")
        self._primary = Pool(make, "tierstore", policy, outage)
        patient = max(policy.acquire_s, CONNECT_S)  # there nobody waits for callers, but for a connection to be made
        self._aside, self._fresh, self._jobs, self._looks = self._set_aside = tuple(
            Pool(make, f"tierstore {name}", policy._replace(limit=limit, least=0, acquire_s=acquire_s), outage)
            for name, limit, acquire_s in (
                ("aside", ASIDE_CONNECTIONS, policy.acquire_s),
                ("freshness", FRESH_CONNECTIONS, patient),
                ("jobs", JOB_CONNECTIONS, patient),
                ("looks", LOOK_CONNECTIONS, patient),
            )
        )
        self._replicas = [
            Replica(
                Pool(make, f"tierstore replica {number}", policy, outages.of("replica", address_of(policy.arguments)))
            )
            for number, policy in enumerate(self._replica_policies)
        ]
        self._look = self._scripts_over(self._pooling, policy.arguments)
        self._scripts = self._look if self._migrate is None else self._scripts_over(*self._migrate)
        self._turn = itertools.count()

    def _check(self) -> None:
        if self._generation != generation():
            forks.leak((self._wire, self._primary, self._set_aside, self._replicas))
            self._start()
        if self._closed:
            raise errors.ClosedError("the store was closed", tier="database")

    async def open(self, deadline: Deadline) -> None:
        self._check()
        try:
            await self._look.look(
                deadline, may_create=self._create_schema
            )  # what a pool would only have logged is raised
        except errors.ConnectionError as error:
            wrong = await wrong_setting(self._runtime, self._policy.arguments, deadline)
            if wrong is None:
                raise
            raise_alone(errors.ConfigError(f"PostgreSQL cannot be opened: {wrong}: {error}", tier="database"))
        for pool in (self._primary, *(replica.pool for replica in self._replicas)):
            await pool.start()

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
        rows = await self._fetch(self._primary, query, params, deadline, primary=primary, after=after)
        return past_fence(rows) if self._queries[query].fenced else rows

    async def observe(self, query: str, params: Params = NOTHING, *, deadline: Deadline) -> list[Row]:
        return await self._fetch(self._looks, query, params, deadline, primary=False, after=None)

    async def _fetch(
        self, pool: Pool, query: str, params: Params, deadline: Deadline, *, primary: bool, after: str | None
    ) -> list[Row]:
        """From a replica, else from the primary over `pool`."""
        self._check()
        if self._replicas and not primary:
            rows = await self._from_replica(query, params, deadline, after)
            if rows is not None:
                return rows
        return await self._read(pool, query, params, deadline)

    async def _read(self, pool: Pool, query: str, params: Params, deadline: Deadline) -> list[Row]:
        sql = alone(self._queries, query).text
        try:
            return await pool.read(sql, params, deadline)
        except Exception as error:
            raise_alone(translate(error, query))

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
        rows = await self._fetch(self._primary, query, params, deadline, primary=primary, after=after)
        return fenced(query, self._queries[query], rows)

    async def watch(self, query: str, params: Params, deadline: Deadline) -> list[Row]:
        """A read of the primary for what keeps the caches fresh, on the connection that is kept for it."""
        self._check()
        return await self._read(self._fresh, query, params, deadline)

    def peek(self, query: str, params: Params) -> Row | None:
        return None

    # Writing

    async def write(self, query: str, params: Params = NOTHING, *, deadline: Deadline, job: bool = False) -> list[Row]:
        self._check()
        sql = alone(self._queries, query).text
        try:
            return await (self._jobs if job else self._primary).write(sql, params, deadline)
        except Exception as error:
            if is_in_doubt(error):
                text = "the deadline passed, or the connection was lost, before PostgreSQL answered: it may or may not be stored"
                raise_alone(errors.OutcomeUnknownError(f"{query}: {text}; read it, or call again", tier="database"))
            raise_alone(translate(error, query))

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

    async def execute(self, query: str, params: Params = NOTHING, *, deadline: Deadline) -> None:
        self._check()
        await self._read(self._jobs, query, params, deadline)

    async def undelivered(self, *, after: int, limit: int, deadline: Deadline) -> Undelivered:
        rows = await self.watch("outbox.undelivered", {"after": after, "limit": limit}, deadline)
        return Undelivered(str(rows[0][0]), [row[1:] for row in rows if row[1] is not None])

    async def script(
        self, text: str, *, transaction: bool, deadline: Deadline, then: tuple[str, Params] | None = None
    ) -> None:
        self._check()
        await self._scripts.run(text, transaction=transaction, deadline=deadline, then=then)

    def exclusive(self, *, deadline: Deadline) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        self._check()
        return self._scripts.exclusive(deadline)

    # What it is and how it fares

    async def position(self, deadline: Deadline) -> str:
        self._check()
        return str((await self._read(self._primary, "protocol.position", NOTHING, deadline.shared()))[0][0])

    async def identity(self, deadline: Deadline) -> str:
        """System identifier, timeline, database and the random name that its tables were given."""
        self._check()
        return str((await self.watch("protocol.identity", NOTHING, deadline))[0][0])

    async def ping(self, deadline: Deadline) -> str:
        self._check()
        version = (await self._read(self._looks, "protocol.server", NOTHING, deadline))[0][0]
        silent = [
            number
            for number, replica in enumerate(self._replicas)
            if not await self._answers(replica, deadline.within(REPLICA_PING_S))
        ]
        through = " through a pooler" if self._pooling.shared else ""
        return f"PostgreSQL {version}{through}" + "".join(f"; replica {number} does not answer" for number in silent)

    async def _answers(self, replica: Replica, deadline: Deadline) -> bool:
        try:
            await replica.pool.read(self._queries["protocol.server"].text, NOTHING, deadline)
        except _NO_ANSWER:
            return False
        return True

    def pool(self) -> PoolStats:
        return self._primary.stats()._replace(reserved=RESERVED_CONNECTIONS)

    async def close(self, deadline: Deadline) -> None:
        if self._closed:
            return
        self._closed = True
        if self._generation == generation():
            pools = [self._primary, *self._set_aside, *(replica.pool for replica in self._replicas)]
            for pool in pools:
                pool.shut()
            await self._wire.close([pool.raw for pool in pools], deadline.remaining())
