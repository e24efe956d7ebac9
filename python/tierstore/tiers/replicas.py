"""Rule 8: which reads may go to a replica.

A baseline position is taken when the caches start empty, and again every BASELINE_S. What was committed before it, a replica that has
replayed it shows. What was changed since, by this process or by others as the carriers reported, is read from the primary. So no lag can
bring back what this process knows to be old.

Several may ask for a position at once, and their answers come in any order: each has a number, and of a later one only the earlier ones
know nothing. A change is remembered with the last number that was asked for when it came: an answer covers those before its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable

from tierstore.backends import Records
from tierstore.runtime import Deadline, Runtime
from tierstore.tiers.freshness import HORIZON_S

BASELINE_S = 1.0
BASELINE_BUDGET_S = 2.0
MOST_CHANGES = 100_000
"""Changed keys that are remembered while no baseline can be taken; then nothing is known about the replicas."""


class Replicas:
    """Without replicas (`on` False) everything is the primary's, at no cost. `settled` hears up to which moment a baseline reaches."""

    def __init__(self, runtime: Runtime, records: Records, settled: Callable[[float], None], *, on: bool) -> None:
        self._runtime = runtime
        self._records = records
        self._settled = settled
        self.on = on
        self._baseline: str | None = None
        self._asked = self._taken = 0
        self._reaches = -math.inf
        self._changed: dict[tuple[str, Hashable], int] = {}

    def changed(self, kind: str, key: Hashable) -> None:
        if self.on:
            self._changed[kind, key] = self._asked
            if len(self._changed) > MOST_CHANGES:
                self.reset()

    def reset(self) -> None:
        """Something was missed: nothing is known about the replicas until the next baseline, which is asked for from now on."""
        self._baseline, self._taken, self._changed = None, self._asked, {}
        self._reaches = -math.inf

    async def where(
        self, kind: str, keys: Iterable[Hashable], deadline: Deadline, *, is_fresh: bool
    ) -> tuple[bool, str | None]:
        """Whether the primary must answer, and the position that a replica must have replayed.

        `is_fresh`: this process has been told of changes until within the horizon. Otherwise the baseline itself must be that young.
        """
        if not self.on:
            return False, None
        baseline = await (self._any(deadline) if is_fresh else self.recent(deadline))
        if baseline is None:
            return True, None
        return any((kind, key) in self._changed for key in keys), baseline

    async def recent(self, deadline: Deadline) -> str | None:
        """A position that no read may be behind (I4): what was committed by the horizon. None where only the primary is to be asked."""
        if self._runtime.monotonic() - self._reaches >= HORIZON_S:
            await self._take(deadline)
        return self._baseline

    async def _any(self, deadline: Deadline) -> str | None:
        if self._baseline is None:
            await self._take(deadline)
        return self._baseline  # None: something was missed while the position was on its way

    async def step(self) -> float:
        """Take the next baseline: what was changed before it was asked for is then behind it."""
        await self._take(self._runtime.deadline(BASELINE_BUDGET_S))  # where it fails, the last baseline goes on to hold
        return BASELINE_S

    async def _take(self, deadline: Deadline) -> None:
        self._asked += 1
        number, asked_at = self._asked, self._runtime.monotonic()
        position = await self._records.position(deadline)
        if number > self._taken:  # else one that was asked for later is known, or something was missed
            self._taken, self._baseline, self._reaches = number, position, asked_at
            self._changed = {change: since for change, since in list(self._changed.items()) if since >= number}
            self._settled(asked_at)
