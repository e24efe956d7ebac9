"""What is done in the background where state is in the database: values that ended go, and old changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tierstore.runtime import Job
from tierstore.tiers.engine import Engine

EVERY_S: Final = 5.0
PAUSE_S: Final = 0.002
"""Between two steps of a sweep: whoever writes gets its turn."""
SWEPT_AT_ONCE: Final = 200
"""Rows that one step removes, so that no write waits long for it."""
TRIMMED_AT_ONCE: Final = 2_000
KEPT_MS: Final = 60_000
"""Changes are kept this long for those who watch."""
BUDGET_S: Final = 5.0


class Housekeeping:
    """One for an open store; any number of processes may do it at once. `told`: called when changes were written."""

    def __init__(self, engine: Engine, told: Callable[[], None]) -> None:
        self._engine = engine
        self._told = told
        self.expired = 0

    def jobs(self) -> Mapping[str, Job]:
        return {"sweep": self.sweep, "changes": self.trim}

    async def sweep(self) -> float:
        """Remove values that ended, and tell it."""
        swept = await self._step("state.sweep", SWEPT_AT_ONCE)
        if swept:
            self.expired += swept
            self._told()
        return PAUSE_S if swept == SWEPT_AT_ONCE else EVERY_S

    async def trim(self) -> float:
        """Remove changes that nobody waits for any more."""
        return PAUSE_S if await self._step("state.trim", TRIMMED_AT_ONCE) == TRIMMED_AT_ONCE else 2 * EVERY_S

    async def _step(self, query: str, limit: int) -> int:
        runtime = self._engine.runtime
        params = {"limit": limit, "keep_ms": KEPT_MS, "now": int(runtime.wall() * 1000)}
        return len(await self._engine.statement(query, params, runtime.deadline(BUDGET_S), job=True))
