"""The one writer of an SQLite file, for both faces.

In the async face all its statements run on a thread of its own, in the order they were asked for: the loop never waits for a disk.
That order also makes leaving safe. A caller that is cancelled or late goes at once; its rollback is queued behind whatever it left
running, and only then does the next caller get its turn. In the blocking face everything runs in the caller's thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tierstore import errors
from tierstore.backends import forks
from tierstore.backends.held import Held
from tierstore.backends.private import make_file, make_folder
from tierstore.backends.sqlite.connection import REFUSALS, Connection, is_io, translate
from tierstore.backends.sqlite.turns import LoopTurn, LoopTurns, ThreadTurn, ThreadTurns, Turns, turns
from tierstore.errors import raise_alone
from tierstore.runtime import Deadline, Runtime

T = TypeVar("T")
OPEN_BUSY_S = 5.0


class Writer:
    """Take a `turn`, `call` functions on the connection, `commit`; at the end `undo` what was not committed, and give the turn back.

    Whoever does so writes that end out in a `finally` of its own (see `SqliteRecords.script`): a function round it could be interrupted
    when it is entered.
    """

    def __init__(self, runtime: Runtime, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, f"tierstore {path.name}") if runtime.face == "async" else None
        self.turns: Turns = turns(runtime)
        self.connection: Connection
        self.held = Held((), tier="database")

    def connect(self, script: str = "") -> None:
        make_folder(self.path.parent)
        make_file(self.path)
        self.connection = Connection(self.path, busy_s=OPEN_BUSY_S)
        self.connection.prepare(writes=True, script=script)
        self.held = Held((self.path, self.path.with_name(f"{self.path.name}-wal")), tier="database")
        forks.pause_while_forking(self)

    @property
    def busy(self) -> bool:
        return self.turns.busy

    def turn(self) -> WriterTurn:
        if isinstance(self.turns, LoopTurns):
            assert self._thread is not None  # noqa: S101  (the async face has one)
            return _QueuedTurn(self.turns, self._thread, self.connection)
        return _DirectTurn(self.turns, self.connection)

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
        forks.check_whole(self.path)
        self.connection.wait_for_others(deadline.remaining())
        self.connection.command("BEGIN IMMEDIATE")
        if bump is not None:
            self.connection.command(bump)

    async def commit(self, turn: WriterTurn, deadline: Deadline, idempotency_key: str | None) -> None:
        """Make the transaction durable.

        OutcomeUnknownError if the deadline passed while the disk was writing, or the disk refused.
        """
        try:
            if isinstance(turn, _QueuedTurn):
                await _outcome(turn.work(self._commit), deadline)
            else:
                self._commit()
        except _LateError:
            raise_alone(
                errors.OutcomeUnknownError(
                    "the deadline passed during the commit; call again with the same idempotency_key",
                    idempotency_key=idempotency_key,
                    tier="database",
                )
            )
        except REFUSALS as error:
            raise_alone(refused_commit(error, "COMMIT", idempotency_key))

    def _commit(self) -> None:
        try:
            self.held.check()
            self.connection.command("COMMIT")
        except BaseException:
            self.connection.roll_back()
            raise

    async def at_once(self, turn: WriterTurn, work: Callable[[], T], deadline: Deadline) -> T:
        """A transaction that `work` does from its beginning to its end, in one step of the writer's thread.

        OutcomeUnknownError where the deadline passed meanwhile: nobody knows how far it was.
        """
        if not isinstance(turn, _QueuedTurn):
            return work()
        try:
            return await _outcome(turn.work(work), deadline)
        except (asyncio.CancelledError, _LateError) as error:
            self.connection.interrupt()
            if isinstance(error, asyncio.CancelledError):
                raise
            raise_alone(
                errors.OutcomeUnknownError(
                    "the deadline passed while SQLite was writing: it may or may not be stored; read it, or call again",
                    tier="database",
                )
            )

    def transact(self, statements: Callable[[], T], ends_at: float) -> T:
        """Begin, do the statements, commit; undone where one of them fails."""
        forks.check_whole(self.path)
        connection = self.connection
        connection.wait_until(ends_at)
        connection.command("BEGIN IMMEDIATE")
        try:
            answer = statements()
            self.held.check()
            connection.command("COMMIT")
        except BaseException:
            connection.roll_back()
            raise
        return answer

    async def close(self, deadline: Deadline) -> None:
        """Close once the turn is free, or at the deadline whatever holds it."""
        with contextlib.suppress(errors.TimeoutError):
            await self.turns.turn().take(deadline)
        forks.fork_at_any_time(self)
        if self._thread is None:
            self.connection.close()
            return
        future = self._thread.submit(self.connection.close)
        self._thread.shutdown(wait=False)
        with contextlib.suppress(_LateError):
            await _outcome(future, deadline)

    # Forks

    def pause(self, seconds: float) -> Callable[[], object] | None:
        """Let no transaction be open: what goes on afterwards, or None where one did not end within `seconds`."""
        if isinstance(self.turns, ThreadTurns):
            turn = self.turns.turn()
            return turn.give if turn.acquire(seconds) else None
        return self._pause_loop(self.turns, seconds)

    def _pause_loop(self, turns: LoopTurns, seconds: float) -> Callable[[], object] | None:
        """From another thread the loop's next turn can be waited for; on the loop's own, only what the writer's thread is just doing."""
        loop = turns.loop
        if loop.is_running() and asyncio._get_running_loop() is not loop:
            turn = turns.turn()
            taking = asyncio.run_coroutine_threadsafe(
                turn.take(Deadline(time.monotonic, time.monotonic() + seconds)), loop
            )
            try:
                taking.result(2 * seconds)
            except (errors.TimeoutError, concurrent.futures.TimeoutError):
                taking.add_done_callback(lambda _: turn.give())  # if it comes after all
                return None
            return turn.give
        assert self._thread is not None  # noqa: S101  (the async face has one)
        with contextlib.suppress(RuntimeError, concurrent.futures.TimeoutError):  # closed; still at work
            self._thread.submit(_nothing).result(seconds)
            return None if self.connection.raw.in_transaction else _nothing
        return None


class WriterTurn(Protocol):
    """`turns.Turn`, with the transaction that is written in it."""

    @property
    def held(self) -> object: ...
    async def take(self, deadline: Deadline) -> None: ...
    def undo(self) -> object:
        """Roll back what is not committed, before the turn is given."""
        ...

    def give(self) -> object: ...


class _DirectTurn(ThreadTurn):
    """In the caller's thread. `undo` is one step, as `give` is: the caller may be interrupted before or after, but not within."""

    def __init__(self, turns: ThreadTurns, connection: Connection) -> None:
        super().__init__(turns)
        self.undo: Callable[[], object] = connection.raw.rollback


class _QueuedTurn(LoopTurn):
    """On the writer's thread, behind what still runs there. Never waits."""

    def __init__(self, turns: LoopTurns, thread: ThreadPoolExecutor, connection: Connection) -> None:
        super().__init__(turns)
        self._thread = thread
        self._connection = connection

    def work(self, function: Callable[[], T]) -> Future[T]:
        """The turn's last work: the turn is given back after it."""
        future = self._thread.submit(function)
        self.give_after(future)
        return future

    def undo(self) -> None:
        with contextlib.suppress(RuntimeError):  # the writer was closed meanwhile, and with it the transaction
            self.work(self._connection.roll_back)


def _nothing() -> None:
    return None


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


def refused_commit(error: BaseException, doing: str, idempotency_key: str | None) -> BaseException:
    """The error of what may have been a commit."""
    if is_io(error):
        return errors.OutcomeUnknownError(f"{doing}: {error}", idempotency_key=idempotency_key, tier="database")
    return translate(error, doing)
