"""Applies the numbered migrations of `sql/` to a database, one process at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from tierstore.backends import Records
from tierstore.errors import ConflictError
from tierstore.plan.migrations import Applied, Line, Migration, lines, parse, steps_down, steps_up
from tierstore.runtime import Deadline
from tierstore.sql import load_migrations


class MigrationStatus(NamedTuple):
    """`current`: nothing is pending and nothing was changed; newer ones that this code may run beside do no harm."""

    lines: tuple[Line, ...]
    current: bool


class Migrator:
    """`migrations`: those of this package for the database's dialect, unless others are given."""

    def __init__(self, records: Records, migrations: Sequence[Migration] | None = None) -> None:
        self._records = records
        self._known = parse(load_migrations(records.dialect)) if migrations is None else tuple(migrations)

    async def status(self, *, deadline: Deadline) -> MigrationStatus:
        found = lines(self._known, await self._applied(deadline))
        return MigrationStatus(tuple(found), all(line.state in ("applied", "newer") for line in found))

    async def up(self, target: int | None = None, *, deadline: Deadline) -> list[Migration]:
        """Apply what is missing, up to and including number `target`; answers what was applied, in order.

        Two at once are safe: the second waits, and finds nothing to do. ConflictError where a file was changed after it was applied,
        or the database is too new for this code.
        """
        if not steps_up(self._known, await self._applied(deadline), target):
            return []
        async with self._records.exclusive(deadline=deadline):
            await self._records.script("", transaction=True, deadline=deadline, then=("migrations.create_table", {}))
            steps = steps_up(self._known, await self._applied(deadline), target)
            for step in steps:
                row = {
                    "number": step.number,
                    "name": step.name,
                    "checksum": step.checksum,
                    "oldest_code": step.oldest_code,
                }
                await self._records.script(
                    step.up, transaction=not step.alone, deadline=deadline, then=("migrations.record", row)
                )
        return steps

    async def down(self, steps: int = 1, *, deadline: Deadline) -> list[Migration]:
        """Take back the last `steps` migrations; answers them, newest first. Their data goes with them."""
        async with self._records.exclusive(deadline=deadline):
            chosen = steps_down(self._known, await self._applied(deadline), steps)
            for step in chosen:
                await self._records.script(
                    step.down,
                    transaction=not step.alone,
                    deadline=deadline,
                    then=("migrations.forget", {"number": step.number}),
                )
        return chosen

    async def ensure(self, mode: Literal["auto", "check", "never"], *, deadline: Deadline) -> None:
        """What opening a store does: apply what is missing, or only refuse a database that does not fit this code."""
        if mode == "never":
            return
        if mode == "auto":
            await self.up(deadline=deadline)
            return
        applied = await self._applied(deadline)
        if missing := steps_up(self._known, applied, None):
            raise ConflictError(f"the database lacks migration {missing[0].label}: run `tierstore migrate up`")

    async def _applied(self, deadline: Deadline) -> list[Applied]:
        records = self._records
        if not (await records.fetch("migrations.exists", deadline=deadline, primary=True))[0][0]:
            return []
        rows = await records.fetch("migrations.applied", deadline=deadline, primary=True)
        return [Applied(*row) for row in rows]
