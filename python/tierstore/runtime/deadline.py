"""The moment by which a call must have answered."""

from __future__ import annotations

from collections.abc import Callable

from tierstore.errors import TimeoutError


class Deadline:
    """The moment, on the runtime's monotonic clock, by which a call must have answered.

    `own`: the caller named it, or the call is a bulk one: a single statement may take all of it. Without it the limit that the database
    sets to any statement holds too.
    """

    __slots__ = ("_clock", "at", "own")

    def __init__(self, clock: Callable[[], float], at: float, *, own: bool = False) -> None:
        self._clock = clock
        self.at = at
        self.own = own

    def now(self) -> float:
        """What its clock shows."""
        return self._clock()

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - self._clock())

    def within(self, seconds: float) -> Deadline:
        """The sooner of this deadline and `seconds` from now: the budget of one step."""
        return Deadline(self._clock, min(self.at, self._clock() + seconds), own=self.own)

    def shared(self) -> Deadline:
        """The same moment, for work that is not one caller's alone."""
        return Deadline(self._clock, self.at)

    def check(self, doing: str) -> None:
        """Raise TimeoutError if the moment has passed."""
        if self._clock() >= self.at:
            raise TimeoutError(f"the deadline passed while {doing}; give the call a longer timeout=")
