"""The two places where a loader reads: the database, and an open transaction."""

from __future__ import annotations

from tierstore.backends import Fenced, Params, Records, Unit
from tierstore.runtime import Deadline


class Database:
    """Reads of their own, on the primary or on a replica that has replayed `after`."""

    __slots__ = ("_after", "_primary", "_records", "deadline")

    def __init__(
        self, records: Records, deadline: Deadline, *, primary: bool = False, after: str | None = None
    ) -> None:
        self._records = records
        self._primary = primary
        self._after = after
        self.deadline = deadline

    async def fetch(self, query: str, params: Params) -> Fenced:
        return await self._records.fetch_fenced(
            query, params, deadline=self.deadline, primary=self._primary, after=self._after
        )


class InTransaction:
    """Reads that see what their transaction has written."""

    __slots__ = ("_unit", "deadline")

    def __init__(self, unit: Unit, deadline: Deadline) -> None:
        self._unit = unit
        self.deadline = deadline

    async def fetch(self, query: str, params: Params) -> Fenced:
        return await self._unit.fetch_fenced(query, params)
