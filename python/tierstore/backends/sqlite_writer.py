"""The one writer of an SQLite file, for both faces.

In the async face all its statements run on a thread of its own, in the order they were asked for: the loop never waits for a disk.
That order also makes leaving safe. A caller that is cancelled or late goes at once; its rollback is queued behind whatever it left
running, and only then does the next caller get its turn. In the blocking face everything runs in the caller's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tierstore import errors
from tierstore.backends import sqlite_connection
from tierstore.backends.sqlite_connection import Connection
from tierstore.backends.turns import Turns, turns
from tierstore.runtime import Deadline, Runtime

T = TypeVar("T")
OPEN_BUSY_S = 5.0


class Writer:
    """`take` a turn, `call` functions on the connection, then `commit` or `abandon`; both give the turn back."""

    def __init__(self, runtime: Runtime, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, f"tierstore {path.name}") if runtime.face == "async" else None
        self.turns: Turns = turns(runtime)
        self.connection: Connection
        self.busy = False

    def connect(self, script: str = "") -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.connection = Connection(self._path, busy_s=OPEN_BUSY_S)
        self.connection.prepare(writes=True)
        if script:
            self.connection.raw.executescript(script)

    async def take(self, deadline: Deadline) -> None:
        await self.turns.take(deadline)
        self.busy = True

    def give(self) -> None:
        self.busy = False
        self.turns.give()

    async def call(self, function: Callable[..., T], *arguments: Any, deadline: Deadline) -> T:
        """Run a function on the writer's thread. Leaving early stops the statement; what comes next waits behind it."""
        if self._thread is None:
            return function(*arguments)
        future = self._thread.submit(function, *arguments)
        try:
            return await _outcome(future, deadline)
        except (asyncio.CancelledError, _LateError):
            if not future.cancel():
                self.connection.interrupt()
            raise

    async def begin(self, bump: str | None, deadline: Deadline) -> None:
        await self.call(self._begin, bump, deadline, deadline=deadline)

    def _begin(self, bump: str | None, deadline: Deadline) -> None:
        self.connection.wait_for_others(deadline.remaining())
        self.connection.command("BEGIN IMMEDIATE")
        if bump is not None:
            self.connection.command(bump)

    async def commit(self, deadline: Deadline, idempotency_key: str | None) -> None:
        """Make the transaction durable and give the turn back.

        OutcomeUnknownError if the deadline passed while the disk was writing, or the disk refused.
        """
        if self._thread is None:
            try:
                self._commit()
            except sqlite_connection.REFUSALS as error:
                raise _refused_commit(error, idempotency_key) from error
            finally:
                self.give()
            return
        future = self._thread.submit(self._commit)
        future.add_done_callback(lambda _: self.give())
        try:
            await _outcome(future, deadline)
        except _LateError:
            raise errors.OutcomeUnknownError(
                "the deadline passed during the commit", idempotency_key=idempotency_key, tier="database"
            ) from None
        except sqlite_connection.REFUSALS as error:
            raise _refused_commit(error, idempotency_key) from error

    def _commit(self) -> None:
        try:
            self.connection.command("COMMIT")
        except BaseException:
            self.connection.roll_back()
            raise

    def abandon(self) -> None:
        """Roll back behind whatever still runs, then give the turn back. Never waits in the async face."""
        if self._thread is None:
            try:
                self.connection.roll_back()
            finally:
                self.give()
            return
        self._thread.submit(self.connection.roll_back).add_done_callback(lambda _: self.give())

    async def close(self, deadline: Deadline) -> None:
        """Close once the turn is free, or at the deadline whatever holds it."""
        with contextlib.suppress(errors.TimeoutError):
            await self.turns.take(deadline)
        if self._thread is None:
            self.connection.close()
            return
        future = self._thread.submit(self.connection.close)
        self._thread.shutdown(wait=False)
        with contextlib.suppress(_LateError):
            await _outcome(future, deadline)


class _LateError(errors.TimeoutError):
    """The deadline passed while the writer's thread was still at work."""


async def _outcome(future: Future[T], deadline: Deadline) -> T:
    wrapped = asyncio.wrap_future(future)
    try:
        await asyncio.wait({wrapped}, timeout=deadline.remaining())
    except asyncio.CancelledError:
        wrapped.add_done_callback(_seen)
        raise
    if not wrapped.done():
        wrapped.add_done_callback(_seen)
        raise _LateError(
            "the deadline passed while SQLite was writing; give the call a longer timeout=", tier="database"
        )
    return wrapped.result()


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _refused_commit(error: BaseException, idempotency_key: str | None) -> BaseException:
    if sqlite_connection.is_io(error):
        return errors.OutcomeUnknownError(f"COMMIT: {error}", idempotency_key=idempotency_key, tier="database")
    return sqlite_connection.translate(error, "COMMIT")
