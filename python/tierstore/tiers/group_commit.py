"""Group commit: writes that are asked for at the same time share a transaction, and each is acknowledged by its commit.

The first caller opens a transaction for its own write; who comes meanwhile goes with the next one. A lone caller waits for nobody. A
transaction belongs to none of its callers: one that is cancelled or late leaves the others aboard, and when all have left it is stopped.
Where the database refuses a transaction of several, or a lock in its way is not released soon, each caller does its own write alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from tierstore.errors import (
    ClosedError,
    ConnectionError,
    OutcomeUnknownError,
    PoolTimeoutError,
    StorageError,
    TimeoutError,
)
from tierstore.runtime import Deadline
from tierstore.runtime.errands import Errand
from tierstore.tiers import session
from tierstore.tiers.coalesce import Coalescer, settle
from tierstore.tiers.flight import Flight
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


class _Seat(Flight):
    """One caller's write. `ride`: the transaction that it is in; `position`: where the log stood after it, if it changed anything."""

    __slots__ = ("deadline", "item", "position", "ride")

    def __init__(self, item: object, deadline: Deadline) -> None:
        super().__init__()
        self.item = item
        self.deadline = deadline
        self.ride: _Ride | None = None
        self.position: str | None = None

    def depart(self) -> bool:
        """The caller leaves, and nobody takes the seat aboard any more. Whether it had its answer already."""
        landed, self.done = self.done, True
        if self.ride is not None:
            self.ride.left()
        return landed


class _Ride:
    """A transaction under way, and those who are in it."""

    __slots__ = ("errand", "seats")

    def __init__(self, seats: list[_Seat], errand: Errand) -> None:
        self.seats = seats
        self.errand = errand

    def left(self) -> None:
        if all(seat.done for seat in self.seats):
            self.errand.stop()


class GroupCommit(Generic[I, A]):
    """`apply` does several writes in the transaction that is given, and answers for each what its caller gets or is to be raised."""

    def __init__(self, engine: Engine, apply: Apply[I, A]) -> None:
        self._engine = engine
        self.apply = apply
        self._rides = Coalescer(engine.runtime, self._run, most=MOST_WRITES)

    async def write(self, item: I, deadline: Deadline) -> A:
        """What `apply` answered for the item, committed. OutcomeUnknownError where that cannot be known."""
        self._engine.check_writable()
        deadline.check("beginning a write")
        seat = _Seat(item, deadline)
        try:
            await self._rides.take([seat], deadline)
            await settle(self._engine.runtime, seat, (self._rides,), deadline)
        except BaseException as error:
            landed = seat.depart()
            if not landed or not isinstance(error, TimeoutError):
                if seat.ride is not None and isinstance(error, TimeoutError):
                    raise OutcomeUnknownError(UNKNOWN, tier="database") from error
                raise
        answer: A = seat.result()
        if seat.position is not None:
            session.session_of(self._engine.number).wrote(seat.position)
        return answer

    async def _run(self, seats: list[_Seat], own: Deadline) -> None:
        aboard = [seat for seat in seats if not seat.done]
        if not aboard:
            return
        runtime, deadline = self._engine.runtime, own
        if runtime.face == "async":  # in the blocking face the errand is done here, and ends when this caller must
            deadline = max((seat.deadline for seat in aboard), key=lambda deadline: deadline.at)
        ride = _Ride(aboard, runtime.errand(self._carry(aboard, deadline)))
        for seat in aboard:
            seat.ride = ride
        try:
            await ride.errand.wait(own.at + (GRACE_S if deadline is own else 0.0))
        except BaseException:
            seats.clear()  # they stay aboard: nobody else may take them
            raise

    async def _carry(self, seats: list[_Seat], deadline: Deadline) -> None:
        """The writes of the seats in one transaction. Ends with each seat answered, or left to its caller."""
        try:
            await self._commit(seats, deadline)
        except Exception as error:
            if len(seats) > 1 and isinstance(error, StorageError) and not isinstance(error, _FOR_ALL):
                self._part(seats)
            else:
                _fail(seats, error)
        except BaseException:
            _fail(seats, OutcomeUnknownError(UNKNOWN, tier="database"))
            raise

    def _part(self, seats: list[_Seat]) -> None:
        """The transaction was rolled back: each caller does its own write."""
        for seat in seats:
            seat.ride = None
            seat.next_step(self._alone)

    async def _alone(self, seat: _Seat, deadline: Deadline) -> None:
        await self._carry([seat], deadline)

    async def _commit(self, seats: list[_Seat], deadline: Deadline) -> None:
        several, own = len(seats) > 1, session.Session()
        if several:
            deadline = deadline.shared()
        async with self._engine.write(
            deadline=deadline, reader=own, patience_s=PATIENCE_S if several else None
        ) as write:
            answers = await self.apply(write, [seat.item for seat in seats])  # type: ignore[misc]  # items are what callers gave
            if not several and isinstance(answers[0], StorageError):
                raise answers[0]
        for seat, answer in zip(seats, answers, strict=True):
            if isinstance(answer, StorageError):
                seat.fail(answer)
            else:
                seat.position = own.position
                seat.land(answer)


def _fail(seats: list[_Seat], error: BaseException) -> None:
    for seat in seats:
        if not seat.done:
            seat.fail(error)


_FOR_ALL = (OutcomeUnknownError, ConnectionError, PoolTimeoutError, ClosedError)
"""Errors that would meet each caller alone as well, or after which nobody may try again."""
