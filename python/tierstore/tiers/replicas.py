"""Rule 8: which reads may go to a replica.

A baseline position is taken when the caches start empty, and again every BASELINE_S. What was committed before it, a replica that has
replayed it shows. What was changed since, by this process or by others as the carriers told, is read from the primary. So no lag can
bring back what this process knows to be old.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from tierstore.backends import Records
from tierstore.runtime import Deadline, Runtime

BASELINE_S = 5.0
BASELINE_BUDGET_S = 2.0


class Replicas:
    """Without replicas (`on` False) everything is the primary's, at no cost."""

    def __init__(self, runtime: Runtime, records: Records, *, on: bool) -> None:
        self._runtime = runtime
        self._records = records
        self.on = on
        self._baseline: str | None = None
        self._since: set[tuple[str, Hashable]] = set()
        self._before: set[tuple[str, Hashable]] = set()

    def changed(self, kind: str, key: Hashable) -> None:
        if self.on:
            self._since.add((kind, key))

    def reset(self) -> None:
        """Something was missed: nothing is known about the replicas until the next baseline."""
        self._baseline = None

    async def where(self, kind: str, keys: Iterable[Hashable], deadline: Deadline) -> tuple[bool, str | None]:
        """Whether the primary must answer, and the position that a replica must have replayed."""
        if not self.on:
            return False, None
        if self._baseline is None:
            await self._take(deadline)
        recent = any((kind, key) in self._since or (kind, key) in self._before for key in keys)
        return recent, self._baseline

    async def step(self) -> float:
        """Take the next baseline: what was changed before the last one is then behind it."""
        await self._take(self._runtime.deadline(BASELINE_BUDGET_S))  # where it fails, the last baseline goes on to hold
        return BASELINE_S

    async def _take(self, deadline: Deadline) -> None:
        self._before |= self._since
        self._since = set()
        covered = self._before
        position = await self._records.position(deadline)
        self._baseline = position
        self._before = self._before - covered
