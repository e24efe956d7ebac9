"""Rule 5: how fresh what this process knows is, without comparing wall clocks."""

from __future__ import annotations

from collections.abc import Callable

from tierstore._native import FreshUntil

HORIZON_S = 2.0
"""H of coherence.md: L1 and L2 count as fresh while the last echoed ping was sent less than this ago."""
ALWAYS = float("inf")


class Freshness(FreshUntil):
    """`until`, the monotonic second up to which hits count as fresh, is read with every hit, by native code."""

    __slots__ = ("_clock", "horizon_s")

    def __init__(self, clock: Callable[[], float], *, carried: bool, horizon_s: float = HORIZON_S) -> None:
        """`carried`: some carrier reports what others change. Without one nobody else does, and hits are always fresh."""
        self._clock = clock
        self.horizon_s = horizon_s
        self.until = -ALWAYS if carried else ALWAYS

    def echo(self, sent_at: float) -> None:
        """All that was committed before `sent_at` has been delivered."""
        self.until = max(self.until, sent_at + self.horizon_s)

    def end(self) -> None:
        """Nothing is fresh any more, before another echo: the store is closing, or what was heard of is replaced."""
        self.until = -ALWAYS

    def is_fresh(self) -> bool:
        return self._clock() < self.until

    def within(self, bound_s: float) -> bool:
        """Whether what is cached is at most `bound_s` seconds behind the database."""
        return self.age() < bound_s

    def age(self) -> float:
        """Seconds since the moment up to which everything is known; infinite before the first echo, 0 without a carrier."""
        if self.until == ALWAYS:
            return 0.0
        return self._clock() - (self.until - self.horizon_s)
