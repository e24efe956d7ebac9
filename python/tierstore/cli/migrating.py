"""migrate up, down and status: the database alone, without opening a store over it."""

from __future__ import annotations

from tierstore.cli.output import Output
from tierstore.config import Config
from tierstore.store import migrator


async def up(config: Config, out: Output) -> None:
    """Apply what is missing and name it."""
    async with migrator(config) as migrations:
        applied = await migrations.up()
    out.table("applied", [{"applied": name} for name in applied])
    out.say("nothing to do: the database is current" if not applied else f"{len(applied)} applied")


async def down(config: Config, out: Output, steps: int) -> None:
    """Take back the last `steps`."""
    async with migrator(config) as migrations:
        reverted = await migrations.down(steps)
    out.table("reverted", [{"reverted": name} for name in reverted])
    if not reverted:
        out.say("nothing to take back")


async def status(config: Config, out: Output) -> bool:
    """Print each migration; True if the database is current."""
    async with migrator(config) as migrations:
        found = await migrations.status()
    out.table("migrations", [{"migration": line.name, "applied": line.applied} for line in found])
    return all(line.applied for line in found)
