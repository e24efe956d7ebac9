"""migrate up, down and status: the database alone, without opening a store over it."""

from __future__ import annotations

from tierstore.cli.confirm import Confirmation
from tierstore.cli.output import Output
from tierstore.config import Config
from tierstore.store import migrator


async def up(config: Config, out: Output) -> None:
    """Apply what is pending and name it."""
    async with migrator(config) as migrations:
        applied = await migrations.up()
    out.table("applied", [{"applied": name} for name in applied])
    out.say("the database is up to date" if not applied else f"{len(applied)} applied")


async def down(config: Config, out: Output, steps: int, confirmation: Confirmation) -> None:
    """Revert the last `steps`, once the caller has agreed."""
    async with migrator(config) as migrations:
        applied = [line.name for line in await migrations.status() if line.applied]
        last = applied[::-1][:steps]
        if last:
            confirmation.ask(
                "These migrations are reverted, newest first, and all data in their tables is deleted", last
            )
        reverted = await migrations.down(len(last))
    out.table("reverted", [{"reverted": name} for name in reverted])
    if not reverted:
        out.say("nothing to revert: no migration is applied")


async def status(config: Config, out: Output) -> bool:
    """Print each migration; True if none is pending."""
    async with migrator(config) as migrations:
        found = await migrations.status()
    out.table("migrations", [{"migration": line.name, "applied": line.applied} for line in found])
    return all(line.applied for line in found)
