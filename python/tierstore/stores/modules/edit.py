"""Modules themselves: created, updated, deleted, in a transaction that someone else opened."""

from __future__ import annotations

from tierstore.errors import ConflictError
from tierstore.plan.described import Revision
from tierstore.stores.modules.binding import lock
from tierstore.stores.modules.held import changed_from, check_unchanged, claim, hold, no_module
from tierstore.stores.modules.kinds import Kinds
from tierstore.stores.modules.model import Module
from tierstore.stores.modules.rows import module_of
from tierstore.tiers.transaction import Transaction


async def create(write: Transaction, kinds: Kinds, name: str, metadata: str) -> Module:
    """What is there already is returned if it has the same metadata."""
    held = await claim(write, kinds, name)
    if (found := await held.module()) is not None:
        if found.metadata_json != metadata:
            text = f"there is a module {name} with another description, other tags or metadata; use update"
            raise ConflictError(text, key=name)
        return found
    params = {"name": name, "metadata": metadata, "owner": held.owner}
    (row,) = await write.unit.fetch("modules_write.create", params)
    kinds.module_changed(write, name, held.owner)
    await held.note("create")
    return module_of(row)


async def update(write: Transaction, kinds: Kinds, name: str, revision: Revision, expected: int | None) -> Module:
    held = await hold(write, kinds, name)
    if (found := await held.module()) is None:
        raise no_module(name)
    check_unchanged(name, found, expected, name)
    before = found.metadata
    metadata = revision.of(before)
    if metadata == found.metadata_json:
        return found
    params = {"name": name, "metadata": metadata, "owner": held.owner}
    (row,) = await write.unit.fetch("modules_write.update", params)
    kinds.module_changed(write, name, held.owner)
    updated = module_of(row)
    await held.note("update", changes=changed_from(before, updated.metadata))
    return updated


async def delete(write: Transaction, kinds: Kinds, name: str) -> None:
    """Drafts go along."""
    held = await hold(write, kinds, name)
    if await held.module() is None:
        raise no_module(name)
    states = {state for (state,) in await write.unit.fetch("modules_write.states", {"name": name})}
    if states - {"draft"}:
        text = f"module {name} has versions that were published or archived; delete these first"
        raise ConflictError(text, key=name)
    await lock(write)
    versions = [version for (version,) in await write.unit.fetch("modules_write.versions", {"name": name})]
    await write.unit.execute("modules_write.delete", {"name": name})
    kinds.module_changed(write, name, held.owner)
    for version in versions:
        kinds.version_changed(write, name, version, held.owner)
    await held.note("delete", drafts=versions)
