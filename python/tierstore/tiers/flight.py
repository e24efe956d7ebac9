"""One load of one key that is under way, and those who wait for it (rule 10).

No lock: joining and resolving race, in threads, on a list and a flag. A caller appends its reply before it looks at `done`; the
resolver sets `done` before it empties the list. So each reply is resolved, or its caller sees that the flight has landed.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, NamedTuple

from tierstore.runtime import Deadline
from tierstore.runtime.replies import Reply


class Lease(NamedTuple):
    """The right to fill one key of L2."""

    token: bytes
    seeding: bool


Step = Callable[["Flight", Deadline], Awaitable[None]]


class Flight:
    """Everything that the stages keep of a key while it is loaded.

    `callers`: as long as there are callers. `todo`: the step that one of them is to take next. `abandoned`: all have left; who finds it
    so begins another flight.
    """

    __slots__ = (
        "abandoned", "callers", "done", "epoch", "error", "key", "l2_key", "lease", "polls", "replies", "stale", "ticket", "todo", "value",
    )  # fmt: skip

    def __init__(self, key: Hashable, ticket: Any, epoch: int) -> None:
        self.key = key
        self.ticket = ticket
        self.epoch = epoch
        self.l2_key = ""
        self.lease: Lease | None = None
        self.polls = 0
        self.callers: list[None] = [None]
        self.todo: list[Step] = []
        self.replies: list[Reply] = []
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = self.abandoned = self.stale = False

    def land(self, value: Any, *, stale: bool = False) -> None:
        """What the flight brought goes to all its callers. `stale`: it stands in for a database that failed."""
        self.value, self.stale, self.done = value, stale, True
        replies = self.replies
        while replies:
            replies.pop().resolve(None)

    def fail(self, error: BaseException) -> None:
        """Every waiter gets the error once; it is not kept."""
        self.error = error
        self.land(None)

    def wake_one(self, value: object = None) -> bool:
        """Tell one caller that still waits to look again; whether there was one."""
        replies = self.replies
        while replies:
            if replies.pop().resolve(value):
                return True
        return False

    def settled_meanwhile(self) -> bool:
        """For a caller that has just left its reply: whether it need not wait for it."""
        return self.done or bool(self.todo)

    def next_step(self, step: Step) -> None:
        """Leave the next step to one of the callers."""
        self.todo.append(step)
        self.wake_one()

    def join(self) -> None:
        self.callers.append(None)

    def leave(self) -> bool:
        """A caller goes before the flight has landed. Whether it was the last: then the flight is abandoned."""
        self.callers.pop()
        if self.done:
            return False
        if self.callers:
            if self.todo:
                self.wake_one()
            return False
        self.abandon()
        return True

    def abandon(self) -> None:
        """Nobody loads it any more: whoever still waits begins another."""
        self.abandoned = True
        self.land(None)

    @staticmethod
    def abandon_all(flights: dict[Any, Flight]) -> None:
        """After an interrupt nobody knows which of them is still loaded by anybody."""
        for key, flight in list(flights.items()):
            flights.pop(key, None)
            if not flight.done:
                flight.abandon()

    def result(self) -> Any:
        """What it brought; None if it was abandoned."""
        if self.error is not None:
            raise _own(self.error)
        return self.value


def _own(error: BaseException) -> BaseException:
    """A copy for this waiter: raising one object in many tasks would mix their tracebacks."""
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin
