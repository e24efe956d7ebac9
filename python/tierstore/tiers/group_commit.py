"""Group commit: writes that are asked for at the same time share a transaction, and each is acknowledged by its commit.

The first caller opens a transaction for its own write; who comes meanwhile goes with the next one. A lone caller waits for nobody. A
transaction belongs to none of its callers: one that is cancelled or late leaves the others in it, and when all have left it is stopped.
Where the database refuses a transaction of several, or a lock in its way is not released soon, each caller does its own write alone.

`GroupStatement` is the same for writes that one query does, of what no cache holds: that query is the transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from tierstore.backends import Params
from tierstore.errors import (
    ClosedError,
    ConnectionError,
    OutcomeUnknownError,
    PoolTimeoutError,
    StorageError,
    TimeoutError,
    raise_alone,
)
from tierstore.runtime import Deadline
from tierstore.runtime.coalesce import Coalescer, settle
from tierstore.runtime.detached import DetachedTask
from tierstore.runtime.flight import Flight
from tierstore.tiers import session
from tierstore.tiers.transaction import Transaction

if TYPE_CHECKING:
    from tierstore.tiers.engine import Engine

I = TypeVar("I")  # noqa: E741
A = TypeVar("A")
MOST_WRITES = 64
PATIENCE_S = 0.1
"""How long a transaction of several waits for a lock of another one."""
GRACE_S = 1.0
"""For a transaction that ends with its caller's own deadline: it knows better than the clock whether it was rolled back."""
Apply = Callable[[Transaction, Sequence[I]], Awaitable[list[A | StorageError]]]
UNKNOWN = "the caller left while its write was committed together with others: it may or may not be stored; read it, or call again"


class _PendingWrite(Flight):
    """One caller's write. `shared`: the transaction that it is in; `position`: where the log stood after it, if it changed anything."""

    __slots__ = ("deadline", "item", "position", "shared")

    def __init__(self, item: object, deadline: Deadline) -> None:
        super().__init__()
        self.item = item
        self.deadline = deadline
        self.shared: _SharedTransaction | None = None
        self.position: str | None = None

    def depart(self) -> bool:
        """The caller leaves, and no transaction takes the write any more. Whether it had its result already."""
        landed, self.done = self.done, True
        if self.shared is not None:
            self.shared.left()
        return landed


class _SharedTransaction:
    """A transaction under way, and those who are in it."""

    __slots__ = ("pending", "task")

    def __init__(self, pending: list[_PendingWrite], task: DetachedTask) -> None:
        self.pending = pending
        self.task = task

    def left(self) -> None:
        if all(write.done for write in self.pending):
            self.task.stop()


class GroupCommit(Generic[I, A]):
    """`apply` does several writes in the transaction that is given, and returns for each what its caller gets, or the error to raise."""

    def __init__(self, engine: Engine, apply: Apply[I, A]) -> None:
        self._engine = engine
        self.apply = apply
        self._batches = Coalescer(engine.runtime, self._run, most=MOST_WRITES)

    async def write(self, item: I, deadline: Deadline) -> A:
        """Return what `apply` returned for the item, committed. OutcomeUnknownError where that cannot be known."""
        self._engine.check_writable()
        deadline.check("beginning a write")
        write = _PendingWrite(item, deadline)
        try:
            await self._batches.take([write], deadline)
            await settle(self._engine.runtime, write, (self._batches,), deadline)
        except BaseException as error:
            landed = write.depart()
            if not landed or not isinstance(error, TimeoutError):
                if write.shared is not None and isinstance(error, TimeoutError):
                    raise_alone(OutcomeUnknownError(UNKNOWN, tier="database"))
                raise
        answer: A = write.result()
        if write.position is not None:
            session.session_of(self._engine.number).wrote(write.position)
        return answer

    async def _run(self, pending: list[_PendingWrite], own: Deadline) -> None:
        waited_for = [write for write in pending if not write.done]
        if not waited_for:
            return
        runtime, deadline = self._engine.runtime, own
        if runtime.face == "async":  # in the blocking face the task is done here, and ends when this caller must
            deadline = max((write.deadline for write in waited_for), key=lambda deadline: deadline.at)
        shared = _SharedTransaction(waited_for, runtime.detach(self._carry(waited_for, deadline)))
        for write in waited_for:
            write.shared = shared
        try:
            await shared.task.wait(own.at + (GRACE_S if deadline is own else 0.0))
        except BaseException:
            pending.clear()  # they stay in their transaction: nobody else may take them
            raise

    async def _carry(self, pending: list[_PendingWrite], deadline: Deadline) -> None:
        """Do the pending writes in one transaction. Ends when each has its result, or is left to its caller."""
        try:
            await self._commit(pending, deadline)
        except Exception as error:
            if len(pending) > 1 and isinstance(error, StorageError) and not isinstance(error, _FOR_ALL):
                self._part(pending)
            else:
                _fail(pending, error)
        except BaseException:
            _fail(pending, OutcomeUnknownError(UNKNOWN, tier="database"))
            raise

    def _part(self, pending: list[_PendingWrite]) -> None:
        """The transaction was rolled back: each caller does its own write."""
        for write in pending:
            write.shared = None
            write.next_step(self._alone)

    async def _alone(self, write: _PendingWrite, deadline: Deadline) -> None:
        await self._carry([write], deadline)

    async def _commit(self, pending: list[_PendingWrite], deadline: Deadline) -> None:
        several, own = len(pending) > 1, session.Session()
        if several:
            deadline = deadline.shared()
        async with self._engine.write(
            deadline=deadline, reader=own, patience_s=PATIENCE_S if several else None
        ) as transaction:
            answers = await self.apply(transaction, [write.item for write in pending])  # type: ignore[misc]  # items are what callers gave
            if not several and isinstance(answers[0], StorageError):
                raise answers[0]
        for write, answer in zip(pending, answers, strict=True):
            if isinstance(answer, StorageError):
                write.fail(answer)
            else:
                write.position = own.position
                write.land(answer)


class GroupStatement(GroupCommit[I, None]):
    """`query` does several writes. `params` makes its parameters of them, and of its patience: a lock_timeout in ms, zero for none."""

    def __init__(self, engine: Engine, query: str, params: Callable[[Sequence[I], str], Params]) -> None:
        super().__init__(engine, self._in_transaction)
        self._query = query
        self._params = params

    async def _in_transaction(self, write: Transaction, items: Sequence[I]) -> list[StorageError | None]:
        await write.unit.fetch(self._query, self._params(items, patience(write.patience_s)))
        return [None] * len(items)

    async def _commit(self, pending: list[_PendingWrite], deadline: Deadline) -> None:
        several = len(pending) > 1
        params = self._params([write.item for write in pending], patience(PATIENCE_S if several else None))  # type: ignore[misc]  # items are what callers gave
        await self._engine.statement(self._query, params, deadline.shared() if several else deadline)
        for write in pending:
            write.land(None)


def patience(seconds: float | None) -> str:
    """PostgreSQL's lock_timeout for a transaction: in milliseconds, zero for none."""
    return "0" if seconds is None else str(int(seconds * 1000))


def _fail(pending: list[_PendingWrite], error: BaseException) -> None:
    for write in pending:
        if not write.done:
            write.fail(error)


_FOR_ALL = (OutcomeUnknownError, ConnectionError, PoolTimeoutError, ClosedError)
"""Errors that would meet each caller alone as well, or after which nobody may try again."""
