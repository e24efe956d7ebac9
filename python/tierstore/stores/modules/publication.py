"""Publishing: of a draft, or of a version that is created as published."""

from __future__ import annotations

from tierstore.stores.modules import binding
from tierstore.stores.modules.changes import Move, change, check_move
from tierstore.stores.modules.held import hold
from tierstore.stores.modules.kinds import Kinds
from tierstore.stores.modules.model import ModuleVersion
from tierstore.tiers.transaction import Transaction

PUBLISH = Move("publish", "published", "draft")


async def publish(
    write: Transaction, kinds: Kinds, name: str, version: str, *, allow_unresolved: bool
) -> ModuleVersion:
    """ConflictError for a version that is no draft, and for one whose imports are not all known, unless that is allowed."""
    held = await hold(write, kinds, name)
    found = await held.the_version(version)
    check_move(found, PUBLISH, name)
    subject = binding.Subject(held, version, found.files)
    await binding.bind_waiting_of(subject)
    if not allow_unresolved:
        await binding.check_resolved(subject)
    published = await change(held, version, found, state="published")
    bound = await binding.bind_those_waiting_for(subject)
    detail = {"from": found.state, "to": published.state} | ({"bound": bound} if bound else {})
    await held.note(PUBLISH.action, version, **detail)
    return published
