"""One result that is under way, and the callers who wait for it (rule 10).

No lock: joining and resolving race, in threads, on a list and a flag. A caller appends its reply before it looks at `done`; the
resolver sets `done` before it empties the list. So each reply is resolved, or its caller sees that the flight has landed.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

from tierstore.runtime import Deadline
from tierstore.runtime.replies import Reply

Step = Callable[[Any, Deadline], Awaitable[None]]
"""What one of a flight's callers does for all of them."""


class Flight:
    """What is brought once, for all who wait; a subclass says what it is.

    `callers`: as long as there are callers. `todo`: the step that one of them is to take next. `abandoned`: all have left; who finds it
    so begins another flight.
    """

    __slots__ = ("abandoned", "callers", "done", "error", "replies", "todo", "value")

    def __init__(self) -> None:
        self.callers: list[None] = [None]
        self.todo: list[Step] = []
        self.replies: list[Reply] = []
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = self.abandoned = False

    def land(self, value: Any) -> None:
        """What the flight brought goes to all its callers."""
        self.value, self.done = value, True
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
        """Nobody brings it any more: whoever still waits begins another."""
        self.abandoned = True
        self.land(None)

    def result(self) -> Any:
        """What it brought; None if it was abandoned."""
        if self.error is not None:
            raise _own(self.error)
        return self.value


def abandon_all(flights: dict[Any, Any]) -> None:
    """After an interrupt nobody knows which of them is still brought by anybody."""
    for key, flight in list(flights.items()):
        flights.pop(key, None)
        if not flight.done:
            flight.abandon()


def _own(error: BaseException) -> BaseException:
    """A copy for this waiter: raising one object in many tasks would mix their tracebacks."""
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin
