"""The two forms of everything that differs between psycopg's faces: pools, statements, and finishing what a caller left.

A caller that is late or cancelled leaves its connection in the middle of a statement. The reaper cancels the statement on the server,
drains the answer, rolls back and returns the connection, within REAP_S; where that fails, or REAPED_MAX are being finished already, it
closes the connection and the pool makes another.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import psycopg
import psycopg_pool
from psycopg import waiting
from psycopg.pq import TransactionStatus

from tierstore.backends import Params, Row
from tierstore.backends.postgres.connection import ENDLESS, Adaptation, AsyncLimited, BlockingLimited, Limited
from tierstore.backends.postgres.errors import is_gone
from tierstore.backends.postgres.limited import limited
from tierstore.runtime import Deadline, Runtime

REAPED_MAX = 16
REAP_S = 3.0
CANCEL_S = 1.0
CANCEL_AGAIN_S = 0.01
DRAIN_S = 1.0
_INTERVAL_S = 0.1


class Result(NamedTuple):
    """Rows, how many were changed, and the command tag."""

    rows: list[Row]
    changed: int
    tag: str


class Wire(Protocol):
    """psycopg in one face."""

    @property
    def connection_class(self) -> type[Limited]: ...
    async def connect(self, arguments: dict[str, Any]) -> Any: ...
    def pool(self, **options: Any) -> Any:
        """A pool that is not open yet; psycopg_pool's own keywords."""
        ...

    async def open(self, pool: Any) -> None: ...
    async def get(self, pool: Any, seconds: float) -> Any: ...
    def put(self, pool: Any, connection: Any) -> None:
        """Give a connection back. Never waits in the async face."""
        ...

    async def execute(self, connection: Any, sql: str, params: Params | None) -> Result:
        """With `params` (even none of them): prepared where the connection prepares, binary results.

        With None: as plain text, perhaps several statements.
        """
        ...

    async def execute_limited(self, connection: Any, limits: tuple[str, Params], sql: str, params: Params) -> Result:
        """As `execute`, with `limits` before it, whose settings end with it; one message (`limited`)."""
        ...

    async def commit(self, connection: Any, sql: str) -> Result:
        """A COMMIT and a question behind it, in one message: the tag of the first, and the rows that answer the second."""
        ...

    async def execute_many(self, connection: Any, sql: str, many: Sequence[Params]) -> None: ...
    def reap(self, pool: Any, connection: Any) -> None:
        """Finish what a caller left, elsewhere, and give the connection back."""
        ...

    async def close(self, pools: Sequence[Any], seconds: float) -> None: ...


def wire(runtime: Runtime) -> Wire:
    return AsyncWire() if runtime.face == "async" else BlockingWire()


def connecting(arguments: dict[str, Any]) -> dict[str, Any]:
    """What both faces pass to `connect`: autocommit (transactions are begun by name), prepared at the first use."""
    return {**arguments, "autocommit": True, "prepare_threshold": 0, "context": Adaptation()}


def _open_transaction(connection: Any) -> bool:
    """Whether a rollback is due. OperationalError if the connection is still in a statement."""
    status = connection.pgconn.transaction_status
    if status == TransactionStatus.ACTIVE:
        raise psycopg.OperationalError("the statement could not be ended")
    return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class AsyncWire:
    connection_class = AsyncLimited

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._guards: set[asyncio.Task[None]] = set()
        self._reaped = 0
        self._closed = False

    async def connect(self, arguments: dict[str, Any]) -> AsyncLimited:
        return await AsyncLimited.connect(**connecting(arguments))

    def pool(self, **options: Any) -> psycopg_pool.AsyncConnectionPool[Any]:
        return psycopg_pool.AsyncConnectionPool(open=False, **options)

    async def open(self, pool: psycopg_pool.AsyncConnectionPool[Any]) -> None:
        before = asyncio.all_tasks()
        await pool.open(wait=False)
        own = {task for task in asyncio.all_tasks() - before if task.get_name().startswith(f"{pool.name}-")}
        self._keep(self._guards, _guard(own))

    async def get(self, pool: psycopg_pool.AsyncConnectionPool[Any], seconds: float) -> Any:
        """Before Python 3.12 what psycopg_pool waits with swallows a cancellation that comes together with the connection."""
        task = asyncio.current_task()
        cancelled = task.cancelling() if task is not None else 0
        connection = await pool.getconn(timeout=seconds)
        if task is not None and task.cancelling() > cancelled:
            self.put(pool, connection)
            raise asyncio.CancelledError
        return connection

    def put(self, pool: psycopg_pool.AsyncConnectionPool[Any], connection: AsyncLimited) -> None:
        """In a task of its own: a caller that is cancelled here must not lose the connection."""
        if self._closed:  # nobody would wait for the task
            connection.pgconn.finish()
        else:
            self._spawn(pool.putconn(connection))

    def _spawn(self, coroutine: Any) -> None:
        self._keep(self._tasks, coroutine)

    @staticmethod
    def _keep(tasks: set[asyncio.Task[None]], coroutine: Any) -> None:
        """The loop itself keeps no task alive."""
        task = asyncio.get_running_loop().create_task(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def execute(self, connection: AsyncLimited, sql: str, params: Params | None) -> Result:
        cursor = psycopg.AsyncCursor(connection)
        known = params is not None
        await cursor.execute(sql, params, binary=known, prepare=None if known else False)
        result = cursor.pgresult
        rows = await cursor.fetchall() if result is not None and result.nfields else []
        return Result(rows, cursor.rowcount, cursor.statusmessage or "")

    async def execute_limited(
        self, connection: AsyncLimited, limits: tuple[str, Params], sql: str, params: Params
    ) -> Result:
        return Result(*await connection.wait(limited(connection, limits, sql, params)))

    async def commit(self, connection: AsyncLimited, sql: str) -> Result:
        cursor = psycopg.AsyncCursor(connection)
        await cursor.execute(sql, prepare=False)
        tag = cursor.statusmessage or ""
        cursor.nextset()
        return Result(await cursor.fetchall(), 0, tag)

    async def execute_many(self, connection: AsyncLimited, sql: str, many: Sequence[Params]) -> None:
        await psycopg.AsyncCursor(connection).executemany(sql, many)

    def reap(self, pool: psycopg_pool.AsyncConnectionPool[Any], connection: AsyncLimited) -> None:
        if self._closed or self._reaped >= REAPED_MAX:
            connection.pgconn.finish()
            self.put(pool, connection)
            return
        self._reaped += 1
        self._spawn(self._reap(pool, connection))

    async def _reap(self, pool: psycopg_pool.AsyncConnectionPool[Any], connection: AsyncLimited) -> None:
        try:
            async with asyncio.timeout(REAP_S):
                await self._finish(connection)
        except Exception:
            connection.pgconn.finish()
        finally:
            self._reaped -= 1
            connection.committing = False
            await pool.putconn(connection)

    async def _finish(self, connection: AsyncLimited) -> None:
        statement, connection.abandoned, connection.limit = connection.abandoned, None, None
        if statement is not None:
            if not connection.committing:
                await connection.cancel_safe(timeout=CANCEL_S)
            try:
                await waiting.wait_async(statement, connection.pgconn.socket, _INTERVAL_S, DRAIN_S)
            except psycopg.Error as error:
                if is_gone(error):
                    raise
        if _open_transaction(connection):
            connection.limit = ENDLESS
            await connection.rollback()
            connection.limit = None

    async def close(self, pools: Sequence[psycopg_pool.AsyncConnectionPool[Any]], seconds: float) -> None:
        self._closed = True
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        for pool in pools:
            await pool.close(timeout=max(seconds, 0.1))
        guards = set(self._guards)
        for guard in guards:
            guard.cancel()
        if guards:
            await asyncio.wait(guards)


async def _guard(tasks: set[asyncio.Task[Any]]) -> None:
    """Ends with psycopg_pool's own tasks. They may swallow a cancellation: a worker, whatever it does when it comes; before Python 3.12 its
    scheduler, if it was about to wake up. Who closes the loop cancels each task once, this one too, and would wait for them for ever.
    """
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        _cancel_until_done(tasks)
        raise


def _cancel_until_done(tasks: set[asyncio.Task[Any]]) -> None:
    left = {task for task in tasks if not task.done()}
    for task in left:
        task.cancel()
    if left:
        asyncio.get_running_loop().call_later(CANCEL_AGAIN_S, _cancel_until_done, left)


class Lender:
    """Does one thing after the other on a thread of its own, for a caller that may be interrupted while it waits."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def lend(self, function: Callable[[], Any]) -> Any:
        request = self.submit(function)
        request.answered.acquire()
        if request.error is not None:
            raise request.error
        return request.result

    def submit(self, function: Callable[[], Any]) -> _Request:
        """Without waiting for it."""
        if self._thread is None or not self._thread.is_alive():  # not yet, or interrupted before it was started
            self._thread = threading.Thread(target=self._run, name="tierstore postgres lender", daemon=True)
            self._thread.start()
        request = _Request(function)
        self._asked.put(request)
        return request

    def _run(self) -> None:
        while (request := self._asked.get()) is not None:
            try:
                request.result = request.function()
            except BaseException as error:
                request.error = error
            request.answered.release()
            del request  # a caller who has gone leaves what it asked for to `lost_to`

    def close(self, seconds: float) -> None:
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join(seconds)


class _Request:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.result: Any = None
        self.error: BaseException | None = None
        self.answered = threading.Lock()
        self.answered.acquire()


class BlockingWire:
    connection_class = BlockingLimited

    def __init__(self) -> None:
        self._left: queue.SimpleQueue[tuple[Any, BlockingLimited, float] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._reaper: threading.Thread | None = None
        self._lender = Lender()
        self._closed = False

    async def connect(self, arguments: dict[str, Any]) -> BlockingLimited:
        return BlockingLimited.connect(**connecting(arguments))

    def pool(self, **options: Any) -> psycopg_pool.ConnectionPool[Any]:
        return psycopg_pool.ConnectionPool(open=False, **options)

    async def open(self, pool: psycopg_pool.ConnectionPool[Any]) -> None:
        self._start_reaper()
        pool.open(wait=False)

    async def get(self, pool: psycopg_pool.ConnectionPool[Any], seconds: float) -> Any:
        """In the thread that signals interrupt, psycopg_pool's own steps are left to another: they must not be interrupted half way."""
        if threading.current_thread() is not threading.main_thread():
            return self._lent(pool, seconds)
        return self._lender.lend(partial(self._lent, pool, seconds))

    def _lent(self, pool: psycopg_pool.ConnectionPool[Any], seconds: float) -> Any:
        connection = pool.getconn(timeout=seconds)
        connection.lost_to = partial(self._lost, pool)
        return connection

    def _lost(self, pool: psycopg_pool.ConnectionPool[Any], connection: BlockingLimited) -> None:
        """Its caller was interrupted, and nobody has it any more."""
        if not pool.closed:
            self._left.put((pool, connection, 0.0))

    def put(self, pool: psycopg_pool.ConnectionPool[Any], connection: BlockingLimited) -> None:
        if self._closed:
            connection.lost_to = None
            connection.pgconn.finish()
        elif threading.current_thread() is threading.main_thread() and not sys.is_finalizing():
            self._lender.submit(partial(self._put, pool, connection))
        else:
            self._put(pool, connection)

    def _put(self, pool: psycopg_pool.ConnectionPool[Any], connection: BlockingLimited) -> None:
        connection.lost_to = None
        pool.putconn(connection)

    async def execute(self, connection: BlockingLimited, sql: str, params: Params | None) -> Result:
        cursor = psycopg.Cursor(connection)
        known = params is not None
        cursor.execute(sql, params, binary=known, prepare=None if known else False)
        result = cursor.pgresult
        rows = cursor.fetchall() if result is not None and result.nfields else []
        return Result(rows, cursor.rowcount, cursor.statusmessage or "")

    async def execute_limited(
        self, connection: BlockingLimited, limits: tuple[str, Params], sql: str, params: Params
    ) -> Result:
        return Result(*connection.wait(limited(connection, limits, sql, params)))

    async def commit(self, connection: BlockingLimited, sql: str) -> Result:
        cursor = psycopg.Cursor(connection)
        cursor.execute(sql, prepare=False)
        tag = cursor.statusmessage or ""
        cursor.nextset()
        return Result(cursor.fetchall(), 0, tag)

    async def execute_many(self, connection: BlockingLimited, sql: str, many: Sequence[Params]) -> None:
        psycopg.Cursor(connection).executemany(sql, many)

    def reap(self, pool: psycopg_pool.ConnectionPool[Any], connection: BlockingLimited) -> None:
        if self._closed or sys.is_finalizing():  # a transaction that nobody ended: no thread is there for it any more
            connection.pgconn.finish()
            return
        if self._left.qsize() >= REAPED_MAX:
            connection.pgconn.finish()
            self._put(pool, connection)
            return
        self._left.put((pool, connection, time.monotonic() + REAP_S))

    def _start_reaper(self) -> None:
        with self._lock:
            if self._reaper is None:
                self._reaper = threading.Thread(target=self._reap, name="tierstore postgres reaper", daemon=True)
                self._reaper.start()

    def _reap(self) -> None:
        while (left := self._left.get()) is not None:
            pool, connection, ends_at = left
            try:
                if time.monotonic() > ends_at:
                    raise psycopg.OperationalError("the time ran out while other connections were ended")
                self._finish(connection, Deadline(time.monotonic, ends_at))
            except Exception:
                connection.pgconn.finish()
            connection.committing = False
            self._put(pool, connection)
            del connection, left  # while this thread waits, nobody has it but the pool

    def _finish(self, connection: BlockingLimited, deadline: Deadline) -> None:
        statement, connection.abandoned, connection.limit = connection.abandoned, None, None
        if statement is not None:
            if not connection.committing:
                connection.cancel_safe(timeout=CANCEL_S)
            try:
                waiting.wait(statement, connection.pgconn.socket, _INTERVAL_S, DRAIN_S)
            except psycopg.Error as error:
                if is_gone(error):
                    raise
        if _open_transaction(connection):
            connection.limit = deadline
            connection.rollback()
            connection.limit = None

    async def close(self, pools: Sequence[psycopg_pool.ConnectionPool[Any]], seconds: float) -> None:
        self._closed = True
        if self._reaper is not None:
            self._left.put(None)
            self._reaper.join(seconds)
        self._lender.close(seconds)
        for pool in pools:
            pool.close(timeout=max(seconds, 0.1))
