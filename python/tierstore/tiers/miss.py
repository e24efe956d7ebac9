"""One key that L1 did not have, while it is loaded: the flight of its readers, and what the stages of the load keep of it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from tierstore.runtime.flight import Flight
from tierstore.tiers.kind import Meta

POLL_S = (0.002, 0.004, 0.008, 0.016, 0.02)
"""How a reader waits while another process loads the same key: 50 ms in all, the soft budget; then it asks the database itself."""


class Lease(NamedTuple):
    """The right to fill one key of L2."""

    token: bytes
    seeding: bool


class Miss(Flight):
    """`ticket` and `epoch`: L1's fences, taken before anybody could join. `polls`: how often it looked for what another process loads.

    `stale`: what it brought stands in for a database that failed.
    """

    __slots__ = ("epoch", "key", "l2_key", "lease", "polls", "stale", "ticket")

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
        self.stale = False

    def land_stale(self, value: Any) -> None:
        """What L1 still has goes to all its callers, for want of the database."""
        self.stale = True
        self.land(value)


class Readings(NamedTuple):
    """How the records of one batch were come by, and when."""

    kept: Meta
    given: Meta
    now: float


Landing = tuple[Miss, Any, Any, int, int]
"""A miss, what L1 keeps of it and what its callers get (a record and its twin, each of which says by which tier it came; or ABSENT
twice), its version, and its weight in L1."""
