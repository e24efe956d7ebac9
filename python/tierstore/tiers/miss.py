"""One key that L1 did not have, while it is loaded: the flight of its readers, and what the stages of the load keep of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal, NamedTuple

from tierstore.backends import Seen
from tierstore.runtime import Deadline
from tierstore.runtime.flight import Flight
from tierstore.tiers.kind import Meta

POLL_S = (0.002, 0.004, 0.008, 0.016, 0.032)
PATIENCE = 0.5
"""The part of a caller's time for which it waits for another process; then it asks the database itself."""


class Lease(NamedTuple):
    """The right to fill one key of L2. `hands_over`: others may wait for just this load, which therefore reads the primary."""

    token: bytes
    seeding: bool
    hands_over: bool


class Miss(Flight):
    """`ticket` and `epoch`: L1's fences, taken before anybody could join. `stale`: what it brought stands in for a database that failed.

    While another process loads the key: `polls`, how often it looked for that; `seen`, what it may not take; `patient_until`, its end.
    """

    __slots__ = ("epoch", "key", "l2_key", "lease", "patient_until", "polls", "seen", "stale", "ticket")

    def __init__(self, key: Hashable, ticket: Any, epoch: int) -> None:
        self.callers = [None]  # as Flight.__init__, whose call every miss would pay for
        self.todo = []
        self.replies = []
        self.value = self.error = None
        self.done = self.abandoned = False
        self.key = key
        self.ticket = ticket
        self.epoch = epoch
        self.l2_key = ""
        self.lease: Lease | None = None
        self.polls = 0
        self.seen: Seen | None = None
        self.patient_until = 0.0
        self.stale = False

    def is_patient(self, deadline: Deadline) -> bool:
        """Whether it still waits for another process: a database that is slow must not be asked by all."""
        now = deadline.now()
        self.patient_until = self.patient_until or now + deadline.remaining() * PATIENCE
        return now < self.patient_until

    def pause_s(self) -> float:
        """Until it looks again for what another process loads."""
        return POLL_S[min(self.polls, len(POLL_S) - 1)]

    def land_stale(self, value: Any) -> None:
        """What L1 still has goes to all its callers, for want of the database."""
        self.stale = True
        self.land(value)


class Readings(NamedTuple):
    """How the records of one batch were come by, and when. `later`: what is read below L1 next may be older than they are."""

    kept: Meta
    given: Meta
    now: float
    later: bool

    @classmethod
    def of(cls, tier: Literal["l2", "database"], clock: Callable[[], float], *, later: bool) -> Readings:
        """What is read now: the records that L1 keeps, and those that the callers get."""
        now = clock()
        return cls(Meta("l1", now, clock), Meta(tier, now, clock), now, later)


Landing = tuple[Miss, Any, Any, int, int]
"""A miss, what L1 keeps of it and what its callers get (a record and its twin, each of which says by which tier it came; or ABSENT
twice), its version, and its weight in L1."""
