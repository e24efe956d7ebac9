"""Changes of a version that is there: its state, its metadata, its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tierstore.errors import ConflictError
from tierstore.plan.described import Revision
from tierstore.plan.modules import LIFECYCLE, ModuleState
from tierstore.stores.modules.binding import check_unused
from tierstore.stores.modules.held import Held, changed_from, check_unchanged, hold
from tierstore.stores.modules.kinds import Kinds
from tierstore.stores.modules.model import Deprecation, FileInfo, ModuleVersion
from tierstore.stores.modules.rows import version_with
from tierstore.tiers.transaction import Transaction


class Move(NamedTuple):
    """A change of state. `action`: the call. `origin`: the one state that it may come from, where not the lifecycle alone says so."""

    action: str
    state: ModuleState
    origin: ModuleState | None = None
    deprecation: Deprecation | None = None


async def move(write: Transaction, kinds: Kinds, name: str, version: str, wanted: Move) -> ModuleVersion:
    """ConflictError for a move that the lifecycle does not allow."""
    held = await hold(write, kinds, name)
    found = await held.the_version(version)
    check_move(found, wanted, name)
    deprecation = found.deprecation if wanted.state == "archived" else wanted.deprecation
    moved = await change(held, version, found, state=wanted.state, deprecation=deprecation)
    detail: dict[str, Any] = {"from": found.state, "to": wanted.state}
    if wanted.deprecation is not None:
        detail |= wanted.deprecation.asdict()
    await held.note(wanted.action, version, **detail)
    return moved


def check_move(found: ModuleVersion, wanted: Move, name: str) -> None:
    """ConflictError unless the lifecycle and the call allow it."""
    if wanted.origin is not None and found.state != wanted.origin:
        text = f"{name} {found.version} is {found.state}; {wanted.action} is for a version that is {wanted.origin}"
        raise ConflictError(text, key=name)
    LIFECYCLE.check_move(found.state, wanted.state, key=name)


async def update(
    write: Transaction, kinds: Kinds, name: str, version: str, revision: Revision, expected: int | None
) -> ModuleVersion:
    """Description, tags and metadata, in every state."""
    held = await hold(write, kinds, name)
    found = await held.the_version(version)
    check_unchanged(f"{name} {version}", found, expected, name)
    before = found.metadata
    metadata = revision.of(before)
    if metadata == found.metadata_json:
        return found
    updated = await change(held, version, found, metadata=metadata)
    await held.note("update_version", version, changes=changed_from(before, updated.metadata))
    return updated


async def delete(write: Transaction, kinds: Kinds, name: str, version: str) -> None:
    """Its files go with it; their contents are kept until a sweep finds that no version names them.

    ConflictError if others depend on it.
    """
    held = await hold(write, kinds, name)
    found = await held.the_version(version)
    await check_unused(held, version)
    await write.unit.execute("modules_write.delete_version", {"name": name, "version": version})
    kinds.version_changed(write, name, version, held.owner)
    await held.note("delete_version", version, state=found.state, digest=found.digest)


async def change(
    held: Held,
    version: str,
    found: ModuleVersion,
    *,
    state: ModuleState | None = None,
    metadata: str | None = None,
    digest: str | None = None,
    files: Mapping[str, FileInfo] | None = None,
    deprecation: Deprecation | None = None,
) -> ModuleVersion:
    """Write the version's row anew. What is not given stays, but for `deprecation`, which belongs to a change of state."""
    listed = found.files if files is None else files
    kept = found.deprecation if state is None else deprecation
    params = {
        "name": held.name,
        "version": version,
        "state": state or found.state,
        "metadata": found.metadata_json if metadata is None else metadata,
        "digest": digest or found.digest,
        "file_count": len(listed),
        "content_size": sum(info.size for info in listed.values()),
        "deprecation_reason": None if kept is None else kept.reason,
        "replaced_by": None if kept is None else kept.replaced_by,
        "owner": held.owner,
    }
    (row,) = await held.write.unit.fetch("modules_write.change_version", params)
    held.kinds.version_changed(held.write, held.name, version, held.owner)
    return version_with(row, listed)
