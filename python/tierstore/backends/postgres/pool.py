"""A pool of connections to one server, by psycopg_pool: lent until a deadline, checked when they were idle long, dropped when broken.

A few warm connections go from one caller to the next without psycopg_pool, which costs 25 µs each way round. They are no more than it
would keep anyway, go back to it after WARM_S, so that it sees their age, and whenever somebody waits there.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
import psycopg_pool
from psycopg.pq import TransactionStatus

from tierstore import errors
from tierstore._native import uptime
from tierstore.backends import Params, PoolStats, Row
from tierstore.backends.postgres.connection import ENDLESS, PREPARED_MAX, AsyncLimited, BlockingLimited, is_cut
from tierstore.backends.postgres.errors import LeftStatementError, is_gone, no_link, translate
from tierstore.backends.postgres.pooling import Pooling
from tierstore.backends.postgres.wire import Result, Wire, connecting
from tierstore.errors import raise_alone
from tierstore.runtime import Deadline
from tierstore.runtime.outages import Report

CHECK_AFTER_IDLE_S = 30.0
CHECK_S = 1.0
WARM_MAX = 8
WARM_S = 1.0
ASK_AGAIN_S, TROUBLED_S = 0.5, 0.1
"""How long one wait in psycopg_pool lasts, before and after a connection could not be made; waiting anew makes it try again."""
LIMIT = "statement_timeout"
RECONNECT_S = 0.2
"""psycopg_pool gives up a failed connection after this long: the next caller that waits makes it try again at once."""
POOL_NAMES = "tierstore"
"""Every pool's name begins with it."""
BROKEN_MAX = 64
"""Connections found broken before one call gives up: more than a pool keeps idle after the server was restarted."""


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not what psycopg_pool says of each connection of ours that broke or could not be made: an outage is one line (`Outages`)."""
    of = record.args[0] if isinstance(record.args, tuple) and record.args else None
    ours = isinstance(of, (AsyncLimited, BlockingLimited)) or (isinstance(of, str) and of.startswith(POOL_NAMES))
    return record.levelno > logging.WARNING or not ours


logging.getLogger("psycopg.pool").addFilter(_is_worth_a_line)


class PoolPolicy(NamedTuple):
    """Sizes in connections, times in seconds. `configure`: the statement for each new connection; `limits`: the settings of one statement.

    `pooling`: of the address. `statement_s`: the server's limit for a statement.
    """

    arguments: dict[str, Any]
    pooling: Pooling
    configure: str
    limits: str
    limit: int
    least: int
    acquire_s: float
    idle_s: float
    lifetime_s: float
    statement_s: float

    def __repr__(self) -> str:
        return f"PoolPolicy(limit={self.limit}, least={self.least})"  # the arguments hold a password


class Pool:
    """Connections to one server. What fails leaves as psycopg's error; `translate` is the caller's."""

    def __init__(self, wire: Wire, name: str, policy: PoolPolicy, outage: Report) -> None:
        self._wire = wire
        self._outage = outage
        self._reached = False
        self._policy = policy
        self._pooling = policy.pooling
        self._trouble: str | None = None
        self._opened = False
        self._warm: deque[Any] = deque()
        self._warm_max = min(WARM_MAX, policy.least)
        self._waiting = 0
        self.raw = wire.pool(
            name=name,
            conninfo="",
            connection_class=self._watched(wire.connection_class),
            kwargs=connecting(policy.arguments),
            min_size=policy.least,
            max_size=policy.limit,
            timeout=policy.acquire_s,
            max_idle=policy.idle_s,
            max_lifetime=policy.lifetime_s,
            reconnect_timeout=RECONNECT_S,
        )

    def _watched(self, connection_class: type[Any]) -> type[Any]:
        """`connection_class`, whose `connect` also prepares the connection, and notes why it could not be made."""
        pool = self
        if self._wire.connection_class.__mro__.count(psycopg.AsyncConnection):

            class Watched(connection_class):  # type: ignore[misc]
                @classmethod
                async def connect(cls, conninfo: str = "", **named: Any) -> Any:
                    try:
                        connection = await super().connect(conninfo, **named)
                        if not pool._pooling.shared:
                            await pool._ask(connection)
                    except psycopg.Error as error:
                        pool._failed(error)
                        raise
                    return pool._ready(connection)

            return Watched

        class WatchedBlocking(connection_class):  # type: ignore[misc]
            @classmethod
            def connect(cls, conninfo: str = "", **named: Any) -> Any:
                try:
                    connection = super().connect(conninfo, **named)
                    if not pool._pooling.shared:
                        asked = connection.execute(*pool._question(connection), prepare=False)
                        pool._pooling.answered(asked.fetchall())
                except psycopg.Error as error:
                    pool._failed(error)
                    raise
                return pool._ready(connection)

        return WatchedBlocking

    async def _ask(self, connection: Any) -> None:
        connection.limit = ENDLESS
        try:
            asked = await connection.execute(*self._question(connection), prepare=False)
            self._pooling.answered(await asked.fetchall())
        except BaseException:
            connection.pgconn.finish()
            raise
        connection.limit = None

    def _failed(self, error: psycopg.Error) -> None:
        self._trouble = str(translate(error, "connect"))
        if self._reached:  # before, it is the opening that fails, and says so
            self._outage.began(self._trouble)

    def _question(self, connection: Any) -> tuple[str, Params]:
        return self._policy.configure, self._pooling.question(connection, _ms(self._policy.statement_s))

    def _ready(self, connection: Any) -> Any:
        self._trouble = None
        self._reached = True
        self._outage.ended()
        connection.prepared_max = PREPARED_MAX
        connection.statement_ms = _ms(self._policy.statement_s)
        return connection

    async def start(self) -> None:
        """Begin to make connections, `least` of them; does not wait for one."""
        if not self._opened:
            self._opened = True
            await self._wire.open(self.raw)

    async def take(self, deadline: Deadline) -> Any:
        """A connection of this caller's own.

        PoolTimeoutError after `acquire_s` or at the deadline; ConnectionError sooner, where the server refuses new ones.
        """
        if not self._opened:
            await self.start()
        while True:
            connection = self._take_warm() or await self._take_pooled(deadline)
            connection.limit = deadline
            if uptime() - connection.used_at < CHECK_AFTER_IDLE_S or await self._alive(connection, deadline):
                return connection

    def _take_warm(self) -> Any | None:
        """One that psycopg_pool saw not long ago; those that it did not see go back to it."""
        while self._warm:
            try:
                connection = self._warm.pop()
            except IndexError:  # another thread was quicker
                return None
            if uptime() - connection.pooled_at < WARM_S:
                return connection
            self._wire.put(self.raw, connection)
        return None

    async def _take_pooled(self, deadline: Deadline) -> Any:
        ends = deadline.within(self._policy.acquire_s)
        self._waiting += 1
        try:
            self.cool()  # what was given back between looking there and being counted here
            while True:
                try:
                    patience = ASK_AGAIN_S if self._trouble is None else TROUBLED_S
                    connection = await self._wire.get(self.raw, min(ends.remaining(), patience))
                except psycopg_pool.PoolTimeout:
                    if self._trouble is not None:
                        raise_alone(errors.ConnectionError(self._trouble, tier="database"))
                    if ends.remaining() > 0:
                        continue
                    if self._pooling.shared:
                        raise_alone(self._no_link())
                    raise
                connection.pooled_at = uptime()
                return connection
        finally:
            self._waiting -= 1

    def shut(self) -> None:
        """Keep no connection warm from now on."""
        self._warm_max = 0
        self.cool()

    def cool(self) -> None:
        """Give every warm connection back to psycopg_pool."""
        while self._warm:
            try:
                self._wire.put(self.raw, self._warm.popleft())
            except IndexError:
                return

    async def _alive(self, connection: Any, deadline: Deadline) -> bool:
        connection.limit = deadline.within(CHECK_S)
        try:
            await self._wire.execute(connection, "", None)
        except BaseException as error:
            self.leave(connection, error)
            if isinstance(error, psycopg.Error):
                return False
            raise
        connection.limit = deadline
        return True

    def leave(self, connection: Any, error: BaseException | None = None) -> None:
        """Give a connection back in whatever state it is; never waits in the async face."""
        if error is not None and is_gone(error):
            connection.pgconn.finish()
        connection.used_at = uptime()
        status = connection.pgconn.transaction_status
        if connection.abandoned is not None or status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
            self._wire.reap(self.raw, connection)
            return
        connection.limit = None
        warm = status == TransactionStatus.IDLE and connection.used_at - connection.pooled_at < WARM_S
        if not warm or self._is_waited_for() or len(self._warm) >= self._warm_max or self.raw.closed:
            self._wire.put(self.raw, connection)
            return
        self._warm.append(connection)
        if self._is_waited_for():  # since just now
            self.cool()

    def _is_waited_for(self) -> bool:
        return self._waiting > 0

    async def run(self, connection: Any, sql: str, params: Params | None) -> Result:
        return await self._wire.execute(connection, sql, params)

    async def commit(self, connection: Any, sql: str) -> Result:
        return await self._wire.commit(connection, sql)

    async def run_many(self, connection: Any, sql: str, many: Sequence[Params]) -> None:
        await self._wire.execute_many(connection, sql, many)

    async def read(self, sql: str, params: Params, deadline: Deadline) -> list[Row]:
        """One statement that changes nothing; a connection that turns out broken is replaced, and it is asked again."""
        for _ in range(BROKEN_MAX):
            connection = await self.take(deadline)
            try:
                result = await self._run_once(connection, sql, params, deadline)
            except BaseException as error:
                waits_for_link = isinstance(error, LeftStatementError) and not connection.is_linked
                self.leave(connection, error)
                if waits_for_link:
                    raise_alone(self._no_link())
                if not (is_gone(error) or self._pooling.discovers(error)) or deadline.remaining() == 0:
                    raise
                continue
            self.leave(connection)
            return result.rows
        raise errors.ConnectionError(
            "every connection to PostgreSQL was broken; the next call connects again", tier="database"
        )

    async def write(self, sql: str, params: Params, deadline: Deadline) -> list[Row]:
        """One statement, committed when it is answered. Sent again only where a pooler shows that it was not done."""
        while True:
            connection = await self._take_whole(deadline)
            try:
                result = await self._run_once(connection, sql, params, deadline)
            except BaseException as error:
                self.leave(connection, error)
                if not self._pooling.discovers(error):
                    raise
                continue
            self.leave(connection)
            return result.rows

    async def _take_whole(self, deadline: Deadline) -> Any:
        """A connection that the server has not closed meanwhile, as far as can be seen without asking it."""
        for _ in range(BROKEN_MAX):
            connection = await self.take(deadline)
            if not is_cut(connection):
                return connection
            connection.pgconn.finish()
            self.leave(connection)
        raise errors.ConnectionError("every connection to PostgreSQL was found broken", tier="database")

    async def _run_once(self, connection: Any, sql: str, params: Params, deadline: Deadline) -> Result:
        limit_ms = self._limit_ms(deadline)
        if self._pooling.is_shared(connection):
            deadline.check(
                "waiting for a connection"
            )  # two statements take so long to send that the answer could be in time
            limits = (self._policy.limits, {"timeout": str(limit_ms)})
            return await self._wire.execute_limited(connection, limits, sql, params)
        await self._limit(connection, limit_ms)
        return await self.run(connection, sql, params)

    async def begin(self, deadline: Deadline) -> Any:
        """A connection in a new transaction. PoolTimeoutError, too, where a pooler has no connection to the server for it."""
        link_by: Deadline | None = None
        for _ in range(BROKEN_MAX):
            connection = await self.take(deadline)
            if self._pooling.is_shared(connection):
                link_by = connection.limit = link_by or deadline.within(self._policy.acquire_s)
            try:
                await self.begin_on(connection, deadline)
            except BaseException as error:
                self.leave(connection, error)
                if link_by is not None and no_link(error) and link_by.remaining() == 0:
                    raise_alone(self._no_link())
                if not is_gone(error) or deadline.remaining() == 0:
                    raise
                continue
            connection.limit = deadline
            return connection
        raise errors.ConnectionError(
            "every connection to PostgreSQL was broken; the next call connects again", tier="database"
        )

    async def begin_on(self, connection: Any, deadline: Deadline) -> None:
        """The limits that the session does not have already go with the BEGIN."""
        limit_ms = self._limit_ms(deadline)
        sql = "BEGIN"
        if self._pooling.is_shared(connection):
            sql = f"BEGIN; SET LOCAL {LIMIT} = {limit_ms}; SET LOCAL jit = off"
        elif connection.statement_ms != limit_ms:
            sql = f"BEGIN; SET LOCAL {LIMIT} = {limit_ms}"
        await self.run(connection, sql, None)

    def _no_link(self) -> errors.PoolTimeoutError:
        return errors.PoolTimeoutError(
            f"no connection to PostgreSQL became free within {self._policy.acquire_s:g} s (acquire_timeout), or by the deadline; raise "
            "the pooler's pool size (pgbouncer: default_pool_size) above the number of transactions that are open at once, lower "
            "max_connections below it, or shorten transactions",
            tier="database",
        )

    def discovers_pooler(self, error: BaseException) -> bool:
        """Whether the error shows a pooler; from now on nothing is prepared, and what failed may be sent again in a new transaction."""
        return self._pooling.discovers(error)

    def _limit_ms(self, deadline: Deadline) -> int:
        """What the server should limit a statement to: what is configured, unless the call has a longer deadline of its own.

        Then a doubling of it, so that calls with about the same deadline find a connection that needs no change: it is for callers that
        are gone, and the others leave at their deadline by themselves.
        """
        seconds = self._policy.statement_s
        if deadline.own:
            remaining = deadline.remaining()
            while seconds < remaining:
                seconds *= 2
        return _ms(seconds)

    async def _limit(self, connection: Any, limit_ms: int) -> None:
        """Change the limit where the connection's last call needed another one."""
        if connection.statement_ms != limit_ms:
            connection.statement_ms = None  # until the server has answered
            await self.run(connection, f"SET {LIMIT} = {limit_ms}", None)
            connection.statement_ms = limit_ms

    def stats(self) -> PoolStats:
        """psycopg_pool would count callers as waiting that have left."""
        measured = self.raw.get_stats()
        idle = measured["pool_available"] + len(self._warm)
        in_use = max(0, measured["pool_size"] - idle)
        return PoolStats(in_use, idle, self._policy.limit, self._waiting, pooled=self._pooling.shared)


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
