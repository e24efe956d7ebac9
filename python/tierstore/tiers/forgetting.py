"""Idempotency keys and their answers are kept for KEPT_S, then forgotten: by whichever process has the store open."""

from __future__ import annotations

from tierstore.backends import Records
from tierstore.runtime import Runtime

KEPT_S = 7 * 86_400
EVERY_S = 3600.0
BATCH_ROWS = 1000
"""So many at most in one transaction, so that it holds locks for some milliseconds only."""
PAUSE_S = 0.5
"""Between two batches."""
BUDGET_S = 5.0


class Forgetting:
    """The job. Several processes may run it at once: no row is waited for."""

    def __init__(self, runtime: Runtime, records: Records) -> None:
        self._runtime = runtime
        self._records = records

    async def step(self) -> float:
        """Forget one batch; returns the seconds until the next step."""
        async with self._records.housekeeping(deadline=self._runtime.deadline(BUDGET_S)) as unit:
            forgotten = await unit.execute("protocol.forget", {"keep_s": KEPT_S, "limit": BATCH_ROWS})
        return PAUSE_S if forgotten >= BATCH_ROWS else EVERY_S
