"""Applies the numbered migrations of `sql/` to a database, one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from tierstore.backends import Params, Records
from tierstore.errors import ConflictError
from tierstore.plan.migrations import Applied, Line, Migration, lines, parse, steps_down, steps_up
from tierstore.runtime import Deadline
from tierstore.sql import load_migrations


class Migrator:
    """`migrations`: those of this package for the database's dialect, unless others are given.

    `budget` makes the deadline of a call that names none.
    """

    def __init__(
        self,
        records: Records,
        migrations: Sequence[Migration] | None = None,
        *,
        budget: Callable[[], Deadline],
    ) -> None:
        self._records = records
        self._known = parse(load_migrations(records.dialect)) if migrations is None else tuple(migrations)
        self._budget = budget

    async def status(self, *, deadline: Deadline | None = None) -> list[Line]:
        """One line a migration, by number. The database is current if each is `applied`."""
        return lines(self._known, await self._applied(deadline or self._budget()))

    async def up(self, target: int | None = None, *, deadline: Deadline | None = None) -> list[str]:
        """Apply what is missing, up to and including number `target`; returns the names of what was applied, in order.

        Two at once are safe: the second waits, and finds nothing to do. ConflictError where a file was changed after it was
        applied, or the database is too new for this code.
        """
        deadline = deadline or self._budget()
        if not steps_up(self._known, await self._applied(deadline), target):
            return []
        async with self._records.exclusive(deadline=deadline) as still_held:
            await self._run("", alone=False, then=("migrations.create_table", {}), deadline=deadline)
            steps = steps_up(self._known, await self._applied(deadline), target)
            for step in steps:
                await still_held()
                await self._run(step.up, alone=step.alone, then=("migrations.record", _row(step)), deadline=deadline)
        return [step.label for step in steps]

    async def down(self, steps: int = 1, *, deadline: Deadline | None = None) -> list[str]:
        """Take back the last `steps` migrations; returns their names, newest first. Their data goes with them."""
        deadline = deadline or self._budget()
        async with self._records.exclusive(deadline=deadline) as still_held:
            chosen = steps_down(self._known, await self._applied(deadline), steps)
            for step in chosen:
                await still_held()
                forget = ("migrations.forget", {"number": step.number})
                await self._run(step.down, alone=step.alone, then=forget, deadline=deadline)
        return [step.label for step in chosen]

    async def ensure(self, mode: Literal["auto", "check", "never"], *, deadline: Deadline | None = None) -> None:
        """What opening a store does: apply what is missing, or only refuse a database that does not fit this code."""
        if mode == "auto":
            await self.up(deadline=deadline)
        elif mode == "check":
            missing = steps_up(self._known, await self._applied(deadline or self._budget()), None)
            if missing:
                raise ConflictError(f"the database lacks migration {missing[0].label}: run `tierstore migrate up`")

    async def _run(self, text: str, *, alone: bool, then: tuple[str, Params], deadline: Deadline) -> None:
        await self._records.script(text, transaction=not alone, deadline=deadline, then=then)

    async def _applied(self, deadline: Deadline) -> list[Applied]:
        records = self._records
        if not (await records.fetch("migrations.exists", deadline=deadline, primary=True))[0][0]:
            return []
        rows = await records.fetch("migrations.applied", deadline=deadline, primary=True)
        return [Applied(*row) for row in rows]


def _row(step: Migration) -> Params:
    return {"number": step.number, "name": step.name, "checksum": step.checksum, "oldest_code": step.oldest_code}
