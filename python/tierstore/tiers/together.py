"""Group commit: writes that are asked for at the same time share a transaction, and each is acknowledged by its commit.

The first caller opens a transaction for its own write; who comes meanwhile goes with the next one. A lone caller waits for nobody. The
writes must be such that doing one again answers what the first time answered: when the caller that runs a transaction is cancelled, or
its deadline comes first, the others' writes are done again by one of them, and nobody knows how far the first attempt had come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from tierstore.errors import ConnectionError, OutcomeUnknownError, StorageError, TimeoutError
from tierstore.runtime import Deadline
from tierstore.tiers import session
from tierstore.tiers.coalesce import OVER_S, Coalescer, settle
from tierstore.tiers.flight import Flight, Outcome
from tierstore.tiers.transaction import Transaction

if TYPE_CHECKING:
    from tierstore.tiers.engine import Engine

I = TypeVar("I")  # noqa: E741
A = TypeVar("A")
MOST_WRITES = 64
Apply = Callable[[Transaction, Sequence[I]], Awaitable[list[A | StorageError]]]
UNKNOWN = (
    "the caller left while its write was under way with others: it may or may not be committed; ask, or call again"
)


class _Seat(Flight):
    """One caller's write. `aboard`: it may have been done."""

    __slots__ = ("aboard", "item", "position", "wrote")

    def __init__(self, item: object) -> None:
        super().__init__(None, None, 0)
        self.item = item
        self.aboard = self.wrote = False
        self.position: str | None = None


class Together(Generic[I, A]):
    """`apply` does several writes in the transaction that is given, and answers for each what its caller gets or is to be raised."""

    def __init__(self, engine: Engine, apply: Apply[I, A]) -> None:
        self._engine = engine
        self._apply = apply
        self._rides = Coalescer(engine.runtime, self._run, most=MOST_WRITES)

    async def write(self, item: I, deadline: Deadline) -> A:
        """What `apply` answered for the item, committed. OutcomeUnknownError where that cannot be known."""
        self._engine.check_writable()
        seat = _Seat(item)
        try:
            await self._rides.take([seat], deadline)
            await settle(self._engine.runtime, seat, (self._rides,), deadline)
        except BaseException as error:
            landed, seat.done = seat.done, True  # from here on nobody takes it aboard
            if not landed or not isinstance(error, TimeoutError):
                if seat.aboard and isinstance(error, TimeoutError):
                    raise OutcomeUnknownError(UNKNOWN, tier="database") from error
                raise
        answer: A = seat.result().value
        if seat.wrote:
            own = session.session_of(self._engine.number)
            own.position, own.unplaced = seat.position or own.position, seat.position is None
        return answer

    async def _run(self, flights: list[Flight], deadline: Deadline) -> None:
        seats = []
        for seat in flights:
            assert isinstance(seat, _Seat)  # noqa: S101  (this coalescer has no others)
            seat.aboard = True
            if not seat.done:
                seats.append(seat)
        try:
            await self._commit(seats, deadline)
        except OutcomeUnknownError:
            raise
        except StorageError as error:
            for seat in seats:
                seat.aboard = False  # it was rolled back
            if len(seats) == 1 or isinstance(error, (ConnectionError, TimeoutError)):
                raise
            await self._one_by_one(seats, deadline)  # the database refused all of them for one

    async def _one_by_one(self, seats: list[_Seat], deadline: Deadline) -> None:
        for seat in seats:
            if seat.done:  # its caller has left
                continue
            seat.aboard = True
            try:
                await self._commit([seat], deadline)
            except StorageError as error:
                seat.aboard = isinstance(error, OutcomeUnknownError)
                if isinstance(error, TimeoutError) and deadline.remaining() <= OVER_S:
                    raise
                seat.fail(error)

    async def _commit(self, seats: list[_Seat], deadline: Deadline) -> None:
        engine = self._engine
        async with engine.write(deadline=deadline) as write:
            answers = await self._apply(write, [seat.item for seat in seats])  # type: ignore[misc]  # items are what callers gave
            if len(seats) == 1 and isinstance(answers[0], StorageError):
                raise answers[0]
        known = session.known_session(engine.number)
        position = None if known is None or known.unplaced else known.position
        for seat, answer in zip(seats, answers, strict=True):
            if isinstance(answer, StorageError):
                seat.fail(answer)
            else:
                seat.wrote, seat.position = write.told, position
                seat.land(Outcome(answer, 0))
