"""What a write of a module begins and ends with: the lock on the module, what it finds under it, and its line in the audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from tierstore.calls.acting import actor
from tierstore.errors import ConflictError, NotFoundError
from tierstore.stores.modules.kinds import Kinds
from tierstore.stores.modules.model import Module, ModuleVersion
from tierstore.stores.modules.rows import VERSION, module_of, version_of
from tierstore.tiers.transaction import Transaction


class Held(NamedTuple):
    """A module whose owner row this transaction has changed: no other one writes to it until the commit.

    `owner`: the row_version that it got, which all that is changed now gets too.
    """

    write: Transaction
    kinds: Kinds
    name: str
    owner: int

    async def module(self) -> Module | None:
        """As it stands. What a call answers or names of it counts as shown."""
        rows = await self.write.unit.fetch("modules_write.find", {"name": self.name})
        found = module_of(rows[0]) if rows else None
        if found is not None:
            self.write.seen(self.kinds.by_name, self.name, found.row_version)
        return found

    async def version(self, version: str) -> ModuleVersion | None:
        """As `module`. `version`: without build metadata."""
        rows = await self.write.unit.fetch("modules_write.find_version", {"name": self.name, "version": version})
        found = version_of(rows[0], rows[0][VERSION["files"]]) if rows else None
        if found is not None:
            self.write.seen(self.kinds.by_version, (self.name, version), found.row_version)
        return found

    async def the_version(self, version: str) -> ModuleVersion:
        """NotFoundError names what is missing."""
        found = await self.version(version)
        if found is None:
            raise no_version(self.name, version) if await self.module() else no_module(self.name)
        return found

    async def note(self, action: str, version: str | None = None, **detail: Any) -> None:
        """Write the change down, with who acts. `action`: the call."""
        acting = actor()
        params = {
            "actor": acting.name,
            "action": action,
            "name": self.name,
            "version": version,
            "request_id": acting.request_id,
            "detail": orjson.dumps(detail).decode(),
        }
        await self.write.unit.execute("modules_write.note", params)


async def hold(write: Transaction, kinds: Kinds, name: str) -> Held:
    """Lock a module. NotFoundError if there never was one of that name."""
    rows = await write.unit.fetch("modules_write.touch", {"name": name})
    if not rows:
        raise no_module(name)
    return Held(write, kinds, name, rows[0][0])


async def claim(write: Transaction, kinds: Kinds, name: str) -> Held:
    """Lock a module that need not be there."""
    rows = await write.unit.fetch("modules_write.claim", {"name": name})
    return Held(write, kinds, name, rows[0][0])


def no_module(name: str) -> NotFoundError:
    return NotFoundError(f"there is no module {name}", key=name)


def no_version(name: str, version: str) -> NotFoundError:
    return NotFoundError(f"module {name} has no version {version}", key=name)


def check_unchanged(what: str, found: Module | ModuleVersion, expected: int | None, key: str) -> None:
    """ConflictError unless it has the expected row_version."""
    if expected not in (None, found.row_version):
        text = f"{what} has row_version {found.row_version}, not {expected}: it changed; read it again"
        raise ConflictError(text, key=key)


def changed_from(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What an update changed of the metadata, for the audit: by name, what stood there and what stands there now."""
    names = sorted({*before, *after})
    return {
        name: {"before": before.get(name), "after": after.get(name)}
        for name in names
        if before.get(name) != after.get(name)
    }
